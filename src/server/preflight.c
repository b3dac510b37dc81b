/* SPDX-License-Identifier: MIT */
#include "server/preflight.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/accounts.h"
#include "server/certificates.h"

static void check_user(const char *path, const struct configuration *configuration, const char *key,
                       const char *user, struct configuration_notes *notes)
{
    if (geteuid() == 0 && getpwnam(user) == NULL) {
        configuration_note(notes, true, path, configuration_line(configuration, key),
                           "%s = %s: there is no such system user; make it (adduser --system "
                           "--group %s) or write the name of one that exists",
                           key, user, user);
    }
}

static void check_accounts(const char *path, const struct configuration *configuration,
                           struct configuration_notes *notes)
{
    struct accounts *accounts;
    struct error error;
    const char *file = configuration->accounts_file;
    unsigned line = configuration_line(configuration, "file");
    if (access(file, F_OK) < 0) {
        configuration_note(notes, true, path, line,
                           "file = %s: %s; make it (restante user add -c %s NAME) or write the "
                           "path of the accounts file",
                           file, strerror(errno), path);
        return;
    }
    if (accounts_load(file, &accounts, &error) < 0) {
        if (error.number != EACCES || geteuid() == 0) { /* else auth will read it */
            configuration_note(notes, true, path, line, "file = %s: %s", file, error.text);
        }
        return;
    }
    struct accounts_facts facts = accounts_facts(accounts);
    if (facts.readable_by_all) {
        configuration_note(notes, false, path, line,
                           "file = %s: everybody on this machine may read it; chmod o-r it", file);
    }
    const char *mistake = accounts_mistake(accounts, 0);
    if (mistake != NULL) {
        configuration_note(notes, false, path, line,
                           "file = %s: %u of its lines do not count, the first: %s", file,
                           facts.mistakes, mistake);
    }
    if (facts.memory_max > configuration->hash_memory) {
        configuration_note(notes, false, path, configuration_line(configuration, "hash-memory"),
                           "hash-memory is less than the check of line %u of %s needs; write at "
                           "least %lluM",
                           facts.memory_max_line, file,
                           (unsigned long long)((facts.memory_max + (1U << 20) - 1) >> 20));
    }
    (void)accounts_free(accounts);
}

/* The part of the template before its first field must be there, or an unmounted disk would look like
 * deleted mail. */
static void check_mail_root(const char *path, const struct configuration *configuration,
                            struct configuration_notes *notes)
{
    char root[CONFIGURATION_VALUE_SIZE];
    struct stat facts;
    memcpy(root, configuration->path, sizeof root);
    root[strcspn(root, "%")] = '\0';
    char *slash = strrchr(root, '/');
    if (slash != root) {
        *slash = '\0';
    }
    if (stat(root, &facts) < 0 && errno == ENOENT) {
        configuration_note(notes, false, path, configuration_line(configuration, "path"),
                           "path = %s: there is no folder %s, and no login will succeed until "
                           "there is",
                           configuration->path, root);
    }
}

/* Noted where they are wrong; who may not read the key (not root) is not told that it is. */
static void check_certificates(const char *path, const struct configuration *configuration,
                               struct configuration_notes *notes)
{
    static struct certificates certificates; /* large */
    if (certificates_load(configuration, path, false, &certificates, notes) == 0) {
        certificates_close(&certificates);
    }
}

int preflight_load(const char *path, struct configuration *out, struct configuration_notes *notes,
                   struct bytes *text_out)
{
    struct bytes text;
    struct error error;
    *notes = (struct configuration_notes){0};
    if (configuration_read(path, &text, &error) < 0) {
        configuration_note(notes, true, path, 0, "%s", error.text);
        return -1;
    }
    int result = configuration_parse(path, text, out, notes);
    if (result == 0) {
        check_user(path, out, "user", out->user, notes);
        check_user(path, out, "auth-user", out->auth_user, notes);
        check_accounts(path, out, notes);
        check_mail_root(path, out, notes);
        check_certificates(path, out, notes);
        result = notes->mistakes == 0 ? 0 : -1;
    }
    if (result == 0 && text_out != NULL) {
        *text_out = text;
    } else {
        free((void *)(uintptr_t)text.data);
    }
    return result;
}
