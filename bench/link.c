/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 60, DROPPED_OCTETS = 64 * 1024 };

static int fail_tls(const char *what, struct error *error)
{
    char text[120] = "no reason given";

    if (ERR_peek_error() != 0) {
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
    }
    ERR_clear_error();
    return error_set(error, ERROR_PROTOCOL, 0, "TLS: %s: %s", what, text);
}

/* The first ticket serves for all that follow. */
static int on_session(SSL *tls, SSL_SESSION *session)
{
    struct link_target *target = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls));

    if (target->session != NULL || SSL_SESSION_is_resumable(session) != 1) {
        return 0;
    }
    target->session = session;
    return 1;
}

int link_target_init(struct link_target *target, uint16_t port, enum link_security security,
                     struct error *error)
{
    *target = (struct link_target){.address = {.sin_family = AF_INET,
                                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                               .sin_port = htons(port)},
                                   .security = security};
    if (security == LINK_PLAIN) {
        return 0;
    }
    target->context = SSL_CTX_new(TLS_client_method());
    if (target->context == NULL ||
        SSL_CTX_set_min_proto_version(target->context, TLS1_3_VERSION) != 1) {
        return fail_tls("no context", error);
    }
    /* Servers that just close are none the worse here, and one read brings all that came. */
    SSL_CTX_set_options(target->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(target->context, 1);
    SSL_CTX_set_app_data(target->context, target);
    if (security == LINK_RESUMED) {
        SSL_CTX_set_session_cache_mode(target->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(target->context, on_session);
    }
    return 0;
}

void link_target_free(struct link_target *target)
{
    SSL_SESSION_free(target->session);
    SSL_CTX_free(target->context);
}

/* A copy: OpenSSL uses no session of TLS 1.3 twice. */
static int set_session(struct link *link)
{
    SSL_SESSION *session = SSL_SESSION_dup(link->target->session);

    link->resumes = session != NULL && SSL_set_session(link->tls, session) == 1;
    SSL_SESSION_free(session);
    return link->resumes ? 0 : -1;
}

static int begin_tls(struct link *link, bool waits, struct error *error)
{
    link->tls = SSL_new(link->target->context);
    if (link->tls == NULL || SSL_set_fd(link->tls, link->descriptor) != 1) {
        return fail_tls("no connection", error);
    }
    SSL_set_connect_state(link->tls);
    if (link->target->session != NULL && set_session(link) != 0) {
        return fail_tls("the session does not fit", error);
    }
    int returned = SSL_do_handshake(link->tls);
    if (returned == 1) {
        return 0;
    }
    int reason = SSL_get_error(link->tls, returned);
    return !waits && (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
               ? 0
               : fail_tls("handshake", error);
}

int link_open(struct link *link, struct link_target *target, bool waits, struct error *error)
{
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    int on = 1;

    *link = (struct link){.target = target};
    link->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (waits ? 0 : SOCK_NONBLOCK), 0);
    if (link->descriptor < 0) {
        return error_from_errno(error, errno, "socket");
    }
    /* Commands of one that does not wait go out one by one: nothing delays them. */
    if (waits &&
        (setsockopt(link->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
         setsockopt(link->descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)) {
        return error_from_errno(error, errno, "setsockopt");
    }
    if (connect(link->descriptor, (const struct sockaddr *)&target->address,
                sizeof target->address) != 0 &&
        errno != EINPROGRESS) {
        return error_from_errno(error, errno, "connect");
    }
    return target->security == LINK_PLAIN ? 0 : begin_tls(link, waits, error);
}

void link_close(struct link *link)
{
    if (link->tls != NULL) {
        /* else its session would not serve any more */
        SSL_set_shutdown(link->tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(link->tls);
    link->tls = NULL;
    if (link->descriptor >= 0) {
        close(link->descriptor);
        link->descriptor = -1;
    }
}

int link_send(struct link *link, struct bytes octets, struct error *error)
{
    size_t written;

    if (link->tls != NULL) {
        return SSL_write_ex(link->tls, octets.data, octets.size, &written) == 1
                   ? 0
                   : fail_tls("write", error);
    }
    while (octets.size > 0) {
        ssize_t sent = send(link->descriptor, octets.data, octets.size, MSG_NOSIGNAL);
        if (sent < 0) {
            return error_from_errno(error, errno, "send");
        }
        octets = bytes_from(octets, (size_t)sent);
    }
    return 0;
}

static ssize_t receive_plain(struct link *link, void *data, size_t size, int flags,
                             struct error *error)
{
    ssize_t received = recv(link->descriptor, data, size, flags);

    if (received >= 0) {
        return received;
    }
    if (errno == EAGAIN) {
        return LINK_LATER;
    }
    error_from_errno(error, errno, "recv");
    return LINK_BROKEN;
}

static ssize_t receive_tls(struct link *link, void *data, size_t capacity, struct error *error)
{
    size_t size;
    int returned = SSL_read_ex(link->tls, data, capacity, &size);

    if (returned == 1) {
        if (link->resumes && SSL_session_reused(link->tls) != 1) {
            fail_tls("the server did not go on with the session", error);
            return LINK_BROKEN;
        }
        return (ssize_t)size;
    }
    switch (SSL_get_error(link->tls, returned)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return LINK_LATER;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        fail_tls("read", error);
        return LINK_BROKEN;
    }
}

ssize_t link_receive(struct link *link, void *data, size_t capacity, struct error *error)
{
    return link->tls == NULL ? receive_plain(link, data, capacity, 0, error)
                             : receive_tls(link, data, capacity, error);
}

ssize_t link_drop(struct link *link, size_t most, struct error *error)
{
    static uint8_t dropped[DROPPED_OCTETS];

    if (link->tls == NULL) {
        return receive_plain(link, NULL, most, MSG_TRUNC, error);
    }
    return receive_tls(link, dropped, most < sizeof dropped ? most : sizeof dropped, error);
}
