/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader/bounds.h"
#include "reader/outline.h"

static struct outline *outline_of(const char *text, size_t size)
{
    struct source source = {.descriptor = memfd_create("message", MFD_CLOEXEC), .size = size};
    struct outline *outline;
    struct error error;
    assert_true(source.descriptor >= 0);
    assert_int_equal(write(source.descriptor, text, size), (ssize_t)size);
    assert_int_equal(outline_read(&source, READER_SECONDS, &outline, &error), 0);
    source_close(&source);
    return outline;
}

/* "DEPTH:TYPE:BODY|..." of all parts, bodies of multiparts left out. */
static char *describe(const char *text, const struct outline *outline)
{
    GString *out = g_string_new(NULL);
    for (unsigned i = 0; i < outline->parts->len; i++) {
        const struct part *part = outline_part(outline, i);
        g_autofree char *type = g_mime_content_type_get_mime_type(part->type);
        assert_true(part->header_at <= part->body_at && part->body_at <= part->end);
        g_string_append_printf(out, "%u:%s:", part->depth, type);
        if (part->kind == PART_LEAF) {
            (void)g_string_append_len(out, text + part->body_at,
                                      (gssize)(part->end - part->body_at));
        }
        (void)g_string_append_c(out, '|');
    }
    return g_string_free(out, FALSE);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"

static void test_structure(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "0:text/plain:|"},
        {"\nbody", "0:text/plain:body|"},
        {"A: b\n\nbody\n", "0:text/plain:body\n|"},
        {"A: b\r\n\r\nbody\r\n", "0:text/plain:body\r\n|"},
        {"A: b", "0:text/plain:|"},
        /* No field ends the header too. */
        {"A: b\nbody\n\nmore", "0:text/plain:body\n\nmore|"},
        {"From x\nA: b\n\nbody", "0:text/plain:body|"},
        /* The line end before a boundary is the boundary's. */
        {MIXED "--b\n\none\n--b\n\ntwo\n\n--b--\nepilogue",
         "0:multipart/mixed:|1:text/plain:one|1:text/plain:two\n|"},
        {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
         "0:multipart/mixed:|1:text/plain:one|"},
        {MIXED "preamble\n--b \t\n\none", "0:multipart/mixed:|1:text/plain:one|"},
        {MIXED "--b\n\none\n--bb\n-- b\n--b-\n",
         "0:multipart/mixed:|1:text/plain:one\n--bb\n-- b\n--b-\n|"},
        /* Nothing between boundaries; a header that a boundary cuts off. */
        {MIXED "--b\n--b\nContent-Type: a/b\n--b--", "0:multipart/mixed:|1:text/plain:|1:a/b:|"},
        /* An outer boundary ends what is inside, RFC 2046 section 5.1.2. */
        {MIXED "--b\nContent-Type: multipart/x; boundary=c\n\n--c\n\nin\n--b\n\nout\n--c\n--b--",
         "0:multipart/mixed:|1:multipart/x:|2:text/plain:in|1:text/plain:out\n--c|"},
        /* After the end of the inner one, its boundary means nothing. */
        {MIXED "--b\nContent-Type: multipart/x; boundary=c\n\n--c\n\nin\n--c--\n--c\n\nno\n--b--",
         "0:multipart/mixed:|1:multipart/x:|2:text/plain:in|"},
        {"Content-Type: message/rfc822\n\nA: b\n\nbody", "0:message/rfc822:|1:text/plain:body|"},
        {MIXED "--b\nContent-Type: message/rfc822\n\n" MIXED "--b\n\nin\n--b--\n",
         "0:multipart/mixed:|1:message/rfc822:|2:multipart/mixed:|3:text/plain:in|"},
        {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTog",
         "0:message/rfc822:QTog|"},
        {"Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\nbody\n--b--",
         "0:multipart/digest:|1:message/rfc822:|2:text/plain:body|"},
        /* What cannot be taken apart is shown as it is. */
        {"Content-Type: multipart/mixed\n\n--b\n", "0:multipart/mixed:--b\n|"},
        {"Content-Type: multipart/mixed; boundary=\"\"\n\n--\n", "0:multipart/mixed:--\n|"},
        {"Content-Type: ;\n\nx", "0:text/plain:x|"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outline *outline = outline_of(cases[i].text, strlen(cases[i].text));
        g_autofree char *found = describe(cases[i].text, outline);
        assert_string_equal(found, cases[i].expected);
        assert_int_equal(outline->cut, 0);
        (void)outline_free(outline);
    }
}

/* Lines over the ends of blocks: the same parts wherever the boundary falls. */
static void test_blocks(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 12; shift++) {
        g_autoptr(GString) text = g_string_new(MIXED "--b\n\n");
        size_t body = text->len;
        while (text->len < 65536 - shift) {
            (void)g_string_append_c(text, 'x');
        }
        size_t end = text->len;
        (void)g_string_append(text, "\r\n--b--\n");
        struct outline *outline = outline_of(text->str, text->len);
        assert_int_equal(outline->parts->len, 2);
        assert_int_equal(outline_part(outline, 1)->body_at, body);
        assert_int_equal(outline_part(outline, 1)->end, end);
        (void)outline_free(outline);
    }
}

static void test_bounds(void **state)
{
    g_autoptr(GString) deep = g_string_new(NULL);
    g_autoptr(GString) many = g_string_new(MIXED);
    g_autoptr(GString) wide = g_string_new("Subject: ");
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        g_string_append_printf(deep, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i,
                               i);
        (void)g_string_append(many, "--b\n\nx\n");
    }
    for (unsigned i = 0; i < READER_HEADER_OCTETS; i++) {
        (void)g_string_append_c(wide, 'x');
    }
    (void)g_string_append(wide, "\n\nbody");
    struct outline *outline = outline_of(deep->str, deep->len);
    assert_int_equal(outline->parts->len, READER_DEPTH_MOST + 1);
    assert_int_equal(outline->cut, OUTLINE_CUT_DEPTH);
    (void)outline_free(outline);
    outline = outline_of(many->str, many->len);
    assert_int_equal(outline->parts->len, READER_PARTS_MOST);
    assert_int_equal(outline->cut, OUTLINE_CUT_PARTS);
    assert_int_equal(outline_numbered(outline, READER_PARTS_MOST - 1)->depth, 1);
    assert_null(outline_numbered(outline, READER_PARTS_MOST));
    assert_null(outline_numbered(outline, 0));
    (void)outline_free(outline);
    outline = outline_of(wide->str, wide->len);
    assert_int_equal(outline->cut, OUTLINE_CUT_HEADER);
    assert_int_equal(outline_part(outline, 0)->body_at, wide->len - 4);
    (void)outline_free(outline);
}

static int begin(void **state)
{
    (void)state;
    g_mime_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("outline", tests, begin, NULL);
}
