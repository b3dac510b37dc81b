/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_LAST_USES_H
#define RESTANTE_ACCOUNT_LAST_USES_H

/* When app passwords were used last: a text of lines of one length,
 *
 *     2026-11-30 FINGERPRINT
 *
 * the date in UTC and account_fingerprint in base64 (RFC 4648 section 5, no padding). A date is written over
 * the older one, so that the file has a line for each app password that was ever used and nothing to be
 * compacted. Two processes may write at once (flock). Dates are not synced: a loss of power may lose
 * the last ones. One thread. */

#include "account/account_secrets.h"
#include "base/attributes.h"
#include "base/error.h"

enum { LAST_USE_DATE_SIZE = 11 };

#define LAST_USES_FILE "last-uses" /* in the state folder */

struct last_uses;

/* Reads the file; one that is not there is made, mode 0600, where `may_write`, else is as good as empty.
 * The descriptor stays open: no path is needed any more. As error_from_errno. */
int last_uses_open(const char *path, bool may_write, struct last_uses **uses_out,
                   struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. */
struct last_uses *last_uses_close(struct last_uses *uses);

/* Notes a use on the day of `date`, in memory; true: last_uses_write has something to do. A date that is
 * not later than the known one changes nothing. */
bool last_uses_note(struct last_uses *uses, const uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS],
                    const char date[LAST_USE_DATE_SIZE]);

/* Writes what was noted, and reads what others have written. What failed is tried again by the next. */
int last_uses_write(struct last_uses *uses, struct error *error) MUST_CHECK;

/* The date, or NULL: never. Borrowed until the next call. */
const char *last_uses_date(const struct last_uses *uses,
                           const uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS]);

#endif
