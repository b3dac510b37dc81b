/* SPDX-License-Identifier: MIT */
/* The load generator. One case a run, one line of JSON on standard output; exit 1 if the server said
 * anything wrong.
 *
 *     load --case CASE --port N --corpus FOLDER --name NAME [--users N] [--tls full|resumed] [--stat "COUNT OCTETS"]
 *
 *     --case sessions  --concurrency N --duration T
 *     --case retrieve  --window N --duration T | --verify [--partial]
 *     --case whole     --window N --duration T | --verify
 *     --case logins    --repeat N
 *     --case listings  --repeat N
 *     --case deletions --window N
 *     --case noops     --repeat N
 *
 * It talks to 127.0.0.1 only. */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/number.h"

uint64_t load_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int load_times_add(struct load_times *times, uint64_t us, struct error *error)
{
    if (times->count == times->capacity) {
        size_t capacity = times->capacity == 0 ? 4096 : times->capacity * 2;
        uint32_t *grown = realloc(times->us, capacity * sizeof *grown);
        if (grown == NULL) {
            return error_set(error, ERROR_LIMIT, 0, "no memory for the times");
        }
        times->us = grown;
        times->capacity = capacity;
    }
    times->us[times->count++] = (uint32_t)us;
    return 0;
}

bool load_reply_is(struct bytes line, const char *wanted)
{
    size_t size = strlen(wanted);

    return line.size >= size && memcmp(line.data, wanted, size) == 0 &&
           (line.size == size || line.data[size] == ' ' || line.data[size] == '\r');
}

void load_expected_stat(const struct load_options *options, char *out, size_t capacity)
{
    if (options->stat != NULL) {
        snprintf(out, capacity, "+OK %.40s", options->stat);
    } else {
        snprintf(out, capacity, "+OK %llu %llu", (unsigned long long)options->corpus.count,
                 (unsigned long long)options->corpus.octets);
    }
}

static int compare_times(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;

    return *left < *right ? -1 : *left > *right;
}

static uint32_t percentile(const struct load_times *sorted, unsigned per_mille)
{
    return sorted->count == 0 ? 0 : sorted->us[(sorted->count - 1) * per_mille / 1000];
}

/* Processor time of this program so far. */
static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void report(const struct load_result *result, uint64_t used_us)
{
    if (result->times.count > 0) {
        qsort(result->times.us, result->times.count, sizeof *result->times.us, compare_times);
    }
    printf("{\"done\": %llu, \"octets\": %llu, \"seconds\": %.6f, \"busy\": %.3f, "
           "\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u}\n",
           (unsigned long long)result->done, (unsigned long long)result->octets,
           (double)result->wall_us / 1e6, (double)used_us / (double)result->wall_us,
           percentile(&result->times, 500), percentile(&result->times, 990),
           percentile(&result->times, 999));
}

enum letter {
    CASE,
    PORT,
    CORPUS,
    NAME,
    PASSWORD,
    USERS,
    CONCURRENCY,
    WINDOW,
    REPEAT,
    DURATION,
    STAT,
    TLS,
    VERIFY,
    PARTIAL
};

struct arguments {
    const char *text[PARTIAL + 1];
};

static int number_of(const struct arguments *arguments, enum letter which, uint64_t least,
                     uint64_t most, uint64_t *value_out)
{
    const char *text = arguments->text[which];

    if (text == NULL) {
        return 0;
    }
    return number_parse(bytes_of(text), most, value_out) != 0 || *value_out < least ? -1 : 0;
}

static int duration_of(const struct arguments *arguments, uint64_t *us_out)
{
    const char *text = arguments->text[DURATION];
    uint64_t milliseconds = 1000;

    if (text != NULL && number_parse_duration(bytes_of(text), &milliseconds) != 0) {
        return -1;
    }
    *us_out = milliseconds * 1000;
    return 0;
}

static int security_of(const struct arguments *arguments, enum link_security *security_out)
{
    const char *text = arguments->text[TLS];

    if (text != NULL && strcmp(text, "full") == 0) {
        *security_out = LINK_FULL;
    } else if (text != NULL && strcmp(text, "resumed") == 0) {
        *security_out = LINK_RESUMED;
    } else if (text != NULL) {
        return -1;
    }
    return 0;
}

