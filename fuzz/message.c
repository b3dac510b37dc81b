/* SPDX-License-Identifier: MIT */
/* A message, as `restante list' and `restante show' see it: whatever its octets, what comes out is valid UTF-8
 * that no terminal obeys, parts lie within it, and names of files are names of files. */
#include <assert.h>
#include <locale.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader/bounds.h"
#include "reader/content.h"
#include "reader/file_name.h"
#include "reader/text.h"
#include "reader/view.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    assert(setlocale(LC_ALL, "C.UTF-8") != NULL);
    g_mime_init();
    return 0;
}

static void check_harmless(const char *text, size_t size, bool is_line)
{
    struct bytes rest = {.data = (const uint8_t *)text, .size = size};
    assert(g_utf8_validate(text, (gssize)size, NULL));
    while (rest.size > 0) {
        uint32_t code;
        rest = bytes_from(rest, text_decode(rest, &code));
        bool is_space = !is_line && (code == '\n' || code == '\t');
        assert((code >= 0x20 && code != 0x7F) || is_space);
        assert(code < 0x80 || code > 0x9F);
        assert(code < 0x202A || code > 0x202E);
        assert(code < 0x2066 || code > 0x2069);
    }
}

static void check_list(const uint8_t *data, size_t size)
{
    struct summary summary = {0};
    g_autoptr(GString) line = g_string_new(NULL);
    summary_read(&summary, (struct bytes){.data = data, .size = size});
    check_harmless(summary.from, strlen(summary.from), true);
    check_harmless(summary.subject, strlen(summary.subject), true);
    text_append_fitted(line, summary.from, 20, true);
    assert(text_columns(line->str) == 20);
    text_append_fitted(line, summary.subject, 30, true);
    assert(text_columns(line->str) == 50);
    summary_finish(&summary);
}

static int count(void *context, struct bytes octets, struct error *error)
{
    (void)error;
    *(size_t *)context += octets.size;
    return 0;
}

static void check_part(const struct source *source, const struct outline *outline, unsigned index)
{
    const struct part *part = outline_part(outline, index);
    g_autofree char *said = part_file_name(part);
    g_autoptr(GString) name = g_string_new(NULL);
    struct error error;
    size_t size = 0;
    assert(part->header_at <= part->body_at && part->body_at <= part->end);
    assert(part->end <= source->size);
    assert(index == 0 || part->parent < index);
    assert(outline_part(outline, part->parent)->end >= part->end);
    assert((part->number == 0) == (part->kind == PART_MULTIPART));
    (void)view_is_saved(outline, index);
    assert(content_decode(source, part, UINT64_MAX, count, &size, &error) == 0);
    assert(size <= 2 * (part->end - part->body_at) + 64);
    file_name_append(name, said, part->number, view_extension(part));
    check_harmless(name->str, name->len, true);
    assert(name->len > 0 && name->len <= READER_FILE_NAME_OCTETS);
    assert(name->str[0] != '.' && name->str[0] != '-' && strchr(name->str, '/') == NULL);
    assert(strlen(name->str) == name->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = {.descriptor = memfd_create("message", MFD_CLOEXEC), .size = size};
    struct outline *outline;
    struct error error;
    g_autoptr(GString) text = g_string_new(NULL);
    assert(source.descriptor >= 0 && write(source.descriptor, data, size) == (ssize_t)size);
    check_list(data, size);
    assert(outline_read(&source, 0, &outline, &error) == 0);
    assert(outline->parts->len > 0 && outline->parts->len <= READER_PARTS_MOST);
    for (unsigned i = 0; i < outline->parts->len; i++) {
        check_part(&source, outline, i);
    }
    assert(view_append(text, &source, outline, &error) == 0);
    check_harmless(text->str, text->len, false);
    (void)outline_free(outline);
    source_close(&source);
    return 0;
}
