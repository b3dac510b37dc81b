/* SPDX-License-Identifier: MIT */
/* Look-ups. Names and verifiers stay in the file: a look-up reads its line again and compares a keyed hash
 * of it, so that what was checked at load time is what is used. */
#include "account/accounts.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "account/account_line.h"
#include "account/accounts_table.h"
#include "account/source.h"
#include "account/verifier.h"
#include "base/user_name.h"

/* One allocation: texts follow the struct. */
struct account_memory {
    struct account account;
    size_t size;
    char text[];
};

/* Where nobody in the file can log in: what `restante user add` would have made. */
static const char decoy_verifier[] =
    "{SCRAM-SHA-256}100000,AAAAAAAAAAAAAAAAAAAAAA==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/* Reads the line of an entry anew. `text_out` is in `buffer`, which the caller wipes. */
static int read_entry(const struct accounts *accounts, const struct accounts_entry *entry,
                      uint8_t buffer[ACCOUNT_LINE_OCTETS_MAX], struct bytes *text_out,
                      struct error *error)
{
    ssize_t got;
    do {
        got = pread(accounts->descriptor, buffer, entry->octets, (off_t)entry->offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_from_errno(error, errno, "%s: cannot read", accounts_table_path(accounts));
    }
    *text_out = (struct bytes){buffer, (size_t)got};
    if ((size_t)got != entry->octets ||
        (uint32_t)accounts_table_hash(accounts, *text_out) != entry->line_hash) {
        return error_set(error, ERROR_TEMPORARY, 0, "%s:%u: changed since it was loaded",
                         accounts_table_path(accounts), entry->number);
    }
    return 0;
}

static char *append(char *at, struct bytes octets)
{
    if (octets.size > 0) {
        memcpy(at, octets.data, octets.size);
    }
    return at + octets.size;
}

/* What is checked: of a locked account and of none, somebody else's. */
struct secrets {
    struct bytes verifier, extra;
};

static int make_account(const struct account_line *line, const struct secrets *secrets,
                        uint32_t number, struct account **account_out, struct error *error)
{
    struct bytes before = line->is_in_home ? line->home : (struct bytes){0};
    size_t path_size = line->maildrop.size > 0 ? before.size + 1 + line->maildrop.size : 0;
    size_t size = line->name.size + 1 + secrets->verifier.size + 1 + secrets->extra.size + 1 +
                  line->home.size + 1 + path_size + 1;
    struct account_memory *memory = calloc(1, sizeof *memory + size);
    if (memory == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for an account");
    }
    memory->size = sizeof *memory + size;
    memory->account.line = number;
    memory->account.may_login = !line->is_locked;
    memory->account.uid = line->uid;
    memory->account.gid = line->gid;
    char *at = memory->text;
    memory->account.name = at;
    at = append(at, line->name) + 1;
    memory->account.verifier = at;
    at = append(at, secrets->verifier) + 1;
    memory->account.extra = at;
    at = append(at, secrets->extra) + 1;
    if (line->home.size > 0) {
        memory->account.home = at;
        at = append(at, line->home) + 1;
    }
    if (path_size > 0) {
        memory->account.maildrop = at;
        if (line->is_in_home) {
            at = append(append(at, line->home), bytes_of("/"));
        }
        (void)append(at, line->maildrop);
    }
    *account_out = &memory->account;
    return 0;
}

int accounts_decoy(const struct accounts *accounts, struct account **account_out,
                   struct error *error)
{
    struct account_line line = {.uid = ACCOUNT_NO_ID, .gid = ACCOUNT_NO_ID, .is_locked = true};
    struct account_line example;
    if (!accounts->has_decoy) {
        struct secrets nobodys = {.verifier = bytes_of(decoy_verifier)};
        return make_account(&line, &nobodys, 0, account_out, error);
    }
    uint8_t buffer[ACCOUNT_LINE_OCTETS_MAX];
    struct bytes text;
    int result = read_entry(accounts, &accounts->entries[accounts->decoy], buffer, &text, error);
    if (result == 0) {
        result = account_line_parse(text, &example, error);
    }
    if (result == 0) {
        struct secrets others = {.verifier = example.password, .extra = example.extra};
        result = make_account(&line, &others, 0, account_out, error);
    }
    sodium_memzero(buffer, sizeof buffer);
    secret_wipe_stack();
    return result;
}

int accounts_at(const struct accounts *accounts, uint32_t index, struct account **account_out,
                struct error *error)
{
    const struct accounts_entry *entry = &accounts->entries[index];
    struct account *decoy = NULL;
    struct account_line line;
    struct error mistake;
    struct bytes text;
    uint8_t buffer[ACCOUNT_LINE_OCTETS_MAX];
    if (entry->earlier != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "%s:%u: " ACCOUNTS_TABLE_DOUBLE,
                         accounts_table_path(accounts), entry->number, entry->earlier);
    }
    int result = read_entry(accounts, entry, buffer, &text, error);
    if (result == 0 && account_line_parse(text, &line, &mistake) < 0) {
        result = error_set(error, ERROR_TEMPORARY, 0, "%s:%u: %s", accounts_table_path(accounts),
                           entry->number, mistake.text);
    }
    if (result == 0 && line.is_locked) {
        result = accounts_decoy(accounts, &decoy, error);
    }
    if (result == 0) {
        struct secrets secrets = {.verifier = line.password, .extra = line.extra};
        if (decoy != NULL) {
            secrets.verifier = bytes_of(decoy->verifier);
            secrets.extra = bytes_of(decoy->extra);
        }
        result = make_account(&line, &secrets, entry->number, account_out, error);
    }
    account_free(decoy);
    sodium_memzero(buffer, sizeof buffer);
    secret_wipe_stack();
    return result;
}

