/* SPDX-License-Identifier: MIT */
/* The one rule about names of users. A name becomes part of a path and of log lines, so what could leave
 * its folder or forge a line is refused before anything else sees it. */
#include "base/user_name.h"

int user_name_check(struct bytes name, struct error *error)
{
    if (name.size == 0) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "a user name is not empty");
    }
    if (name.size > USER_NAME_OCTETS_MAX) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "a user name has at most %d octets",
                         USER_NAME_OCTETS_MAX);
    }
    if (name.data[0] == '.') {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "a user name does not begin with '.'");
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '/') {
            return error_set(error, ERROR_NO_SUCH_USER, 0, "a user name has no '/' in it");
        }
        if (name.data[i] < 0x20 || name.data[i] == 0x7F) {
            return error_set(error, ERROR_NO_SUCH_USER, 0,
                             "a user name has no control characters in it");
        }
    }
    return 0;
}
