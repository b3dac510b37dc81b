/* SPDX-License-Identifier: MIT */
#include "server/auth_search.h"

#include <unistd.h>

#include "base/container_of.h"
#include "base/user_name.h"
#include "server/auth_state.h"
#include "server/child.h"

static void ask_next(struct search *search);

/* The file can be counted beforehand, other sources cannot. */
static void learn(struct auth *auth, const struct search *search)
{
    bool is_counted = search->is_file && auth->configuration.sources.count == 1;
    if (search->account != NULL && search->account->may_login && !is_counted) {
        decoys_learn(&auth->decoys, search->account->verifier);
    }
}

static void finish(struct search *search)
{
    learn(search->auth, search);
    search->job.password = NULL;
    search->done(search);
}

/* Its administrator reads it; a client only hears that it should come again. */
static void log_failure(const struct search *search, const char *text)
{
    enum error_kind kind = search->error.kind;
    if (kind != ERROR_BAD_CREDENTIALS) {
        char name[160];
        log_write(error_log_level(kind), "source %s: user=%s: %s",
                  search->auth->configuration.sources.list[search->source],
                  bytes_escape(bytes_of(search->name), name, sizeof name), text);
    }
}

int search_decoy(const struct auth *auth, struct account **account_out, struct error *error)
{
    return auth->decoys.size == 0 ? accounts_decoy(auth->accounts, account_out, error)
                                  : decoys_account(&auth->decoys, account_out, error);
}

uint32_t search_iterations(const struct auth *auth, enum scram_hash hash)
{
    uint32_t learnt = decoys_iterations(&auth->decoys, hash);
    return learnt != 0 ? learnt : accounts_facts(auth->accounts).scram_iterations[hash];
}

static void take_answer(struct search *search, const struct source_type *type,
                        const struct source_answer *answer)
{
    struct error mistake;
    if (user_name_check(bytes_of(answer->name), &mistake) < 0 ||
        account_from_answer(answer, !type->checks_passwords, &search->account, &mistake) < 0) {
        (void)error_set(&search->error, ERROR_TEMPORARY, 0, "%s", mistake.text);
        log_failure(search, mistake.text);
    }
}

static void on_reply(struct source_job *job, const struct source_reply *reply)
{
    struct search *search = CONTAINER_OF(job, struct search, job);
    const struct auth *auth = search->auth;
    const struct source_type *type =
        source_type_find(bytes_of(auth->configuration.sources.list[search->source]));
    search->error.kind = (enum error_kind)reply->kind;
    if (search->error.kind == ERROR_NO_SUCH_USER) {
        search->source++;
        ask_next(search);
        return;
    }
    if (search->error.kind == ERROR_NONE) {
        search->is_right = type->checks_passwords && search->password != NULL;
        take_answer(search, type, &reply->answer);
    } else {
        (void)error_set(&search->error, search->error.kind, 0, "%s", reply->text);
        log_failure(search, reply->text);
    }
    finish(search);
}

static void ask_process(struct search *search)
{
    struct auth *auth = search->auth;
    const struct source_type *type =
        source_type_find(bytes_of(auth->configuration.sources.list[search->source]));
    search->job = (struct source_job){.name = bytes_of(search->name),
                                      .password = type->checks_passwords ? search->password : NULL,
                                      .address = search->address,
                                      .is_tls = search->is_tls,
                                      .done = on_reply};
    source_queue_add(&auth->queues[search->source], &search->job);
}

static void ask_next(struct search *search)
{
    struct auth *auth = search->auth;
    const struct configuration *configuration = &auth->configuration;
    while (search->source < configuration->sources.count) {
        if (!configuration_is_file(configuration, search->source)) {
            ask_process(search);
            return;
        }
        search->error.kind = ERROR_NONE;
        if (accounts_lookup(auth->accounts, bytes_of(search->name), &search->account,
                            &search->error) == 0 ||
            search->error.kind != ERROR_NO_SUCH_USER) {
            search->is_file = search->error.kind == ERROR_NONE;
            finish(search);
            return;
        }
        search->source++;
    }
    (void)error_set(&search->error, ERROR_NO_SUCH_USER, 0, "no source knows this name");
    finish(search);
}

void search_start(struct search *search, struct bytes name)
{
    search->account = NULL;
    search->source = 0;
    search->is_file = false;
    search->is_right = false;
    search->generation = auth_accounts_generation(search->auth);
    if (user_name_check(name, &search->error) < 0) {
        finish(search);
        return;
    }
    memcpy(search->name, name.data, name.size);
    search->name[name.size] = '\0';
    ask_next(search);
}

/* Only the master can end it, and start another. */
static void kill_process(uint32_t process)
{
    struct message message = {.type = MESSAGE_KILL_SOURCE, .process = process};
    child_send(&message);
}

int search_init(struct auth *auth, struct error *error)
{
    const struct configuration *configuration = &auth->configuration;
    for (uint32_t i = 0; i < configuration->sources.asked; i++) {
        if (source_queue_init(&auth->queues[i], &auth->loop, configuration->source_timeout_ms,
                              kill_process) < 0) {
            return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
        }
    }
    return 0;
}

void search_connect(struct auth *auth, const struct message *message, int channel)
{
    source_queue_connect(&auth->queues[message->kind], message->process, channel);
}
