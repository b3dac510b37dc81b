/* SPDX-License-Identifier: MIT */
/* What is known of the server: the reply to CAPA (RFC 2449 sections 5 and 6, 2595, 3206, 5034, 6856) and the
 * timestamp of its greeting (RFC 1939 section 7). All of it is forgotten when TLS begins. */
#include "base/number.h"
#include "pop3/client_session.h"

static const struct {
    const char *tag;
    uint32_t bit;
} tags[] = {
    {"TOP", POP3_CAPABILITY_TOP},
    {"USER", POP3_CAPABILITY_USER},
    {"SASL", POP3_CAPABILITY_SASL},
    {"RESP-CODES", POP3_CAPABILITY_RESP_CODES},
    {"LOGIN-DELAY", POP3_CAPABILITY_LOGIN_DELAY},
    {"PIPELINING", POP3_CAPABILITY_PIPELINING},
    {"EXPIRE", POP3_CAPABILITY_EXPIRE},
    {"UIDL", POP3_CAPABILITY_UIDL},
    {"IMPLEMENTATION", POP3_CAPABILITY_IMPLEMENTATION},
    {"STLS", POP3_CAPABILITY_STLS},
    {"AUTH-RESP-CODE", POP3_CAPABILITY_AUTH_RESP_CODE},
    {"UTF8", POP3_CAPABILITY_UTF8},
    {"LANG", POP3_CAPABILITY_LANG},
};

void client_forget_server(struct pop3_client *client)
{
    client->capabilities = (struct pop3_client_capabilities){0};
    client->capa_unknown = false;
    client->timestamp[0] = '\0';
}

void client_begin_capabilities(struct pop3_client *client)
{
    client->capabilities = (struct pop3_client_capabilities){.known = 1};
    client->capa_unknown = false;
}

/* The first "<...@...>" of graphic ASCII: a msg-id of RFC 822, so that a server in the middle has as little
 * room as may be to choose what is hashed with the secret. */
void client_find_timestamp(struct pop3_client *client, struct bytes greeting)
{
    struct bytes text = bytes_from(greeting, bytes_find(greeting, '<'));
    size_t end = bytes_find(text, '>');
    size_t at = bytes_find(text, '@');
    if (end == text.size || end + 2 > sizeof client->timestamp || at < 2 || at + 1 >= end) {
        return;
    }
    for (size_t i = 1; i < end; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f || text.data[i] == '<') {
            return;
        }
    }
    memcpy(client->timestamp, text.data, end + 1);
    client->timestamp[end + 1] = '\0';
}

static void set_mechanisms(struct pop3_client_capabilities *capabilities, struct bytes names)
{
    char *out = capabilities->sasl_mechanisms;
    size_t used = 0;
    while (names.size != 0) {
        struct bytes name = client_take_word(&names);
        size_t gap = used == 0 ? 0 : 1;
        if (used + gap + name.size >= sizeof capabilities->sasl_mechanisms ||
            memchr(name.data, '\0', name.size) != NULL) {
            break;
        }
        memcpy(out + used, " ", gap);
        memcpy(out + used + gap, name.data, name.size);
        used += gap + name.size;
    }
    out[used] = '\0';
}

static bool has_word(struct bytes words, const char *wanted)
{
    bool found = false;
    while (words.size != 0 && !found) {
        found = bytes_equal_ignoring_case(client_take_word(&words), bytes_of(wanted));
    }
    return found;
}

/* A number, or what it is when there is none. */
static uint32_t number_or(struct bytes text, uint32_t otherwise)
{
    uint64_t value;
    return number_parse(text, UINT32_MAX, &value) < 0 ? otherwise : (uint32_t)value;
}

void client_add_capability(struct pop3_client *client, struct bytes line)
{
    struct pop3_client_capabilities *capabilities = &client->capabilities;
    struct bytes rest = line;
    struct bytes tag = client_take_word(&rest);
    uint32_t bit = 0;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        if (bytes_equal_ignoring_case(tag, bytes_of(tags[i].tag))) {
            bit = tags[i].bit;
        }
    }
    capabilities->set |= bit;
    if (bit == POP3_CAPABILITY_SASL) {
        set_mechanisms(capabilities, rest);
    } else if (bit == POP3_CAPABILITY_UTF8) {
        capabilities->set |= has_word(rest, "USER") ? POP3_CAPABILITY_UTF8_USER : 0;
    } else if (bit == POP3_CAPABILITY_LOGIN_DELAY) {
        capabilities->login_delay_seconds = number_or(client_take_word(&rest), 0);
    } else if (bit == POP3_CAPABILITY_EXPIRE) {
        capabilities->expire_days = number_or(client_take_word(&rest), UINT32_MAX);
    }
}
