/* SPDX-License-Identifier: MIT */
#include "switching/fetchmail_entry.h"

#include <stdlib.h>
#include <string.h>

/* Where nothing else is said, fetchmail gives mail to the mail server of this machine. */
static void translate_smtp(struct fetchmail_entry *entry)
{
    struct foreign_account *account = entry->account;
    bool is_here = entry->smtphost[0] == '\0' || strcmp(entry->smtphost, "localhost") == 0;
    char *slash = strchr(entry->smtphost, '/');
    if (entry->local_names != 1 || strchr(entry->smtphost, ':') != NULL) {
        foreign_unset(account, "rcpt");
        foreign_note(&account->notes, entry->line,
                     "fetchmail gave this mail to a mail server; here it goes into a Maildir, "
                     "unless you write "
                     "smtp = smtp://HOST and rcpt = ADDRESS");
        return;
    }
    if (slash != NULL) {
        *slash = ':';
    }
    foreign_set(account, "smtp", "smtp://%s", is_here ? "localhost" : entry->smtphost);
    if (is_here) {
        foreign_set(account, "smtp-tls", "no");
    }
    if (strchr(entry->local, '@') == NULL) {
        foreign_set(account, "rcpt", "%s@localhost", entry->local);
    }
}

static void translate_target(struct fetchmail_entry *entry)
{
    struct foreign_account *account = entry->account;
    if (entry->local_names == 1) {
        foreign_set(account, "rcpt", "%s", entry->local);
    } else if (entry->local_names > 1) {
        foreign_note(
            &account->notes, entry->line,
            "several local names: fetchmail sorts by recipient (multidrop), restante does not; "
            "sort in the pipe, or at the LMTP server");
    }
    if (entry->mda[0] != '\0') {
        AUTO_FREE char *command = foreign_copy((struct bytes){0});
        for (const char *at = entry->mda; *at != '\0'; at++) {
            bool is_recipient = at[0] == '%' && at[1] == 'T';
            bool is_sender = at[0] == '%' && (at[1] == 'F' || at[1] == 's');
            char *longer = foreign_format("%s%s%.*s", command,
                                          is_recipient ? "\"$RECIPIENT\""
                                          : is_sender  ? "MAILER-DAEMON"
                                                       : "",
                                          is_recipient || is_sender ? 0 : 1, at);
            free(command);
            command = longer;
            at += is_recipient || is_sender;
            if (is_sender) {
                foreign_note(&account->notes, entry->line,
                             "mda: a pipe is not told the sender (%%F)");
            }
        }
        foreign_set(account, "pipe", "%s", command);
    } else if (entry->lmtp && entry->smtphost[0] != '\0') {
        char *slash = entry->smtphost[0] == '/' ? NULL : strchr(entry->smtphost, '/');
        if (slash != NULL) {
            *slash = ':';
        }
        foreign_set(account, "lmtp", "%s", entry->smtphost);
    } else {
        translate_smtp(entry);
    }
}

static void translate_security(struct fetchmail_entry *entry)
{
    struct foreign_account *account = entry->account;
    if (entry->without_tls && !entry->ssl) {
        foreign_set(account, "tls", "never");
    } else if (!entry->ssl) {
        foreign_set(account, "tls", "stls");
        foreign_note(
            &account->notes, entry->line,
            "without ssl fetchmail goes on in the clear where a server has no STLS; restante "
            "does not. Where there is none, write tls = never");
    }
    if (entry->certificates_unchecked && !entry->without_tls) {
        foreign_note(&account->notes, entry->line,
                     "no sslcertck: restante checks certificates; if that fails, write ca-file or "
                     "fingerprint");
    }
}

void fetchmail_translate(struct foreign *out, const char *ids_file, struct fetchmail_entry *entry)
{
    struct foreign_account *account = entry->account;
    const char *protocol = entry->protocol;
    const char *host = entry->via[0] != '\0' ? entry->via : entry->poll;
    bool is_pop3 = strcasecmp(protocol, "pop3") == 0 || strcasecmp(protocol, "apop") == 0 ||
                   strcasecmp(protocol, "auto") == 0 || protocol[0] == '\0';
    if (!is_pop3) {
        foreign_note(&out->notes, entry->line, "%s is not fetched by POP3: left out", entry->poll);
        return;
    }
    foreign_set(account, "host", "%s", host);
    if (foreign_get(account, "user") == NULL) {
        foreign_note(&account->notes, entry->line,
                     "without user fetchmail logs in as who runs it: write user = NAME");
    }
    if (strcasecmp(protocol, "apop") == 0) {
        foreign_set(account, "auth", "APOP");
    }
    if (protocol[0] == '\0' || strcasecmp(protocol, "auto") == 0) {
        foreign_note(&account->notes, entry->line, "protocol auto: taken for POP3");
    }
    translate_security(entry);
    if (entry->keep && !entry->flush) {
        foreign_set(account, "keep", "yes");
    }
    if (entry->fetchall && entry->keep) {
        foreign_note(&account->notes, entry->line, "fetchall: restante fetches each message once");
    }
    if (entry->skip) {
        foreign_note(&account->notes, entry->line,
                     "skip: restante fetches all accounts where none is named, so this one too");
    }
    translate_target(entry);
    foreign_replace(&account->ids_file, ids_file[0] != '\0' ? ids_file : "~/.fetchids");
    foreign_replace(&account->ids_host, host);
    foreign_replace(&account->ids_user, foreign_get(account, "user"));
    account->deletes_retrieved = entry->flush;
    (void)foreign_add_like(out, account->name, account);
}
