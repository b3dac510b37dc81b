/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_BOUNDS_H
#define RESTANTE_READER_BOUNDS_H

/* What one message may cost, whatever it says. What lies beyond is left out, and a line says so. */
enum {
    READER_HEADER_OCTETS = 256 * 1024,     /* of one header, of the message or of a part */
    READER_LIST_HEADER_OCTETS = 64 * 1024, /* the same, for a line of the list */
    READER_FIELD_OCTETS = 16 * 1024,       /* of one header field */
    READER_PARTS_MOST = 1000,              /* multiparts count too */
    READER_DEPTH_MOST = 50,                /* of parts within parts */
    READER_BOUNDARY_OCTETS = 200,          /* RFC 2046 section 5.1.1 allows 70 */
    READER_PART_TEXT_OCTETS = 1024 * 1024, /* shown of one part */
    READER_TEXT_OCTETS = 4 * 1024 * 1024,  /* shown of one message */
    READER_CODED_OCTETS = 8 * 1024 * 1024, /* read of one part to show its text */
    READER_FILE_NAME_OCTETS = 200,         /* of the name that an attachment is saved as */
    READER_SECONDS = 10,                   /* to find the parts of a message that is to be shown */
};

#endif
