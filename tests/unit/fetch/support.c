/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void told(void *owner, const struct keeper_outcome *outcome)
{
    struct account *account = owner;
    assert_true(account->outcome_count < ACCOUNT_MESSAGES * 4);
    account->outcomes[account->outcome_count] = *outcome;
    if (outcome->error != NULL) {
        account->reasons[account->outcome_count] = *outcome->error;
    }
    account->outcome_count++;
    account->messages[outcome->index].standing = outcome->standing;
    account->messages[outcome->index].refusals = outcome->refusals;
    account->messages[outcome->index].stored_s = outcome->stored_s;
}

void account_make(struct account *account, enum storer_target_kind kind, const char *place)
{
    memset(account, 0, sizeof *account);
    (void)snprintf(account->folder, sizeof account->folder, "/tmp/restante-fetch-XXXXXX");
    assert_non_null(mkdtemp(account->folder));
    (void)snprintf(account->state_folder, sizeof account->state_folder, "%s/state",
                   account->folder);
    bool is_path = kind == STORER_TARGET_MAILDIR || kind == STORER_TARGET_MBOX;
    (void)snprintf(account->place, sizeof account->place, "%s%s%s", is_path ? account->folder : "",
                   is_path ? "/" : "", place);
    account->options = (struct storer_options){
        .account = "alice@example.org",
        .state_folder = account->state_folder,
        .target = kind,
        .place = account->place,
        .host = "pop.example.org",
        .user = "alice",
        .stop = -1,
    };
    account->keeper_options = (struct keeper_options){
        .storer = &account->options,
        .fs = &fs_real,
        .boot = "boot-1",
        .cancel = -1,
        .tell = told,
        .owner = account,
    };
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

void account_remove(struct account *account)
{
    account_kill(account);
    assert_int_equal(nftw(account->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int account_start(struct account *account)
{
    assert_null(account->keeper);
    account->outcome_count = 0;
    return keeper_open(&account->keeper_options, &account->keeper, &account->recovered,
                       &account->error);
}

void account_kill(struct account *account)
{
    account->keeper = keeper_free(account->keeper);
}

void account_finish(struct account *account)
{
    assert_int_equal(keeper_finish(account->keeper, &account->error), 0);
    account_kill(account);
}

void account_list_octets(struct account *account, const char *ids, const uint64_t *octets)
{
    static char lent[1024];
    (void)snprintf(lent, sizeof lent, "%s", ids);
    account->count = 0;
    for (size_t at = 0; lent[at] != '\0';) {
        size_t size = strcspn(lent + at, " ");
        struct bytes id = {(const uint8_t *)lent + at, size == 1 && lent[at] == '-' ? 0 : size};
        account->messages[account->count] = (struct storer_message){
            .number = (uint32_t)account->count + 1,
            .octets = octets == NULL ? 100 : octets[account->count],
            .unique_id = id,
        };
        account->count++;
        at += size;
        at += strspn(lent + at, " ");
    }
    assert_int_equal(keeper_list(account->keeper, account->messages, account->count,
                                 &account->disappeared, &account->error),
                     0);
    memset(lent, '!', sizeof lent - 1); /* the ids were only lent */
}

void account_list(struct account *account, const char *ids)
{
    account_list_octets(account, ids, NULL);
}

static int feed(struct account *account, size_t index, enum storer_content content,
                const char *text)
{
    struct bytes octets = bytes_of(text);
    if (keeper_begin(account->keeper, index, content, &account->error) < 0) {
        return -1;
    }
    /* In pieces that meet every border. */
    for (size_t size = 1; octets.size != 0; size = size % 7 + 1) {
        size_t piece = octets.size < size ? octets.size : size;
        if (keeper_append(account->keeper, (struct bytes){octets.data, piece}, &account->error) <
            0) {
            return -1;
        }
        octets = bytes_from(octets, piece);
    }
    return keeper_end(account->keeper, &account->error);
}

int account_fetch(struct account *account, size_t index, const char *text)
{
    return feed(account, index, STORER_WHOLE, text);
}

int account_fetch_header(struct account *account, size_t index, const char *text)
{
    return feed(account, index, STORER_HEADER, text);
}

void account_flush(struct account *account)
{
    assert_int_equal(keeper_flush(account->keeper, &account->error), 0);
}

enum storer_standing account_standing(const struct account *account, size_t index)
{
    return account->messages[index].standing;
}

int account_told(const struct account *account, size_t index)
{
    for (size_t i = account->outcome_count; i-- > 0;) {
        if (account->outcomes[i].index == index) {
            return (int)account->outcomes[i].type;
        }
    }
    return -1;
}

const char *account_reason(const struct account *account, size_t index)
{
    for (size_t i = account->outcome_count; i-- > 0;) {
        if (account->outcomes[i].index == index) {
            return account->reasons[i].text;
        }
    }
    return "";
}

const char *file_text(const char *path)
{
    static char *text;
    free(text);
    text = NULL;
    struct stat stat_of_file;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    if (fstat(fileno(file), &stat_of_file) < 0 || !S_ISREG(stat_of_file.st_mode)) {
        (void)fclose(file);
        return NULL;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    text = malloc((size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    text[size] = '\0';
    (void)fclose(file);
    return text;
}

void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static size_t count(const char *folder, const char *text)
{
    DIR *open = opendir(folder);
    size_t found = 0;
    for (struct dirent *entry; open != NULL && (entry = readdir(open)) != NULL;) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        const char *content = entry->d_name[0] == '.' ? NULL : file_text(path);
        found += content != NULL && (text == NULL || strcmp(content, text) == 0) ? 1 : 0;
    }
    if (open != NULL) {
        (void)closedir(open);
    }
    return found;
}

size_t count_files(const char *folder)
{
    return count(folder, NULL);
}

size_t count_files_with(const char *folder, const char *text)
{
    return count(folder, text);
}
