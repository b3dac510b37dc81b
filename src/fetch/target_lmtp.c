/* SPDX-License-Identifier: MIT */
#include "fetch/target.h"

int target_lmtp_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    (void)options;
    (void)target_out;
    return error_set(error, ERROR_CONFIGURATION, 0, "LMTP is not there yet");
}
