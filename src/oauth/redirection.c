/* SPDX-License-Identifier: MIT */
#include "oauth/redirection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "http/form.h"

enum {
    VISITORS = 8, /* browsers connect ahead of time, and more than once */
    REQUEST_SIZE = 8192,
    VISIT_MS = 10000,
    PASTED_SIZE = 8192
};

struct visitor {
    int peer; /* -1: none */
    int64_t until_ms;
    size_t size;
    uint8_t request[REQUEST_SIZE];
};

struct waiting {
    struct oauth_redirection *redirection;
    struct visitor visitors[VISITORS];
    int pasted;
    size_t line_size;
    uint8_t line[PASTED_SIZE];
};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int oauth_redirection_open(struct oauth_redirection *redirection, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    redirection->listener = listener;
    redirection->code[0] = '\0';
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, VISITORS) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        int number = errno;
        oauth_redirection_close(redirection);
        return error_from_errno(error, number, "waiting for the browser on 127.0.0.1");
    }
    redirection->port = ntohs(address.sin_port);
    return 0;
}

void oauth_redirection_close(struct oauth_redirection *redirection)
{
    if (redirection->listener >= 0) {
        (void)close(redirection->listener);
    }
    redirection->listener = -1;
    explicit_bzero(redirection->code, sizeof redirection->code);
}

static bool has_right_state(const struct oauth_redirection *redirection, struct bytes query)
{
    char state[OAUTH_STATE_SIZE];
    size_t size = strlen(redirection->state);
    return http_find_pair(query, "state", state, sizeof state) && strlen(state) == size &&
           sodium_memcmp(state, redirection->state, size) == 0;
}

int oauth_redirection_take(struct oauth_redirection *redirection, struct bytes query,
                           struct error *error)
{
    char issuer[512], refusal[128], escaped[160];
    if (!has_right_state(redirection, query)) {
        return 0;
    }
    if (redirection->issuer != NULL && http_find_pair(query, "iss", issuer, sizeof issuer) &&
        strcmp(issuer, redirection->issuer) != 0) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0,
                         "the answer is another provider's (RFC 9207): nothing was sent to it");
    }
    if (http_find_pair(query, "error", refusal, sizeof refusal)) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "the provider says %s",
                         bytes_escape(bytes_of(refusal), escaped, sizeof escaped));
    }
    if (!http_find_pair(query, "code", redirection->code, sizeof redirection->code)) {
        redirection->code[0] = '\0';
    }
    return redirection->code[0] != '\0';
}

static void leave(struct visitor *visitor)
{
    if (visitor->peer >= 0) {
        (void)close(visitor->peer);
    }
    visitor->peer = -1;
    explicit_bzero(visitor->request, visitor->size);
    visitor->size = 0;
}

