/* SPDX-License-Identifier: MIT */
#include "smtp/data.h"

enum { MOST_OF_ONE = 4 }; /* CR LF for a CR that came before, and a dot doubled */

static void end_line(struct smtp_data *data, struct buffer *out)
{
    buffer_append_text(out, "\r\n");
    data->in_line = false;
    data->after_cr = false;
}

size_t smtp_data_put(struct smtp_data *data, struct bytes octets, struct buffer *out)
{
    size_t taken = 0;
    for (; taken < octets.size && buffer_room(out) >= MOST_OF_ONE; taken++) {
        uint8_t octet = octets.data[taken];
        if (data->after_cr) {
            end_line(data, out);
            if (octet == '\n') {
                continue;
            }
        }
        if (octet == '\r') {
            data->after_cr = true;
        } else if (octet == '\n') {
            end_line(data, out);
        } else {
            if (octet == '.' && !data->in_line) {
                buffer_append_octet(out, '.');
            }
            buffer_append_octet(out, octet);
            data->in_line = true;
        }
    }
    return taken;
}

void smtp_data_end(struct smtp_data *data, struct buffer *out)
{
    if (data->after_cr || data->in_line) {
        end_line(data, out);
    }
    buffer_append_text(out, ".\r\n");
}
