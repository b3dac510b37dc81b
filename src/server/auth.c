/* SPDX-License-Identifier: MIT */
/* The auth process. Requests come from the workers, one channel each; look-ups are made on the loop, hashes
 * on libuv's pool, in order of arrival and never more at once than `hash-memory` allows. Who would wait
 * longer than QUEUE_MS is told to come back. The accounts file is watched; each change that counts raises
 * its generation, which voids what workers remember. */
#include "server/auth.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <pop3/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#include "account/accounts.h"
#include "server/channel.h"
#include "server/child.h"
#include "server/generations.h"

enum { QUEUE_MS = 5000, LOOK_MS = 1000 };

struct auth;

/* The channel to one worker; freed when it is closed and no check of it is under way. */
struct client {
    uv_poll_t poll;
    struct auth *auth;
    int channel;
    uint32_t checks;
    bool closed;
};

struct check {
    uv_work_t work;
    struct client *client;
    uint64_t id;
    uint64_t generation; /* under which the account was found */
    uint64_t since_ms;
    uint64_t memory;
    struct account *account;
    struct secret *secret;
    struct error error;
    struct check *next;
};

struct auth {
    uv_loop_t loop;
    uv_poll_t master;
    uv_fs_event_t watch;
    uv_timer_t look;
    uv_timer_t expire;
    struct configuration configuration;
    struct accounts *accounts;
    struct generations *generations;
    struct check *first, **last; /* waiting */
    uint64_t memory;             /* of the checks under way */
    uint32_t running;
};

static uint64_t generation(const struct auth *auth)
{
    return atomic_load(&auth->generations->accounts_file);
}

static void log_mistakes(const struct accounts *accounts)
{
    uint32_t count = 0;
    for (const char *text; (text = accounts_mistake(accounts, count)) != NULL; count++) {
        log_write(LOG_LEVEL_WARNING, "%s", text);
    }
    if (accounts_facts(accounts).mistakes > count) {
        log_write(LOG_LEVEL_WARNING, "%u more lines of the accounts file have mistakes",
                  accounts_facts(accounts).mistakes - count);
    }
}

/* Loads the file again if it is not what was loaded. The old accounts stay where the new are wrong. */
static int refresh(struct auth *auth, struct error *error)
{
    if (accounts_is_current(auth->accounts)) {
        return 0;
    }
    struct accounts *loaded;
    if (accounts_load(auth->configuration.accounts_file, &loaded, error) < 0) {
        return -1;
    }
    bool changed = !accounts_equal(auth->accounts, loaded);
    (void)accounts_free(auth->accounts);
    auth->accounts = loaded;
    if (changed) {
        atomic_fetch_add(&auth->generations->accounts_file, 1);
        log_write(LOG_LEVEL_INFO, "accounts read again: %u in %s", accounts_facts(loaded).count,
                  auth->configuration.accounts_file);
        log_mistakes(loaded);
    }
    return 0;
}

static void refresh_and_log(struct auth *auth)
{
    struct error error;
    static char told[sizeof error.text]; /* a mistake that stays is not told each second */
    if (refresh(auth, &error) == 0) {
        told[0] = '\0';
    } else if (strcmp(told, error.text) != 0) {
        memcpy(told, error.text, sizeof told);
        log_write(LOG_LEVEL_ERROR, "%s; the accounts as they were before stay in use", error.text);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    client->closed = true;
    (void)close(client->channel);
    if (client->checks == 0) {
        free(client);
    }
}

static void close_client(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->poll)) {
        uv_close((uv_handle_t *)&client->poll, on_closed);
    }
}

static void answer(struct check *check)
{
    struct client *client = check->client;
    struct auth_result result = {
        .id = check->id, .generation = check->generation, .kind = check->error.kind};
    if (check->error.kind == ERROR_NONE) {
        result.may_cache = 1;
        (void)snprintf(result.user, sizeof result.user, "%s", check->account->name);
        if (check->account->maildrop != NULL) {
            (void)snprintf(result.path, sizeof result.path, "%s", check->account->maildrop);
        }
    }
    if (!client->closed && !uv_is_closing((uv_handle_t *)&client->poll) &&
        channel_send(client->channel, &result, sizeof result, -1) < 0 && errno != EAGAIN) {
        close_client(client); /* a worker that does not read has a deadline of its own */
    }
    explicit_bzero(&result, sizeof result);
}

static void finish(struct check *check)
{
    struct client *client = check->client;
    answer(check);
    (void)account_free(check->account);
    (void)secret_free(check->secret);
    free(check);
    if (--client->checks == 0 && client->closed) {
        free(client);
    }
}

