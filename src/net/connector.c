/* SPDX-License-Identifier: MIT */
/* A connector lives until its owner is done with it and no handle or look-up points at it any more: a look-up
 * that a thread has begun cannot be taken back. */
#include "net/connector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "net/address.h"

enum {
    ATTEMPT_DELAY_MS = 250, /* RFC 8305 section 5 */
    MOST_ADDRESSES = 64
};

struct attempt {
    uv_tcp_t tcp;
    uv_connect_t request;
    struct connector *connector;
    struct sockaddr_storage address;
    bool open;
};

struct connector {
    uv_loop_t *loop;
    uv_getaddrinfo_t lookup;
    uv_timer_t limit; /* over all */
    uv_timer_t next;  /* until the next address is tried */
    connector_done *done;
    void *owner; /* NULL: it is done with us */
    struct attempt *attempts;
    size_t count;
    size_t begun;
    size_t failed;
    uint32_t handles; /* that are not closed yet */
    uint32_t timeout_ms;
    uint16_t port;
    bool numeric; /* the host is an address */
    bool looking_up;
    bool finished;
    struct error error;
    char host[256];
    char failures[240]; /* what failed at which address */
};

static void release(struct connector *connector)
{
    if (connector->owner == NULL && connector->handles == 0 && !connector->looking_up) {
        free(connector->attempts);
        free(connector);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connector *connector = handle->data;
    connector->handles--;
    release(connector);
}

static void close_attempt(struct attempt *attempt)
{
    if (attempt->open) {
        attempt->open = false;
        uv_close((uv_handle_t *)&attempt->tcp, on_closed);
    }
}

static void stop(struct connector *connector)
{
    if (connector->finished) {
        return;
    }
    connector->finished = true;
    if (connector->looking_up) {
        (void)uv_cancel((uv_req_t *)&connector->lookup); /* fails if a thread has begun it */
    }
    for (size_t i = 0; i < connector->begun; i++) {
        close_attempt(&connector->attempts[i]);
    }
    uv_close((uv_handle_t *)&connector->limit, on_closed);
    uv_close((uv_handle_t *)&connector->next, on_closed);
}

static void finish(struct connector *connector, int descriptor)
{
    stop(connector);
    connector->done(connector->owner, descriptor);
}

static void add_failure(struct connector *connector, const struct attempt *attempt,
                        const char *reason)
{
    char address[ADDRESS_TEXT_SIZE];
    size_t used = strlen(connector->failures);
    (void)snprintf(connector->failures + used, sizeof connector->failures - used, "%s%s: %s",
                   used == 0 ? "" : "; ", address_format(&attempt->address, address), reason);
}

/* The host is named beside its addresses, unless it is one. */
static void fail_everywhere(struct connector *connector)
{
    (void)error_set(&connector->error, ERROR_TEMPORARY, 0, "%s%s%s",
                    connector->numeric ? "" : connector->host, connector->numeric ? "" : ": ",
                    connector->failures);
    finish(connector, -1);
}

static void begin_next(struct connector *connector);

/* The socket for the owner, or a negative libuv error. */
static int take_socket(struct attempt *attempt)
{
    uv_os_fd_t own = -1;
    int result = uv_fileno((uv_handle_t *)&attempt->tcp, &own);
    if (result < 0) {
        return result;
    }
    int descriptor = fcntl(own, F_DUPFD_CLOEXEC, 0);
    return descriptor < 0 ? UV_EMFILE : descriptor;
}

static void on_connected(uv_connect_t *request, int status)
{
    struct attempt *attempt = CONTAINER_OF(request, struct attempt, request);
    struct connector *connector = attempt->connector;
    if (connector->finished) {
        return;
    }
    int result = status < 0 ? status : take_socket(attempt);
    if (result >= 0) {
        finish(connector, result);
        return;
    }
    add_failure(connector, attempt, uv_strerror(result));
    close_attempt(attempt);
    connector->failed++;
    begin_next(connector);
}

static int begin(struct attempt *attempt)
{
    struct connector *connector = attempt->connector;
    int result = uv_tcp_init(connector->loop, &attempt->tcp);
    if (result < 0) {
        return result;
    }
    attempt->tcp.data = connector;
    attempt->open = true;
    connector->handles++;
    return uv_tcp_connect(&attempt->request, &attempt->tcp,
                          (const struct sockaddr *)&attempt->address, on_connected);
}

static void on_next(uv_timer_t *timer)
{
    begin_next(CONTAINER_OF(timer, struct connector, next));
}

static void begin_next(struct connector *connector)
{
    while (connector->begun < connector->count) {
        struct attempt *attempt = &connector->attempts[connector->begun++];
        int result = begin(attempt);
        if (result == 0) {
            (void)uv_timer_start(&connector->next, on_next, ATTEMPT_DELAY_MS, 0);
            return;
        }
        add_failure(connector, attempt, uv_strerror(result));
        close_attempt(attempt);
        connector->failed++;
    }
    if (connector->failed == connector->count) {
        fail_everywhere(connector);
    }
}

static void on_limit(uv_timer_t *timer)
{
    struct connector *connector = CONTAINER_OF(timer, struct connector, limit);
    if (connector->count == 0) {
        (void)error_set(&connector->error, ERROR_TEMPORARY, 0,
                        "%s: the name could not be looked up within %g s", connector->host,
                        connector->timeout_ms / 1000.0);
        finish(connector, -1);
        return;
    }
    for (size_t i = 0; i < connector->begun; i++) {
        if (connector->attempts[i].open) {
            char reason[64];
            (void)snprintf(reason, sizeof reason, "no answer within %g s",
                           connector->timeout_ms / 1000.0);
            add_failure(connector, &connector->attempts[i], reason);
        }
    }
    fail_everywhere(connector);
}

static void set_address(struct connector *connector, size_t index, const struct sockaddr *address)
{
    struct attempt *attempt = &connector->attempts[index];
    attempt->connector = connector;
    memcpy(&attempt->address, address,
           address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in));
}