static void reply(const struct visitor *visitor, const char *status, const char *text)
{
    char page[512];
    int size = snprintf(page, sizeof page,
                        "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                        "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                        "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%s",
                        status, strlen(text), text);
    (void)send(visitor->peer, page, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The query of `GET /?QUERY HTTP/1.1`. Empty: it asks for something else. */
static struct bytes query_of(struct bytes request)
{
    static const char start[] = "GET /?";
    if (request.size < sizeof start - 1 || memcmp(request.data, start, sizeof start - 1) != 0) {
        return (struct bytes){0};
    }
    struct bytes query = bytes_from(request, sizeof start - 1);
    query.size = bytes_find(query, ' ');
    return query;
}

/* As oauth_redirection_take, of a request that is whole. */
static int answer(struct oauth_redirection *redirection, struct visitor *visitor,
                  struct error *error)
{
    struct bytes query = query_of((struct bytes){visitor->request, visitor->size});
    int result = oauth_redirection_take(redirection, query, error);
    if (result > 0) {
        reply(visitor, "200 OK", "Restante is authorized. You can close this window.\n");
    } else if (result < 0) {
        reply(visitor, "200 OK", "Restante is not authorized; it says why where you started it.\n");
    } else {
        reply(visitor, "404 Not Found", "This is no answer that Restante waits for.\n");
    }
    leave(visitor);
    return result;
}

static int read_request(struct oauth_redirection *redirection, struct visitor *visitor,
                        struct error *error)
{
    ssize_t got = recv(visitor->peer, visitor->request + visitor->size,
                       sizeof visitor->request - visitor->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    visitor->size += got > 0 ? (size_t)got : 0;
    if (memmem(visitor->request, visitor->size, "\r\n\r\n", 4) != NULL) {
        return answer(redirection, visitor, error);
    }
    if (got <= 0 || visitor->size == sizeof visitor->request) {
        leave(visitor);
    }
    return 0;
}

static void welcome(struct waiting *waiting)
{
    struct visitor *place = &waiting->visitors[0];
    for (size_t i = 0; i < VISITORS; i++) { /* a free one, else the one that is here for longest */
        struct visitor *visitor = &waiting->visitors[i];
        if (place->peer >= 0 && (visitor->peer < 0 || visitor->until_ms < place->until_ms)) {
            place = visitor;
        }
    }
    leave(place);
    place->peer = accept4(waiting->redirection->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    place->until_ms = now_ms() + VISIT_MS;
}

/* A pasted line: the address of the page that the browser came to, or the code alone, which has no state: but who pastes it
 * has seen where it is from, and without our verifier (RFC 7636) it is of no use to anybody. */
static int take_line(struct oauth_redirection *redirection, struct bytes line, struct error *error)
{
    size_t mark = bytes_find(line, '?');
    if (mark < line.size) {
        return oauth_redirection_take(redirection, bytes_from(line, mark + 1), error);
    }
    if (line.size == 0 || line.size >= sizeof redirection->code || bytes_find(line, '/') == 0) {
        return 0;
    }
    memcpy(redirection->code, line.data, line.size);
    redirection->code[line.size] = '\0';
    return 1;
}

static int read_line(struct waiting *waiting, struct error *error)
{
    ssize_t got = read(waiting->pasted, waiting->line + waiting->line_size,
                       sizeof waiting->line - waiting->line_size);
    if (got <= 0) {
        waiting->pasted = got < 0 && errno == EINTR ? waiting->pasted : -1;
        return 0;
    }
    waiting->line_size += (size_t)got;
    struct bytes text = {waiting->line, waiting->line_size};
    size_t end = bytes_find(text, '\n');
    if (end == text.size) {
        waiting->line_size = text.size == sizeof waiting->line ? 0 : text.size;
        return 0;
    }
    text.size = end;
    while (text.size != 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    while (text.size != 0 && text.data[0] <= ' ') {
        text = bytes_from(text, 1);
    }
    int result = take_line(waiting->redirection, text, error);
    waiting->line_size = 0;
    return result;
}

enum { AT_LISTENER, AT_PASTED, AT_CANCEL, AT_VISITORS, PLACES = AT_VISITORS + VISITORS };

/* As oauth_redirection_take; waits for up to a second. */
static int wait_once(struct waiting *waiting, int cancel, struct error *error)
{
    struct pollfd polled[PLACES] = {
        [AT_LISTENER] = {.fd = waiting->redirection->listener, .events = POLLIN},
        [AT_PASTED] = {.fd = waiting->pasted, .events = POLLIN},
        [AT_CANCEL] = {.fd = cancel, .events = POLLIN},
    };
    int result = 0;
    for (size_t i = 0; i < VISITORS; i++) {
        struct visitor *visitor = &waiting->visitors[i];
        if (visitor->peer >= 0 && visitor->until_ms <= now_ms()) {
            leave(visitor);
        }
        polled[AT_VISITORS + i] = (struct pollfd){.fd = visitor->peer, .events = POLLIN};
    }
    if (poll(polled, PLACES, 1000) <= 0) {
        return 0;
    }
    if (polled[AT_CANCEL].revents != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "interrupted");
    }
    if (polled[AT_PASTED].revents != 0) {
        result = read_line(waiting, error);
    }
    for (size_t i = 0; result == 0 && i < VISITORS; i++) {
        if (polled[AT_VISITORS + i].revents != 0) {
            result = read_request(waiting->redirection, &waiting->visitors[i], error);
        }
    }
    if (result == 0 && polled[AT_LISTENER].revents != 0) {
        welcome(waiting);
    }
    return result;
}

int oauth_redirection_wait(struct oauth_redirection *redirection, int pasted, int cancel,
                           int64_t limit_ms, struct error *error)
{
    static _Thread_local struct waiting waiting; /* too large for a stack */
    int64_t until_ms = now_ms() + limit_ms;
    int result = 0;
    waiting = (struct waiting){.redirection = redirection, .pasted = pasted};
    for (size_t i = 0; i < VISITORS; i++) {
        waiting.visitors[i].peer = -1;
    }
    while (result == 0 && now_ms() < until_ms) {
        result = wait_once(&waiting, cancel, error);
    }
    for (size_t i = 0; i < VISITORS; i++) {
        leave(&waiting.visitors[i]);
    }
    explicit_bzero(waiting.line, sizeof waiting.line);
    if (result == 0) {
        return error_set(error, ERROR_TEMPORARY, 0,
                         "nobody has authorized within %lld s; start again when you can",
                         (long long)(limit_ms / 1000));
    }
    return result < 0 ? -1 : 0;
}