static void on_work(uv_work_t *work)
{
    struct check *check = work->data;
    if (account_check(check->account, check->secret, &check->error) == 0) {
        check->error.kind = ERROR_NONE;
    }
}

/* The accounts changed while a check was under way: does its success still count? */
static void check_again(struct auth *auth, struct check *check)
{
    struct account *now;
    check->generation = generation(auth);
    if (accounts_lookup(auth->accounts, bytes_of(check->account->name), &now, &check->error) < 0) {
        return;
    }
    if (!now->may_login || strcmp(now->verifier, check->account->verifier) != 0) {
        (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0, "the account has changed");
    }
    (void)account_free(check->account);
    check->account = now;
}

static void start_checks(struct auth *auth);

static void on_worked(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct check *check = work->data;
    struct auth *auth = check->client->auth;
    auth->memory -= check->memory;
    auth->running--;
    if (check->error.kind == ERROR_NONE && check->generation != generation(auth)) {
        check_again(auth, check);
    }
    finish(check);
    start_checks(auth);
}

static struct check *take_first(struct auth *auth)
{
    struct check *check = auth->first;
    auth->first = check->next;
    if (auth->first == NULL) {
        auth->last = &auth->first;
    }
    return check;
}

static void on_expire(uv_timer_t *timer)
{
    start_checks(timer->data);
}

static void start_checks(struct auth *auth)
{
    while (auth->first != NULL) {
        struct check *check = auth->first;
        uint64_t waited = uv_now(&auth->loop) - check->since_ms;
        if (waited >= QUEUE_MS) {
            (void)take_first(auth);
            (void)error_set(&check->error, ERROR_TEMPORARY, 0, "too many logins at once");
            finish(check);
            continue;
        }
        if (auth->running > 0 && auth->memory + check->memory > auth->configuration.hash_memory) {
            (void)uv_timer_start(&auth->expire, on_expire, QUEUE_MS - waited, 0);
            return;
        }
        (void)take_first(auth);
        auth->memory += check->memory;
        auth->running++;
        check->work.data = check;
        (void)uv_queue_work(&auth->loop, &check->work, on_work,
                            on_worked); /* fails without a callback */
    }
    (void)uv_timer_stop(&auth->expire);
}

/* Fills the check, or says in check->error why it need not be made. */
static int prepare(struct auth *auth, const struct auth_request *request, struct check *check)
{
    struct bytes name = {.data = request->data, .size = request->name_size};
    struct bytes password = {.data = request->data + request->name_size,
                             .size = request->response_size};
    if (request->version != AUTH_PROTOCOL_VERSION || request->method != POP3_METHOD_PASSWORD) {
        return error_set(&check->error, ERROR_PERMANENT, 0, "an unknown kind of request");
    }
    if (accounts_lookup(auth->accounts, name, &check->account, &check->error) < 0) {
        if (check->error.kind != ERROR_NO_SUCH_USER) {
            return -1;
        }
        /* An unknown name takes the time that a known one takes. */
        if (accounts_decoy(auth->accounts, &check->account, &check->error) < 0) {
            return -1;
        }
    }
    check->memory = account_memory(check->account);
    return secret_create(password, &check->secret, &check->error);
}

static void take_request(struct client *client, const struct auth_request *request)
{
    struct auth *auth = client->auth;
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return; /* the worker's deadline answers */
    }
    check->client = client;
    check->id = request->id;
    check->generation = generation(auth);
    check->since_ms = uv_now(&auth->loop);
    client->checks++;
    if (prepare(auth, request, check) < 0) {
        finish(check);
        return;
    }
    *auth->last = check;
    auth->last = &check->next;
    start_checks(auth);
}

static void on_request(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct client *client = poll->data;
    struct auth_request request;
    while (!uv_is_closing((uv_handle_t *)poll)) {
        int descriptor;
        ssize_t size =
            status < 0 ? 0
                       : channel_receive(client->channel, &request, sizeof request, &descriptor);
        if (size < 0 && errno == EAGAIN) {
            break;
        }
        size_t head = offsetof(struct auth_request, data);
        if (size < (ssize_t)head ||
            (size_t)size != head + request.name_size + request.response_size) {
            close_client(client); /* the worker is gone, or out of its mind */
            break;
        }
        take_request(client, &request);
        explicit_bzero(&request, sizeof request);
    }
}

static void take_client(struct auth *auth, int channel)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || uv_poll_init(&auth->loop, &client->poll, channel) < 0) {
        free(client);
        (void)close(channel); /* the worker sees its end and asks for another */
        return;
    }
    client->auth = auth;
    client->channel = channel;
    client->poll.data = client;
    (void)uv_poll_start(&client->poll, UV_READABLE, on_request);
}

