/* SPDX-License-Identifier: MIT */
/* A report is one struct in one write: both ends are the same executable. */
#include "account/checkpassword_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/number.h"

enum { STATUS_TEMPORARY = 111 };

static bool take_text(const char *variable, char *text_out, size_t room)
{
    const char *value = getenv(variable);
    return value == NULL || snprintf(text_out, room, "%s", value) < (int)room;
}

static bool take_id(const char *variable, uint32_t own, uint32_t *id_out)
{
    const char *value = getenv(variable);
    uint64_t number = own;
    if (value != NULL && number_parse(bytes_of(value), ACCOUNT_NO_ID - 1, &number) < 0) {
        return false;
    }
    *id_out = (uint32_t)number;
    return true;
}

int checkpassword_reply_write(void)
{
    struct checkpassword_reply reply = {0};
    struct source_answer *answer = &reply.answer;
    const char *authorized = getenv("AUTHORIZED");
    reply.is_authorized = authorized != NULL && strcmp(authorized, "2") == 0;
    if (!take_text("USER", answer->name, sizeof answer->name) ||
        !take_text("HOME", answer->home, sizeof answer->home) ||
        !take_text("userdb_mail", answer->maildrop, sizeof answer->maildrop) ||
        !take_id("userdb_uid", getuid(), &answer->uid) ||
        !take_id("userdb_gid", getgid(), &answer->gid)) {
        return STATUS_TEMPORARY;
    }
    return write(CHECKPASSWORD_REPLY, &reply, sizeof reply) == (ssize_t)sizeof reply
               ? EX_OK
               : STATUS_TEMPORARY;
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

int checkpassword_reply_read(int descriptor, struct checkpassword_reply *reply_out)
{
    struct source_answer *answer = &reply_out->answer;
    if (read(descriptor, reply_out, sizeof *reply_out) != (ssize_t)sizeof *reply_out ||
        !ends(answer->name, sizeof answer->name) || !ends(answer->home, sizeof answer->home) ||
        !ends(answer->maildrop, sizeof answer->maildrop)) {
        return -1;
    }
    answer->verifier[0] = '\0';
    answer->extra[0] = '\0';
    if (answer->uid == getuid()) {
        answer->uid = ACCOUNT_NO_ID;
        answer->gid = ACCOUNT_NO_ID;
    }
    return 0;
}
