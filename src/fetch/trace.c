/* SPDX-License-Identifier: MIT */
#include "fetch/trace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NAME_OCTETS = 256 };

/* Names of strangers' servers and of the person's own account: printable, without what a header means by more
 * than a letter. */
static void clean(const char *name, char out[NAME_OCTETS])
{
    size_t used = 0;
    for (size_t i = 0; name != NULL && name[i] != '\0' && used + 1 < NAME_OCTETS; i++) {
        if (name[i] > 0x20 && name[i] < 0x7F && strchr("()<>,;\\\"", name[i]) == NULL) {
            out[used++] = name[i];
        }
    }
    out[used] = '\0';
}

/* RFC 5322 section 3.3, whatever the locale. */
static void write_date(struct buffer *out, int64_t now_s)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)now_s;
    struct tm date;
    char text[128];
    if (gmtime_r(&now, &date) == NULL) {
        memset(&date, 0, sizeof date);
    }
    (void)snprintf(text, sizeof text, "%s, %d %s %d %02d:%02d:%02d +0000", days[date.tm_wday % 7],
                   date.tm_mday, months[date.tm_mon % 12], date.tm_year + 1900, date.tm_hour,
                   date.tm_min, date.tm_sec);
    buffer_append_text(out, text);
}

void trace_write(struct buffer *out, const char *host, const char *user, int64_t now_s)
{
    char server[NAME_OCTETS];
    char person[NAME_OCTETS];
    char own[NAME_OCTETS];
    char here[NAME_OCTETS] = "";
    clean(host, server);
    clean(user, person);
    (void)gethostname(here, sizeof here - 1); /* empty is "localhost" below */
    clean(here[0] == '\0' ? "localhost" : here, own);
    if (person[0] != '\0') {
        buffer_append_text(out, "Delivered-To: ");
        buffer_append_text(out, person);
        buffer_append_text(out, "\r\n");
    }
    buffer_append_text(out, "Received: ");
    if (server[0] != '\0') {
        buffer_append_text(out, "from ");
        buffer_append_text(out, server);
        buffer_append_text(out, "\r\n\t");
    }
    buffer_append_text(out, "by ");
    buffer_append_text(out, own);
    /* Of the protocols registered for "with", none is POP3: so a comment says it. */
    buffer_append_text(out, " (restante fetch, POP3);\r\n\t");
    write_date(out, now_s);
    buffer_append_text(out, "\r\n");
    if (out->overflow) {
        out->written = out->read;
    }
}