/* The next from `entry` on that is of the family, or is not. */
static const struct addrinfo *find(const struct addrinfo *entry, int family, bool same)
{
    while (entry != NULL && (entry->ai_family == family) != same) {
        entry = entry->ai_next;
    }
    return entry;
}

/* The resolver's order, families by turns: RFC 8305 section 4. */
static int take_addresses(struct connector *connector, const struct addrinfo *list)
{
    size_t count = 0;
    for (const struct addrinfo *entry = list; entry != NULL && count < MOST_ADDRESSES;
         entry = entry->ai_next) {
        count++;
    }
    connector->attempts = count == 0 ? NULL : calloc(count, sizeof *connector->attempts);
    if (connector->attempts == NULL) {
        return count == 0 ? UV_EAI_NODATA : UV_ENOMEM;
    }
    connector->count = count;
    int family = list->ai_family;
    const struct addrinfo *turns[2] = {list, find(list, family, false)};
    for (size_t i = 0, turn = 0; i < count; turn = 1 - turn) {
        if (turns[turn] != NULL) {
            set_address(connector, i++, turns[turn]->ai_addr);
            turns[turn] = find(turns[turn]->ai_next, family, turn == 0);
        }
    }
    return 0;
}

static void fail_lookup(struct connector *connector, int status)
{
    bool unknown = status == UV_EAI_NONAME || status == UV_EAI_NODATA;
    (void)error_set(&connector->error, unknown ? ERROR_PERMANENT : ERROR_TEMPORARY, 0, "%s: %s",
                    connector->host, unknown ? "there is no such host" : uv_strerror(status));
    finish(connector, -1);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list)
{
    struct connector *connector = CONTAINER_OF(lookup, struct connector, lookup);
    connector->looking_up = false;
    if (!connector->finished) {
        if (status == 0) {
            status = take_addresses(connector, list);
        }
        if (status == 0) {
            begin_next(connector);
        } else {
            fail_lookup(connector, status);
        }
    }
    uv_freeaddrinfo(list);
    release(connector);
}

/* A numeric address needs no thread. False if the host is none. */
static bool take_numeric(struct connector *connector)
{
    struct sockaddr_storage address = {0};
    if (uv_ip4_addr(connector->host, connector->port, (struct sockaddr_in *)&address) < 0 &&
        uv_ip6_addr(connector->host, connector->port, (struct sockaddr_in6 *)&address) < 0) {
        return false;
    }
    connector->numeric = true;
    connector->attempts = calloc(1, sizeof *connector->attempts);
    if (connector->attempts != NULL) {
        connector->count = 1;
        set_address(connector, 0, (const struct sockaddr *)&address);
    }
    return true;
}

static void on_start(uv_timer_t *timer)
{
    struct connector *connector = CONTAINER_OF(timer, struct connector, next);
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (take_numeric(connector)) {
        if (connector->attempts == NULL) {
            fail_lookup(connector, UV_ENOMEM);
        } else {
            begin_next(connector);
        }
        return;
    }
    (void)snprintf(port, sizeof port, "%u", connector->port);
    int result = uv_getaddrinfo(connector->loop, &connector->lookup, on_lookup, connector->host,
                                port, &hints);
    connector->looking_up = result == 0;
    if (result < 0) {
        fail_lookup(connector, result);
    }
}

static void copy_host(struct connector *connector, const char *host)
{
    size_t size = strlen(host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    /* what does not fit is no host name: cut, it is not found */
    size = size < sizeof connector->host ? size : sizeof connector->host - 1;
    memcpy(connector->host, host, size);
    connector->host[size] = '\0';
}

struct connector *connector_create(uv_loop_t *loop, const struct connection_target *target,
                                   connector_done *done, void *owner)
{
    struct connector *connector = calloc(1, sizeof *connector);
    if (connector == NULL) {
        return NULL;
    }
    connector->loop = loop;
    connector->done = done;
    connector->owner = owner;
    connector->port = target->port;
    connector->timeout_ms = target->timeout_ms;
    copy_host(connector, target->host);
    (void)uv_timer_init(loop, &connector->limit); /* never fails */
    (void)uv_timer_init(loop, &connector->next);
    connector->limit.data = connector;
    connector->next.data = connector;
    connector->handles = 2;
    (void)uv_timer_start(&connector->limit, on_limit, target->timeout_ms, 0);
    (void)uv_timer_start(&connector->next, on_start, 0, 0);
    return connector;
}

const struct error *connector_error(const struct connector *connector)
{
    return &connector->error;
}

struct connector *connector_free(struct connector *connector)
{
    if (connector != NULL) {
        stop(connector);
        connector->owner = NULL;
        release(connector);
    }
    return NULL;
}