static int no_such_user(struct bytes name, struct error *error)
{
    char escaped[64];
    return error_set(error, ERROR_NO_SUCH_USER, 0, "no account is called %s",
                     bytes_escape(name, escaped, sizeof escaped));
}

static int find_folded(const struct accounts *accounts, struct bytes name, uint32_t *index_out,
                       struct error *error)
{
    uint8_t folded[USER_NAME_OCTETS_MAX], memory[SASL_PREPARED_OCTETS];
    name = accounts_table_name(name, memory);
    if (user_name_check(name, error) < 0) {
        return -1;
    }
    *index_out = accounts_table_find(accounts, name);
    if (*index_out == accounts->count) {
        for (size_t i = 0; i < name.size; i++) {
            bool is_upper = name.data[i] >= 'A' && name.data[i] <= 'Z';
            folded[i] = (uint8_t)(is_upper ? name.data[i] + ('a' - 'A') : name.data[i]);
        }
        *index_out = accounts_table_find(accounts, (struct bytes){folded, name.size});
    }
    return *index_out < accounts->count ? 0 : no_such_user(name, error);
}

int accounts_lookup(const struct accounts *accounts, struct bytes name,
                    struct account **account_out, struct error *error)
{
    uint32_t index;
    if (find_folded(accounts, name, &index, error) < 0) {
        return -1;
    }
    if (accounts_at(accounts, index, account_out, error) < 0) {
        return -1;
    }
    uint8_t found[SASL_PREPARED_OCTETS], wanted[SASL_PREPARED_OCTETS];
    struct bytes its_name = accounts_table_name(bytes_of((*account_out)->name), found);
    if (!bytes_equal_ignoring_case(its_name, accounts_table_name(name, wanted))) {
        /* the hash collided */
        *account_out = account_free(*account_out);
        return no_such_user(name, error);
    }
    return 0;
}

int accounts_locate(const struct accounts *accounts, struct bytes name,
                    struct accounts_place *place_out, struct error *error)
{
    uint32_t index;
    if (find_folded(accounts, name, &index, error) < 0) {
        return -1;
    }
    const struct accounts_entry *entry = &accounts->entries[index];
    if (entry->later != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s:%u: " ACCOUNTS_TABLE_DOUBLE,
                         accounts_table_path(accounts), entry->later, entry->number);
    }
    *place_out = (struct accounts_place){
        .offset = entry->offset, .octets = entry->octets_whole, .line = entry->number};
    return 0;
}

int account_from_answer(const struct source_answer *answer, bool has_verifier,
                        struct account **account_out, struct error *error)
{
    struct account_line line = {.name = bytes_of(answer->name),
                                .password = bytes_of(answer->verifier),
                                .uid = answer->uid,
                                .gid = answer->gid,
                                .home = bytes_of(answer->home)};
    if (account_line_complete(&line, has_verifier, bytes_of(answer->maildrop),
                              bytes_of(answer->extra), error) < 0) {
        return -1;
    }
    struct secrets secrets = {.verifier = line.password, .extra = line.extra};
    if (has_verifier && line.is_locked) {
        secrets = (struct secrets){.verifier = bytes_of(decoy_verifier)};
    }
    return make_account(&line, &secrets, 0, account_out, error);
}

struct account *account_free(struct account *account)
{
    if (account != NULL) {
        struct account_memory *memory = (struct account_memory *)account;
        sodium_memzero(memory, memory->size);
        free(memory);
    }
    return NULL;
}
