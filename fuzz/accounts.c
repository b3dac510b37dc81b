/* SPDX-License-Identifier: MIT */
/* The accounts file may be any octets. Loads them as one, looks everybody up who is in it, and makes each
 * change to it: what is loaded must be found again, and a change must leave all others as they were. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account/accounts.h"
#include "account/accounts_edit.h"

enum { INPUT_OCTETS_MAX = 1 << 18 };

static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void remove_file(void)
{
    char folder[sizeof path];
    (void)unlink(path);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    (void)rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    char folder[] = "/dev/shm/restante-fuzz-XXXXXX";
    must(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/accounts", folder);
    must(atexit(remove_file) == 0);
    return 0;
}

static struct accounts *load(void)
{
    struct accounts *accounts;
    struct error error;
    must(accounts_load(path, &accounts, &error) == 0);
    return accounts;
}

/* Everybody of the file is found by name, but for whom an earlier line has the same. */
static void look_up_all(const struct accounts *accounts)
{
    struct error error;
    for (uint32_t i = 0; i < accounts_facts(accounts).count; i++) {
        struct account *account, *found;
        if (accounts_at(accounts, i, &account, &error) < 0) {
            must(error.kind == ERROR_TEMPORARY && accounts_facts(accounts).mistakes > 0);
            continue;
        }
        must(accounts_lookup(accounts, bytes_of(account->name), &found, &error) == 0);
        must(strcmp(account->name, found->name) == 0 && account->line == found->line);
        must(account->maildrop == NULL || account->maildrop[0] == '/');
        must(account->home == NULL || account->home[0] == '/');
        account_free(account);
        account_free(found);
    }
}

static int set_verifier(struct bytes line, struct buffer *out, void *context, struct error *error)
{
    (void)context;
    (void)error;
    buffer_append(out, (struct bytes){line.data, bytes_find(line, ':') + 1});
    buffer_append_text(out, "{PLAIN}yy");
    return 0;
}

static void change_and_change_back(struct accounts *before)
{
    static const char name[] = "somebody.new@example.org";
    struct error error;
    if (accounts_edit(path, ACCOUNTS_ADD, bytes_of(name), "{PLAIN}x", &error) < 0) {
        must(error.kind == ERROR_USAGE || error.kind == ERROR_CONFIGURATION);
        return;
    }
    struct accounts *after = load();
    must(accounts_facts(after).count == accounts_facts(before).count + 1);
    must(accounts_facts(after).mistakes == accounts_facts(before).mistakes);
    struct account *account;
    must(accounts_lookup(after, bytes_of(name), &account, &error) == 0);
    must(strcmp(account->verifier, "{PLAIN}x") == 0);
    account_free(account);
    (void)accounts_free(after);
    must(accounts_edit_line(path, bytes_of(name), set_verifier, NULL, &error) == 0);
    must(accounts_edit(path, ACCOUNTS_REMOVE, bytes_of(name), NULL, &error) == 0);
    after = load();
    must(accounts_facts(after).count == accounts_facts(before).count);
    must(accounts_facts(after).mistakes == accounts_facts(before).mistakes);
    (void)accounts_free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_OCTETS_MAX) {
        return 0;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(file >= 0 && write(file, data, size) == (ssize_t)size && close(file) == 0);
    struct accounts *accounts = load();
    struct account *decoy;
    struct error error;
    look_up_all(accounts);
    must(accounts_decoy(accounts, &decoy, &error) == 0 && !decoy->may_login);
    account_free(decoy);
    if (size % 8 == 0) { /* it is ten times slower than the rest */
        change_and_change_back(accounts);
    }
    (void)accounts_free(accounts);
    return 0;
}
