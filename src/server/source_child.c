/* SPDX-License-Identifier: MIT */
#include "server/source_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "server/channel.h"
#include "server/child.h"
#include "server/sandbox_hide.h"
#include "server/token_settings.h"

struct source_child {
    struct configuration configuration;
    struct token_options tokens;
    const struct source_type *type;
    const struct source_functions *functions;
    struct source *source;
    struct sandbox_hidden *hidden; /* the accounts file; NULL: there is none */
    int auth;                      /* the channel; -1: there is no auth at this time */
};

/* "192.0.2.1:1110" or "[2001:db8::1]:1110", without the port, in place. */
static const char *address_alone(char *address)
{
    char *port = strrchr(address, ':');
    if (port != NULL) {
        *port = '\0';
    }
    if (address[0] == '[') {
        address++;
        address[strcspn(address, "]")] = '\0';
    }
    return address;
}

static int ask(struct source_child *self, struct source_request *request,
               struct source_answer *answer_out, struct error *error)
{
    struct secret *password = NULL;
    struct source_question question = {.name = {request->data, request->name_size},
                                       .service = "pop3",
                                       .address = address_alone(request->address),
                                       .is_tls = request->is_tls != 0};
    struct bytes octets = {request->data + request->name_size, request->password_size};
    answer_out->uid = ACCOUNT_NO_ID;
    answer_out->gid = ACCOUNT_NO_ID;
    if (request->has_password) {
        bool token = self->type->takes_tokens;
        if ((token ? secret_create_token(octets, &password, error)
                   : secret_create(octets, &password, error)) < 0) {
            return -1;
        }
        question.password = password;
    }
    int result = self->functions->ask(self->source, &question, answer_out, error);
    (void)secret_free(password);
    secret_wipe_stack();
    return result;
}

static bool is_whole(const struct source_request *request, ssize_t size)
{
    size_t head = offsetof(struct source_request, data);
    return size >= (ssize_t)head &&
           (size_t)size == head + request->name_size + request->password_size &&
           memchr(request->address, '\0', sizeof request->address) != NULL;
}

static void close_auth(struct source_child *self)
{
    (void)close(self->auth);
    self->auth = -1;
}

static void take_question(struct source_child *self)
{
    static struct source_request request;
    static struct source_reply reply;
    struct error error = {0};
    int descriptor;
    ssize_t size = channel_receive(self->auth, &request, sizeof request, &descriptor);
    if (size < 0 && errno == EAGAIN) {
        return;
    }
    if (!is_whole(&request, size)) { /* the end of auth, most of all */
        close_auth(self);
        return;
    }
    reply = (struct source_reply){.id = request.id};
    if (self->hidden != NULL && sandbox_hidden_is_stale(self->hidden)) {
        reply.is_stale = 1;
        sodium_memzero(&request, sizeof request);
        _exit(channel_send(self->auth, &reply, sizeof reply, -1) < 0 ? EX_SOFTWARE : EX_OK);
    }
    if (ask(self, &request, &reply.answer, &error) < 0) {
        reply.answer = (struct source_answer){0};
        reply.kind = error.kind;
        memcpy(reply.text, error.text, sizeof error.text);
    }
    sodium_memzero(&request, sizeof request);
    if (channel_send(self->auth, &reply, sizeof reply, -1) < 0) {
        close_auth(self);
    }
    sodium_memzero(&reply, sizeof reply);
}

static void take_order(struct source_child *self)
{
    struct message message;
    int descriptor;
    while (child_receive(&message, &descriptor)) {
        if (message.type == MESSAGE_SOURCE) {
            close_auth(self);
            self->auth = descriptor;
        } else if (message.type == MESSAGE_LOG) {
            child_take_log(&message, descriptor);
        } else {
            log_write(LOG_LEVEL_ERROR, "an unexpected message of type %u", message.type);
        }
    }
}

void source_options_of(const struct configuration *configuration,
                       struct source_options *options_out)
{
    *options_out = (struct source_options){
        .command = configuration->source_command,
        .command_looks_up = configuration->command_looks_up,
        .pam_service = configuration->pam_service,
        .sqlite_file = configuration->sqlite_file,
        .sqlite_query = configuration->sqlite_query,
        .postgresql_connection = configuration->postgresql_connection,
        .postgresql_query = configuration->postgresql_query,
    };
}

static int open_source(struct source_child *self, struct error *error)
{
    struct source_options options;
    source_options_of(&self->configuration, &options);
    self->tokens = token_settings_options(&self->configuration);
    options.tokens = &self->tokens;
    return source_type_functions(self->type, &self->functions, error) < 0
               ? -1
               : self->functions->open(&options, &self->source, error);
}

static int drop_privileges(const struct source_child *self, struct error *error)
{
    const struct configuration *configuration = &self->configuration;
    bool has_own_user = self->type->has_own_user && configuration->command_user[0] != '\0';
    if (self->type->needs_root) {
        return 0;
    }
    return child_drop_privileges(
        has_own_user ? configuration->command_user : configuration->auth_user, error);
}

static int hide_accounts(struct source_child *self, struct error *error)
{
    const struct configuration *configuration = &self->configuration;
    if (!configuration_has_file(configuration)) {
        return 0;
    }
    return sandbox_hide(configuration->accounts_file, &self->hidden, error);
}

static int start(struct source_child *self, struct error *error)
{
    static struct child child; /* large, once */
    if (child_start("restante-source", &child, error) < 0) {
        return -1;
    }
    (void)setpgid(0, 0); /* the master kills with it what it has started */
    self->configuration = child.configuration;
    self->auth = child.source;
    self->type = source_type_find(bytes_of(self->configuration.sources.list[child.source_index]));
    if (self->type == NULL || sodium_init() < 0) {
        return error_set(error, ERROR_USAGE, 0, "there is no such source");
    }
    return hide_accounts(self, error) < 0 || drop_privileges(self, error) < 0
               ? -1
               : open_source(self, error);
}

int source_child_run(void)
{
    static struct source_child self;
    struct error error;
    if (start(&self, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "source %s: %s", self.type == NULL ? "" : self.type->name,
                  error.text);
        return error_exit_status(error.kind);
    }
    if (self.hidden != NULL && sandbox_hidden_is_readable(self.hidden)) {
        log_write(LOG_LEVEL_WARNING,
                  "source %s: its processes can read the accounts file, for this kernel cannot "
                  "hide it; they run as users who may read it",
                  self.type->name);
    }
    struct message ready = {.type = MESSAGE_READY};
    child_send(&ready);
    for (;;) {
        struct pollfd channels[] = {{.fd = CHILD_CHANNEL, .events = POLLIN},
                                    {.fd = self.auth, .events = POLLIN}};
        if (poll(channels, 2, -1) < 0) {
            continue;
        }
        if (channels[0].revents != 0) {
            take_order(&self);
        } else if (channels[1].revents != 0) {
            take_question(&self);
        }
    }
}
