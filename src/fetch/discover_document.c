/* SPDX-License-Identifier: MIT */
/* Mozilla's autoconfig documents (https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat), as
 * anybody may write them. Expat reads; at a DTD, at a depth or a length that none needs, it stops. */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "fetch/discover_sources.h"

enum { DEPTH_MOST = 32, TEXT_OCTETS = 512 };

struct reader {
    XML_Parser parser;
    const struct discover_address *address;
    struct discover_server *servers;
    size_t most, count;
    const char *refusal; /* NULL: none */
    unsigned depth;
    bool is_document, is_in_server;
    char host[TEXT_OCTETS], port[TEXT_OCTETS], tls[TEXT_OCTETS], user[TEXT_OCTETS];
    bool wants_token, takes_password;
    char text[TEXT_OCTETS]; /* of the element that is open */
    size_t text_size;
};

static void refuse(struct reader *reader, const char *why)
{
    if (reader->refusal == NULL) {
        reader->refusal = why;
    }
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL on_dtd(void *owner, const XML_Char *name, const XML_Char *system_id,
                           const XML_Char *public_id, int has_internal_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    refuse(owner, "the document has a DTD");
}

static const char *attribute(const XML_Char **attributes, const char *name)
{
    for (; attributes[0] != NULL; attributes += 2) {
        if (strcmp(attributes[0], name) == 0) {
            return attributes[1];
        }
    }
    return "";
}

static void XMLCALL on_start(void *owner, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = owner;
    if (++reader->depth > DEPTH_MOST) {
        refuse(reader, "the document is nested too deeply");
        return;
    }
    reader->text_size = 0;
    if (reader->depth == 1) {
        reader->is_document = strcmp(name, "clientConfig") == 0;
    }
    if (reader->depth == 3 && strcmp(name, "incomingServer") == 0) {
        reader->is_in_server = strcmp(attribute(attributes, "type"), "pop3") == 0;
        reader->host[0] = reader->port[0] = reader->tls[0] = reader->user[0] = '\0';
        reader->wants_token = reader->takes_password = false;
    }
}

static void XMLCALL on_text(void *owner, const XML_Char *text, int size)
{
    struct reader *reader = owner;
    size_t room = sizeof reader->text - 1 - reader->text_size;
    if (!reader->is_in_server) {
        return;
    }
    if ((size_t)size > room) {
        refuse(reader, "a text in the document is too long");
        return;
    }
    memcpy(reader->text + reader->text_size, text, (size_t)size);
    reader->text_size += (size_t)size;
}

/* With the placeholders filled in; false: it does not fit, or is no name. */
static bool expand_user(const struct reader *reader, char *out)
{
    static const char whole[] = "%EMAILADDRESS%", local[] = "%EMAILLOCALPART%",
                      domain[] = "%EMAILDOMAIN%";
    const struct {
        const char *name, *value;
    } places[] = {{whole, reader->address->whole},
                  {local, reader->address->local},
                  {domain, reader->address->domain}};
    const char *from = reader->user[0] == '\0' ? whole : reader->user;
    size_t size = 0;
    while (*from != '\0') {
        char octet[] = {*from, '\0'};
        const char *value = octet;
        size_t taken = 1;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            size_t length = strlen(places[i].name);
            if (strncmp(from, places[i].name, length) == 0) {
                value = places[i].value;
                taken = length;
            }
        }
        size_t length = strlen(value);
        if (size + length >= DISCOVER_USER_OCTETS || (unsigned char)*from < ' ' || *from == 0x7f) {
            return false;
        }
        memcpy(out + size, value, length);
        size += length;
        from += taken;
    }
    out[size] = '\0';
    return size > 0 && out[0] != ' ' && out[size - 1] != ' ';
}

static void take_server(struct reader *reader)
{
    struct discover_server server = {.wants_token = reader->wants_token && !reader->takes_password};
    uint64_t port;
    bool is_implicit = strcmp(reader->tls, "SSL") == 0;
    if (reader->count == reader->most || !discover_is_host(reader->host) ||
        strlen(reader->host) >= sizeof server.host ||
        number_parse(bytes_of(reader->port), 65535, &port) < 0 || port == 0 ||
        (!is_implicit && strcmp(reader->tls, "STARTTLS") != 0) ||
        !expand_user(reader, server.user)) {
        return;
    }
    memcpy(server.host, reader->host, strlen(reader->host) + 1);
    server.port = (uint32_t)port;
    server.tls = is_implicit ? FETCH_TLS_IMPLICIT : FETCH_TLS_STLS;
    reader->servers[reader->count++] = server;
}

/* The text of the element, without the blanks around it. */
static void trim(struct reader *reader)
{
    static const char blanks[] = " \t\r\n";
    reader->text[reader->text_size] = '\0';
    size_t begin = strspn(reader->text, blanks);
    size_t end = reader->text_size;
    while (end > begin && strchr(blanks, reader->text[end - 1]) != NULL) {
        end--;
    }
    memmove(reader->text, reader->text + begin, end - begin);
    reader->text[end - begin] = '\0';
}

static void take_field(struct reader *reader, const char *name)
{
    const struct {
        const char *name;
        char *place;
    } fields[] = {{"hostname", reader->host},
                  {"port", reader->port},
                  {"socketType", reader->tls},
                  {"username", reader->user}};
    trim(reader);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(name, fields[i].name) == 0) {
            memcpy(fields[i].place, reader->text, strlen(reader->text) + 1);
        }
    }
    if (strcmp(name, "authentication") == 0) {
        bool is_token = strcmp(reader->text, "OAuth2") == 0;
        reader->wants_token |= is_token;
        reader->takes_password |= !is_token;
    }
}

static void XMLCALL on_end(void *owner, const XML_Char *name)
{
    struct reader *reader = owner;
    if (reader->is_in_server && reader->depth == 4) {
        take_field(reader, name);
    }
    if (reader->is_in_server && reader->depth == 3) {
        take_server(reader);
        reader->is_in_server = false;
    }
    reader->text_size = 0;
    reader->depth--;
}

int discover_parse_document(struct bytes document, const struct discover_address *address,
                            struct discover_server *servers, size_t most, size_t *count_out,
                            struct error *error)
{
    struct reader reader = {.address = address, .servers = servers, .most = most};
    reader.parser = XML_ParserCreate(NULL);
    if (reader.parser == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory");
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetStartDoctypeDeclHandler(reader.parser, on_dtd);
    XML_SetElementHandler(reader.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader.parser, on_text);
    enum XML_Status status =
        document.size > INT32_MAX
            ? XML_STATUS_ERROR
            : XML_Parse(reader.parser, (const char *)document.data, (int)document.size, XML_TRUE);
    XML_ParserFree(reader.parser);
    if (reader.refusal != NULL) {
        return error_set(error, ERROR_PROTOCOL, 0, "%s", reader.refusal);
    }
    if (status != XML_STATUS_OK || !reader.is_document) {
        return error_set(error, ERROR_PROTOCOL, 0, "it is no such document");
    }
    *count_out = reader.count;
    return 0;
}
