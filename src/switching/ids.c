/* SPDX-License-Identifier: MIT */
/* As the programs write them:
 *
 *     fetchmail   user@host, a blank, the id                   6.4: uid.c
 *     getmail6    the id, NUL, seconds since 1970              6.18; a "/" in an id has become "-"
 *     mpop        " COUNT host user", then COUNT ids           1.4; "#" begins a comment
 *     fdm         how many octets the id has, a blank, the id  1.9 */
#include "switching/ids.h"

#include <string.h>

#include "base/number.h"

struct ids {
    struct bytes rest;
    const char *file;
    unsigned line;
    const struct foreign_account *account;
    foreign_id_visitor *visit;
    void *owner;
    struct error *error;
};

static int mistake(struct ids *ids, const char *text)
{
    return foreign_mistake(ids->error, ids->file, ids->line, "%s", text);
}

/* False: there is none. */
static bool next_line(struct ids *ids, struct bytes *line_out)
{
    if (ids->rest.size == 0) {
        return false;
    }
    *line_out = (struct bytes){ids->rest.data, bytes_find(ids->rest, '\n')};
    ids->rest = bytes_from(ids->rest, line_out->size + 1);
    ids->line++;
    return true;
}

static bool is_same(struct bytes one, const char *other)
{
    return other == NULL || bytes_equal_ignoring_case(one, bytes_of(other));
}

static int read_fetchmail(struct ids *ids)
{
    struct bytes line;
    while (next_line(ids, &line)) {
        size_t blank = bytes_find(line, ' ');
        struct bytes owner = {line.data, blank};
        struct bytes id = bytes_from(line, blank + 1);
        size_t at = owner.size;
        while (at != 0 && owner.data[at - 1] != '@') { /* the last one: a name may have some */
            at--;
        }
        if (line.size == 0) {
            continue;
        }
        if (at == 0 || id.size == 0) {
            return mistake(
                ids, "this is no line of fetchmail's (user@host, a blank, an id); write the name "
                     "of its file in `set idfile'");
        }
        if (is_same((struct bytes){owner.data, at - 1}, ids->account->ids_user) &&
            is_same(bytes_from(owner, at), ids->account->ids_host) &&
            ids->visit(ids->owner, id, 0) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_getmail(struct ids *ids)
{
    struct bytes line;
    while (next_line(ids, &line)) {
        size_t end = bytes_find(line, '\0');
        uint64_t seconds;
        if (line.size == 0) {
            continue;
        }
        if (end == 0 || end == line.size ||
            number_parse(bytes_from(line, end + 1), INT64_MAX / 2, &seconds) < 0) {
            return mistake(ids,
                           "this is no line of getmail's (an id, NUL, a time); remove the line");
        }
        if (ids->visit(ids->owner, (struct bytes){line.data, end}, (int64_t)seconds) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_mpop(struct ids *ids)
{
    uint64_t left = 0;
    bool is_ours = false;
    struct bytes line;
    while (next_line(ids, &line)) {
        if (line.size == 0 || line.data[0] == '#') {
            continue;
        }
        if (line.data[0] == ' ' && left == 0) {
            struct bytes rest = bytes_from(line, 1);
            size_t first = bytes_find(rest, ' ');
            struct bytes names = bytes_from(rest, first + 1);
            size_t second = bytes_find(names, ' ');
            struct bytes user = bytes_from(names, second + 1);
            if (number_parse((struct bytes){rest.data, first}, UINT32_MAX, &left) < 0 ||
                left == 0 || second == 0 || user.size == 0) {
                return mistake(
                    ids,
                    "this is no head of mpop's (a blank, how many ids, host, user); remove the "
                    "list that it begins");
            }
            is_ours = is_same((struct bytes){names.data, second}, ids->account->ids_host) &&
                      (ids->account->ids_user == NULL ||
                       bytes_equal(user, bytes_of(ids->account->ids_user)));
            continue;
        }
        if (left == 0 || line.data[0] == ' ') {
            return mistake(
                ids, "a list of ids is shorter or longer than its head says; correct the head");
        }
        left--;
        if (is_ours && ids->visit(ids->owner, line, 0) < 0) {
            return -1;
        }
    }
    return left == 0 ? 0
                     : mistake(ids, "the file ends before the list does; correct the list's head");
}

static int read_fdm(struct ids *ids)
{
    ids->line = 1;
    while (ids->rest.size != 0) {
        uint64_t size;
        size_t blank = bytes_find(ids->rest, ' ');
        struct bytes id = bytes_from(ids->rest, blank + 1);
        if (number_parse((struct bytes){ids->rest.data, blank}, 1000, &size) < 0 || size == 0 ||
            size > id.size) {
            return mistake(ids,
                           "this is no line of fdm's (a length, a blank, an id); remove the line");
        }
        ids->rest = bytes_from(id, size);
        id.size = size;
        if (ids->rest.size != 0 && ids->rest.data[0] != '\n') {
            return mistake(ids, "the id is longer than its length says; remove the line");
        }
        if (ids->visit(ids->owner, id, 0) < 0) {
            return -1;
        }
        ids->rest = bytes_from(ids->rest, 1);
        ids->line++;
    }
    return 0;
}

int foreign_ids_each(struct bytes text, const char *file, enum foreign_program program,
                     const struct foreign_account *account, foreign_id_visitor *visit, void *owner,
                     struct error *error)
{
    static int (*const readers[FOREIGN_PROGRAMS])(struct ids *) = {[FOREIGN_FETCHMAIL] =
                                                                       read_fetchmail,
                                                                   [FOREIGN_GETMAIL] = read_getmail,
                                                                   [FOREIGN_MPOP] = read_mpop,
                                                                   [FOREIGN_FDM] = read_fdm};
    struct ids ids = {.rest = text,
                      .file = file,
                      .account = account,
                      .visit = visit,
                      .owner = owner,
                      .error = error};
    return readers[program](&ids);
}