static int fill_options(const struct arguments *arguments, struct load_options *options,
                        struct error *error)
{
    uint64_t port = 0, users = 0, concurrency = 1, window = 1, repeat = 1;
    enum link_security security = LINK_PLAIN;

    if (number_of(arguments, PORT, 1, 65535, &port) != 0 || port == 0 ||
        number_of(arguments, USERS, 1, 10000, &users) != 0 ||
        number_of(arguments, CONCURRENCY, 1, 9999, &concurrency) != 0 ||
        number_of(arguments, WINDOW, 1, 1000, &window) != 0 ||
        number_of(arguments, REPEAT, 1, 1000000, &repeat) != 0 ||
        duration_of(arguments, &options->duration_us) != 0) {
        return error_set(error, ERROR_USAGE, 0, "a number is missing or out of range");
    }
    if (security_of(arguments, &security) != 0) {
        return error_set(error, ERROR_USAGE, 0, "--tls is full or resumed");
    }
    if (arguments->text[CORPUS] == NULL || arguments->text[NAME] == NULL) {
        return error_set(error, ERROR_USAGE, 0, "--corpus and --name are missing");
    }
    options->stat = arguments->text[STAT];
    options->password = arguments->text[PASSWORD] != NULL ? arguments->text[PASSWORD] : "secret";
    options->users = (uint32_t)users;
    options->concurrency = (uint32_t)concurrency;
    options->window = (uint32_t)window;
    options->repeat = (uint32_t)repeat;
    options->verify = arguments->text[VERIFY] != NULL;
    options->partial = arguments->text[PARTIAL] != NULL;
    return link_target_init(options->target, (uint16_t)port, security, error) != 0 ||
                   corpus_load(arguments->text[CORPUS], arguments->text[NAME], &options->corpus,
                               error) != 0
               ? -1
               : 0;
}

static int run_case(const char *name, const struct load_options *options,
                    struct load_result *result, struct error *error)
{
    static const struct {
        const char *name;
        int (*run)(const struct load_options *, struct load_result *, struct error *);
    } cases[] = {{"sessions", load_sessions}, {"retrieve", load_retrieve},
                 {"whole", load_whole},       {"logins", load_logins},
                 {"listings", load_listings}, {"deletions", load_deletions},
                 {"noops", load_noops}};

    for (size_t index = 0; name != NULL && index < sizeof cases / sizeof cases[0]; index++) {
        if (strcmp(name, cases[index].name) == 0) {
            return cases[index].run(options, result, error);
        }
    }
    return error_set(error, ERROR_USAGE, 0, "--case: there is no such case");
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"case", required_argument, NULL, CASE},
                                          {"port", required_argument, NULL, PORT},
                                          {"corpus", required_argument, NULL, CORPUS},
                                          {"name", required_argument, NULL, NAME},
                                          {"password", required_argument, NULL, PASSWORD},
                                          {"users", required_argument, NULL, USERS},
                                          {"concurrency", required_argument, NULL, CONCURRENCY},
                                          {"window", required_argument, NULL, WINDOW},
                                          {"repeat", required_argument, NULL, REPEAT},
                                          {"duration", required_argument, NULL, DURATION},
                                          {"stat", required_argument, NULL, STAT},
                                          {"tls", required_argument, NULL, TLS},
                                          {"verify", no_argument, NULL, VERIFY},
                                          {"partial", no_argument, NULL, PARTIAL},
                                          {NULL, 0, NULL, 0}};
    struct arguments arguments = {0};
    struct link_target target = {0};
    struct load_options options = {.target = &target};
    struct load_result result = {0};
    struct error error = {0};

    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (option < CASE || option > PARTIAL) {
            return 64;
        }
        arguments.text[option] = optarg != NULL ? optarg : "yes";
    }
    signal(SIGPIPE, SIG_IGN);
    int status = fill_options(&arguments, &options, &error);
    uint64_t used_us = cpu_us();
    if (status != 0 || run_case(arguments.text[CASE], &options, &result, &error) != 0) {
        fprintf(stderr, "load: %s\n", error.text);
        return 1;
    }
    report(&result, cpu_us() - used_us);
    free(result.times.us);
    link_target_free(&target);
    return 0;
}