static void answer_refresh(struct auth *auth, const struct message *question)
{
    struct error error = {0};
    struct message reply = {.type = MESSAGE_REFRESHED, .ticket = question->ticket};
    if (refresh(auth, &error) < 0) {
        reply.kind = error.kind;
        memcpy(reply.path, error.text, sizeof error.text);
    }
    child_send(&reply);
}

static void answer_lookup(struct auth *auth, const struct message *question)
{
    struct message reply = {.type = MESSAGE_FOUND, .ticket = question->ticket};
    struct error error = {0};
    struct account *account;
    size_t size = strnlen(question->name, sizeof question->name);
    struct bytes name = {.data = (const uint8_t *)question->name, .size = size};
    refresh_and_log(auth);
    if (accounts_lookup(auth->accounts, name, &account, &error) < 0) {
        reply.kind = error.kind;
        memcpy(reply.path, error.text, sizeof error.text);
    } else {
        (void)snprintf(reply.name, sizeof reply.name, "%s", account->name);
        if (account->maildrop != NULL) {
            (void)snprintf(reply.path, sizeof reply.path, "%s", account->maildrop);
        }
        (void)account_free(account);
    }
    child_send(&reply);
}

static void on_master(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct auth *auth = poll->data;
    struct message message;
    int descriptor;
    while (child_receive(&message, &descriptor)) {
        if (message.type == MESSAGE_AUTH) {
            take_client(auth, descriptor);
        } else if (message.type == MESSAGE_REFRESH) {
            answer_refresh(auth, &message);
        } else if (message.type == MESSAGE_LOOKUP) {
            answer_lookup(auth, &message);
        } else if (message.type == MESSAGE_LOG) {
            child_take_log(descriptor);
        } else {
            log_write(LOG_LEVEL_ERROR, "an unexpected message of type %u", message.type);
        }
    }
}

static void on_watch(uv_fs_event_t *watch, const char *file, int events, int status)
{
    (void)file;
    (void)events;
    (void)status;
    refresh_and_log(watch->data);
}

static void on_look(uv_timer_t *timer)
{
    refresh_and_log(timer->data);
}

/* The folder is watched, for the file is replaced by rename; and looked at each second, for network file
 * systems tell nothing. */
static void watch_accounts(struct auth *auth)
{
    char path[CONFIGURATION_VALUE_SIZE];
    memcpy(path, auth->configuration.accounts_file, sizeof path);
    auth->watch.data = auth;
    auth->look.data = auth;
    if (uv_fs_event_init(&auth->loop, &auth->watch) < 0 ||
        uv_fs_event_start(&auth->watch, on_watch, dirname(path), 0) < 0) {
        log_write(LOG_LEVEL_WARNING, "%s cannot be watched, only looked at each second", path);
    }
    (void)uv_timer_init(&auth->loop, &auth->look);
    (void)uv_timer_start(&auth->look, on_look, LOOK_MS, LOOK_MS);
}

static int start(struct auth *auth, struct error *error)
{
    static struct child child; /* large, once */
    if (child_start("restante-auth", &child, error) < 0) {
        return -1;
    }
    auth->configuration = child.configuration;
    auth->last = &auth->first;
    auth->generations = generations_map_writable(child.generations);
    if (auth->generations == NULL) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory");
    }
    if (child_drop_privileges(auth->configuration.auth_user, error) < 0 ||
        accounts_load(auth->configuration.accounts_file, &auth->accounts, error) < 0) {
        return -1;
    }
    log_mistakes(auth->accounts);
    /* What workers remembered from an auth process before this one may have changed since. */
    atomic_fetch_add(&auth->generations->accounts_file, 1);
    if (uv_loop_init(&auth->loop) < 0 || uv_timer_init(&auth->loop, &auth->expire) < 0 ||
        uv_poll_init(&auth->loop, &auth->master, CHILD_CHANNEL) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
    }
    auth->expire.data = auth;
    auth->master.data = auth;
    watch_accounts(auth);
    (void)uv_poll_start(&auth->master, UV_READABLE, on_master);
    return 0;
}

int auth_run(void)
{
    static struct auth auth;
    struct error error;
    if (start(&auth, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        return error_exit_status(error.kind);
    }
    struct message ready = {.type = MESSAGE_READY};
    child_send(&ready);
    (void)uv_run(&auth.loop, UV_RUN_DEFAULT);
    return EX_SOFTWARE; /* the loop has always something to wait for */
}
