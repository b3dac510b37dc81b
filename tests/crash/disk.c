/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FIRST_DESCRIPTOR = 5000, ENTRIES_A_CALL = 2, LINKS_MOST = 8 };

struct content {
    uint8_t *data;
    size_t size;
};

struct entry {
    char *name;
    struct disk_node *node;
};

struct entries {
    struct entry *list;
    size_t count;
};

struct disk_node {
    uint64_t inode;
    uint32_t mode;
    struct content content; /* of a file; of a link its target */
    struct content durable_content;
    bool synced; /* the file was synced since it was written to */
    struct entries entries;
    struct entries durable_entries;
    struct entries changes; /* since the last sync; node NULL: the name was removed */
    int64_t modified_ns, changed_ns, born_ns;
    int open_number, read_number;
    int locked_by; /* descriptor, -1 for another program, 0 for nobody */
    uint64_t events;
};

struct disk_descriptor {
    struct disk_node *node; /* NULL: closed */
    bool path_only;
    size_t listed;
    struct disk_node *watched[4];
    uint64_t seen[4];
    size_t watched_count;
};

static int64_t file_time(const struct disk *disk)
{
    return disk->tick_ns <= 0 ? disk->now_ns : disk->now_ns / disk->tick_ns * disk->tick_ns;
}

static void *must(void *memory)
{
    assert(memory != NULL);
    return memory;
}

static void content_set(struct content *content, const void *data, size_t size)
{
    free(content->data);
    content->data = must(malloc(size + 1));
    memcpy(content->data, data, size);
    content->data[size] = '\0';
    content->size = size;
}

static void entries_add(struct entries *entries, const char *name, struct disk_node *node)
{
    entries->list = must(realloc(entries->list, (entries->count + 1) * sizeof *entries->list));
    entries->list[entries->count++] = (struct entry){.name = must(strdup(name)), .node = node};
}

static struct entry *entries_find(const struct entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->list[i].name, name) == 0) {
            return &entries->list[i];
        }
    }
    return NULL;
}

static void entries_remove(struct entries *entries, const char *name)
{
    struct entry *found = entries_find(entries, name);
    if (found != NULL) {
        free(found->name);
        size_t after = entries->count - (size_t)(found - entries->list) - 1;
        memmove(found, found + 1, after * sizeof *found);
        entries->count--;
    }
}

static void entries_clear(struct entries *entries)
{
    while (entries->count > 0) {
        free(entries->list[--entries->count].name);
    }
    free(entries->list);
    *entries = (struct entries){0};
}

static void entries_copy(struct entries *to, const struct entries *from)
{
    entries_clear(to);
    for (size_t i = 0; i < from->count; i++) {
        entries_add(to, from->list[i].name, from->list[i].node);
    }
}

static struct disk_node *new_node(struct disk *disk, uint32_t mode)
{
    struct disk_node *node = must(calloc(1, sizeof *node));
    disk->nodes = must(realloc(disk->nodes, (disk->node_count + 1) * sizeof(struct disk_node *)));
    disk->nodes[disk->node_count++] = node;
    node->inode = 100 + disk->node_count;
    node->mode = mode;
    node->modified_ns = node->changed_ns = node->born_ns = file_time(disk);
    content_set(&node->content, "", 0);
    content_set(&node->durable_content, "", 0);
    return node;
}

/* A name of a folder changes; `node` NULL: it goes. */
static void change(struct disk *disk, struct disk_node *folder, const char *name,
                   struct disk_node *node)
{
    char *copy = must(strdup(name)); /* it may be the entry's own */
    entries_remove(&folder->entries, copy);
    if (node != NULL) {
        entries_add(&folder->entries, copy, node);
        node->changed_ns = file_time(disk);
    }
    entries_add(&folder->changes, copy, node);
    folder->modified_ns = folder->changed_ns = file_time(disk);
    folder->events++;
    free(copy);
}

/* Finds `path` from `from`; the folder it is in and its last component too. */
struct found {
    struct disk_node *folder, *node;
    char name[300];
};

static int walk(const struct disk *disk, struct disk_node *from, const char *path, bool follow,
                struct found *found)
{
    char rest[2048];
    int links = 0;
    assert(strlen(path) < sizeof rest);
    (void)snprintf(rest, sizeof rest, "%s", path);
    char *at = rest;
    *found = (struct found){.node = *at == '/' ? disk->root : from};
    for (;;) {
        at += strspn(at, "/");
        if (*at == '\0') {
            return found->node == NULL ? -ENOENT : 0;
        }
        if (found->node == NULL) {
            return -ENOENT;
        }
        if (!S_ISDIR(found->node->mode)) {
            return -ENOTDIR;
        }
        size_t length = strcspn(at, "/");
        assert(length < sizeof found->name);
        memcpy(found->name, at, length);
        found->name[length] = '\0';
        at += length;
        if (strcmp(found->name, ".") == 0) {
            continue;
        }
        found->folder = found->node;
        struct entry *entry = entries_find(&found->folder->entries, found->name);
        found->node = entry == NULL ? NULL : entry->node;
        bool last = at[strspn(at, "/")] == '\0';
        if (found->node != NULL && S_ISLNK(found->node->mode) && (!last || follow)) {
            char longer[2048];
            if (++links > LINKS_MOST) {
                return -ELOOP;
            }
            (void)snprintf(longer, sizeof longer, "%s%.1000s",
                           (const char *)found->node->content.data, at);
            (void)snprintf(rest, sizeof rest, "%s", longer);
            at = rest;
            found->node = *at == '/' ? disk->root : found->folder;
        }
    }
}

static struct disk_descriptor *descriptor_of(const struct disk *disk, int descriptor)
{
    size_t index = (size_t)(descriptor - FIRST_DESCRIPTOR);
    assert(descriptor >= FIRST_DESCRIPTOR && index < disk->descriptor_count);
    assert(disk->descriptors[index].node != NULL); /* else it is used after it was closed */
    return &disk->descriptors[index];
}

static struct disk_node *start_of(const struct disk *disk, int directory)
{
    return directory == AT_FDCWD ? disk->root : descriptor_of(disk, directory)->node;
}

static int add_descriptor(struct disk *disk, struct disk_node *node, bool path_only)
{
    size_t index = 0;
    while (index < disk->descriptor_count && disk->descriptors[index].node != NULL) {
        index++;
    }
    if (index == disk->descriptor_count) {
        disk->descriptor_count++;
        disk->descriptors =
            must(realloc(disk->descriptors, disk->descriptor_count * sizeof *disk->descriptors));
    }
    disk->descriptors[index] = (struct disk_descriptor){.node = node, .path_only = path_only};
    return FIRST_DESCRIPTOR + (int)index;
}

/* Counts an operation; the errno with which it must fail, or 0. */
static int begin(const struct fs *fs, enum disk_operation operation, const char *name)
{
    struct disk *disk = fs->disk;
    if (disk->stopped && operation != DISK_CLOSE) {
        return EIO;
    }
    if (disk->before != NULL) {
        void (*before)(struct disk *, enum disk_operation, const char *) = disk->before;
        disk->before = NULL; /* not from within itself */
        before(disk, operation, name);
        if (disk->before == NULL) {
            disk->before = before;
        }
    }
    disk->count++;
    disk->counts[operation]++;
    disk->now_ns += disk->step_ns;
    if (disk->count == disk->fail_at && operation != DISK_CLOSE && operation != DISK_UNLOCK) {
        disk->stopped = disk->stop_at_failure;
        return disk->fail_number;
    }
    bool waits = disk->cold || operation == DISK_LIST || operation == DISK_WRITE ||
                 operation == DISK_SYNC || operation == DISK_RENAME || operation == DISK_LINK ||
                 operation == DISK_UNLINK || operation == DISK_MKDIR || operation == DISK_FACTS ||
                 operation == DISK_WATCH;
    bool free_of_disk = operation == DISK_CLOSE || operation == DISK_LOCK ||
                        operation == DISK_UNLOCK || operation == DISK_STAT ||
                        operation == DISK_MEMORY || operation == DISK_WATCHED;
    return fs->cached_only && waits && !free_of_disk ? EAGAIN : 0;
}

static int create_file(struct disk *disk, struct found *found)
{
    if (disk->read_only) {
        return -EROFS;
    }
    if (disk->full) {
        return -ENOSPC;
    }
    found->node = new_node(disk, S_IFREG | 0600);
    change(disk, found->folder, found->name, found->node);
    return 0;
}

static int disk_open(const struct fs *fs, struct fs_name name, int flags, uint64_t resolve)
{
    struct disk *disk = fs->disk;
    int number = begin(fs, DISK_OPEN, name.name);
    if (number != 0) {
        return -number;
    }
    struct found found;
    bool follow = (flags & O_NOFOLLOW) == 0 && (resolve & RESOLVE_NO_SYMLINKS) == 0;
    int result = walk(disk, start_of(disk, name.directory), name.name, follow, &found);
    if (fs->cached_only && (flags & O_CREAT) != 0) {
        return -EAGAIN;
    }
    if (result == -ENOENT && (flags & O_CREAT) != 0 && found.node == NULL) {
        result = create_file(disk, &found);
    } else if (result == 0 && (flags & O_EXCL) != 0) {
        result = -EEXIST;
    }
    if (result < 0) {
        return result;
    }
    if ((flags & O_DIRECTORY) != 0 && !S_ISDIR(found.node->mode)) {
        return -ENOTDIR;
    }
    if (S_ISLNK(found.node->mode) && (flags & O_PATH) == 0) {
        return -ELOOP;
    }
    if (found.node->open_number != 0 && (flags & O_PATH) == 0) {
        return -found.node->open_number;
    }
    return add_descriptor(disk, found.node, (flags & O_PATH) != 0);
}

static int disk_close(const struct fs *fs, int first, int last)
{
    struct disk *disk = fs->disk;
    (void)begin(fs, DISK_CLOSE, ""); /* closes whatever happens */
    for (int descriptor = first; descriptor <= last; descriptor++) {
        struct disk_descriptor *open = descriptor_of(disk, descriptor);
        if (open->node->locked_by == descriptor) {
            open->node->locked_by = 0;
        }
        open->node = NULL;
    }
    return 0;
}

static void fill_stat(const struct disk_node *node, struct fs_stat *stat_out)
{
    *stat_out = (struct fs_stat){
        .device = 7,
        .inode = node->inode,
        .mode = node->mode,
        .size = S_ISDIR(node->mode) ? 4096 : node->content.size,
        .modified_ns = node->modified_ns,
        .changed_ns = node->changed_ns,
        .born_ns = node->born_ns,
    };
}

static int disk_stat(const struct fs *fs, int descriptor, struct fs_stat *stat_out)
{
    int number = begin(fs, DISK_STAT, "");
    if (number == 0) {
        fill_stat(descriptor_of(fs->disk, descriptor)->node, stat_out);
    }
    return -number;
}

static int disk_stat_name(const struct fs *fs, struct fs_name name, enum fs_stat_flags flags,
                          struct fs_stat *stat_out)
{
    int number = begin(fs, DISK_STAT_NAME, name.name);
    if (number == 0 && fs->cached_only && (flags & FS_STAT_PINNED) == 0) {
        number = EAGAIN;
    }
    if (number != 0) {
        return -number;
    }
    struct found found;
    int result = walk(fs->disk, start_of(fs->disk, name.directory), name.name,
                      (flags & FS_STAT_FOLLOW) != 0, &found);
    if (result == 0) {
        fill_stat(found.node, stat_out);
    }
    return result;
}

static int disk_facts(const struct fs *fs, int descriptor, struct fs_facts *facts_out)
{
    const struct disk *disk = fs->disk;
    (void)descriptor;
    int number = begin(fs, DISK_FACTS, "");
    if (number == 0) {
        int64_t tick = disk->told_tick_ns != 0 ? disk->told_tick_ns : disk->tick_ns;
        *facts_out = (struct fs_facts){.local = !disk->remote, .tick_ns = disk->remote ? -1 : tick};
    }
    return -number;
}

static ssize_t disk_read(const struct fs *fs, int descriptor, void *buffer, size_t size,
                         uint64_t offset)
{
    int number = begin(fs, DISK_READ, "");
    struct disk_descriptor *open = descriptor_of(fs->disk, descriptor);
    if (number == 0 && S_ISDIR(open->node->mode)) {
        number = EISDIR;
    }
    if (number == 0 && open->node->read_number != 0) {
        number = fs->cached_only ? EAGAIN : open->node->read_number;
    }
    if (number != 0) {
        return -number;
    }
    assert(!open->path_only);
    const struct content *content = &open->node->content;
    size_t left = offset < content->size ? content->size - (size_t)offset : 0;
    uint64_t cached = ((const struct disk *)fs->disk)->cached_most;
    if (fs->cached_only && cached != 0 && offset + left > cached) {
        if (offset >= cached) {
            return -EAGAIN;
        }
        left = (size_t)(cached - offset);
    }
    size = size < left ? size : left;
    memcpy(buffer, content->data + (size < 1 ? 0 : offset), size);
    return (ssize_t)size;
}

static ssize_t disk_write(const struct fs *fs, int descriptor, const void *data, size_t size,
                          uint64_t offset)
{
    struct disk *disk = fs->disk;
    int number = begin(fs, DISK_WRITE, "");
    struct disk_node *node = descriptor_of(disk, descriptor)->node;
    bool in_memory = node->born_ns == -1;
    if (number == 0 && disk->full && !in_memory) {
        number = ENOSPC;
    }
    if (number != 0) {
        return -number;
    }
    struct content *content = &node->content;
    size_t end = (size_t)offset + size;
    if (end > content->size) {
        content->data = must(realloc(content->data, end + 1));
        memset(content->data + content->size, 0, end + 1 - content->size);
        content->size = end;
    }
    memcpy(content->data + offset, data, size);
    node->synced = false;
    node->modified_ns = node->changed_ns = in_memory ? -1 : file_time(disk);
    return (ssize_t)size;
}

/* Few entries a call, by place in a list from which others take away meanwhile: a file that is renamed
 * may be seen twice or not at all, as readdir has it. */
static ssize_t disk_list(const struct fs *fs, int descriptor, void *buffer, size_t size)
{
    int number = begin(fs, DISK_LIST, "");
    if (number != 0) {
        return -number;
    }
    struct disk_descriptor *open = descriptor_of(fs->disk, descriptor);
    assert(!open->path_only);
    size_t used = 0;
    for (int i = 0; i < ENTRIES_A_CALL && open->listed < open->node->entries.count; i++) {
        const struct entry *entry = &open->node->entries.list[open->listed];
        size_t length = strlen(entry->name) + 1;
        size_t record = (offsetof(struct dirent64, d_name) + length + 7) / 8 * 8;
        assert(record <= size - used);
        struct dirent64 head = {
            .d_ino = entry->node->inode,
            .d_reclen = (unsigned short)record,
            .d_type = (unsigned char)IFTODT(entry->node->mode),
        };
        memset((uint8_t *)buffer + used, 0, record);
        memcpy((uint8_t *)buffer + used, &head, offsetof(struct dirent64, d_name));
        memcpy((uint8_t *)buffer + used + offsetof(struct dirent64, d_name), entry->name, length);
        used += record;
        open->listed++;
    }
    return (ssize_t)used;
}

static void sync_node(struct disk_node *node)
{
    content_set(&node->durable_content, node->content.data, node->content.size);
    node->synced = true;
    entries_copy(&node->durable_entries, &node->entries);
    entries_clear(&node->changes);
}

static int disk_sync(const struct fs *fs, int descriptor)
{
    int number = begin(fs, DISK_SYNC, "");
    if (number != 0) {
        return -number;
    }
    assert(!descriptor_of(fs->disk, descriptor)->path_only);
    sync_node(descriptor_of(fs->disk, descriptor)->node);
    return 0;
}

static int disk_sync_all(const struct fs *fs, int descriptor)
{
    struct disk *disk = fs->disk;
    int number = begin(fs, DISK_SYNC, "");
    if (number != 0) {
        return -number;
    }
    assert(!descriptor_of(disk, descriptor)->path_only);
    for (size_t i = 0; i < disk->node_count; i++) {
        sync_node(disk->nodes[i]);
    }
    return 0;
}

static int find_pair(const struct fs *fs, struct fs_name from, struct fs_name to,
                     struct found *from_out, struct found *to_out)
{
    struct disk *disk = fs->disk;
    int result = walk(disk, start_of(disk, from.directory), from.name, false, from_out);
    if (result < 0) {
        return result;
    }
    result = walk(disk, start_of(disk, to.directory), to.name, false, to_out);
    if (result < 0 && !(result == -ENOENT && to_out->folder != NULL)) {
        return result;
    }
    return disk->read_only ? -EROFS : 0;
}

static int disk_rename(const struct fs *fs, struct fs_name from, struct fs_name to, bool replace)
{
    struct disk *disk = fs->disk;
    struct found source;
    struct found target;
    int number = begin(fs, DISK_RENAME, from.name);
    int result = number != 0 ? -number : find_pair(fs, from, to, &source, &target);
    if (result < 0) {
        return result;
    }
    if (!replace && disk->no_replace_flag) {
        return -EINVAL;
    }
    if (target.node != NULL && (!replace || S_ISDIR(target.node->mode))) {
        return replace ? -EISDIR : -EEXIST;
    }
    change(disk, target.folder, target.name, source.node);
    change(disk, source.folder, source.name, NULL);
    return 0;
}

static int disk_link(const struct fs *fs, struct fs_name from, struct fs_name to)
{
    struct found source;
    struct found target;
    int number = begin(fs, DISK_LINK, from.name);
    int result = number != 0 ? -number : find_pair(fs, from, to, &source, &target);
    if (result < 0) {
        return result;
    }
    if (target.node != NULL) {
        return -EEXIST;
    }
    change(fs->disk, target.folder, target.name, source.node);
    return 0;
}

static int disk_unlink(const struct fs *fs, struct fs_name name)
{
    struct disk *disk = fs->disk;
    struct found found;
    int number = begin(fs, DISK_UNLINK, name.name);
    int result = number != 0 ? -number
                             : walk(disk, start_of(disk, name.directory), name.name, false, &found);
    if (result < 0) {
        return result;
    }
    if (disk->read_only) {
        return -EROFS;
    }
    if (S_ISDIR(found.node->mode)) {
        return -EISDIR;
    }
    change(disk, found.folder, found.name, NULL);
    return 0;
}

static int disk_mkdir(const struct fs *fs, struct fs_name name)
{
    struct disk *disk = fs->disk;
    struct found found;
    int number = begin(fs, DISK_MKDIR, name.name);
    if (number != 0) {
        return -number;
    }
    int result = walk(disk, start_of(disk, name.directory), name.name, false, &found);
    if (result == 0) {
        return -EEXIST;
    }
    if (result != -ENOENT || found.folder == NULL) {
        return result;
    }
    if (disk->read_only || disk->full) {
        return disk->read_only ? -EROFS : -ENOSPC;
    }
    change(disk, found.folder, found.name, new_node(disk, S_IFDIR | 0700));
    return 0;
}

static int disk_lock(const struct fs *fs, int descriptor)
{
    const struct disk *disk = fs->disk;
    int number = begin(fs, DISK_LOCK, "");
    if (number == 0 && disk->no_locks) {
        number = EBADF;
    }
    struct disk_node *node = descriptor_of(disk, descriptor)->node;
    if (number == 0 && node->locked_by != 0 && node->locked_by != descriptor) {
        number = EBUSY;
    }
    if (number == 0) {
        node->locked_by = descriptor;
    }
    return -number;
}

static int disk_unlock(const struct fs *fs, int descriptor)
{
    struct disk_node *node = descriptor_of(fs->disk, descriptor)->node;
    (void)begin(fs, DISK_UNLOCK, ""); /* cannot fail */
    if (node->locked_by == descriptor) {
        node->locked_by = 0;
    }
    return 0;
}

static int disk_memory(const struct fs *fs, const char *label)
{
    int number = begin(fs, DISK_MEMORY, label);
    if (number != 0) {
        return -number;
    }
    struct disk_node *node = new_node(fs->disk, S_IFREG | 0600);
    node->born_ns = -1;
    return add_descriptor(fs->disk, node, false);
}

static int64_t disk_clock(const struct fs *fs)
{
    return ((const struct disk *)fs->disk)->now_ns;
}

static void disk_sleep(const struct fs *fs, int64_t duration_ns)
{
    ((struct disk *)fs->disk)->now_ns += duration_ns;
}

static int disk_watch(const struct fs *fs, const struct fs_name *folders, unsigned count)
{
    struct disk *disk = fs->disk;
    int number = begin(fs, DISK_WATCH, "");
    if (number == 0 && disk->no_watch) {
        number = EMFILE;
    }
    if (number != 0) {
        return -number;
    }
    int descriptor = add_descriptor(disk, new_node(disk, S_IFREG), false);
    struct disk_descriptor *open = descriptor_of(disk, descriptor);
    for (unsigned i = 0; i < count; i++) {
        open->watched[i] = start_of(disk, folders[i].directory);
        open->seen[i] = open->watched[i]->events;
    }
    open->watched_count = count;
    return descriptor;
}

static int disk_watched(const struct fs *fs, int descriptor)
{
    int number = begin(fs, DISK_WATCHED, "");
    if (number != 0) {
        return -number;
    }
    struct disk_descriptor *open = descriptor_of(fs->disk, descriptor);
    uint64_t events = 0;
    for (size_t i = 0; i < open->watched_count; i++) {
        events += open->watched[i]->events - open->seen[i];
        open->seen[i] = open->watched[i]->events;
    }
    return (int)events;
}

static const struct fs_operations disk_operations = {
    .open = disk_open,
    .close = disk_close,
    .stat = disk_stat,
    .stat_name = disk_stat_name,
    .facts = disk_facts,
    .read = disk_read,
    .write = disk_write,
    .list = disk_list,
    .sync = disk_sync,
    .sync_all = disk_sync_all,
    .rename = disk_rename,
    .link = disk_link,
    .unlink = disk_unlink,
    .mkdir = disk_mkdir,
    .lock = disk_lock,
    .unlock = disk_unlock,
    .memory = disk_memory,
    .clock = disk_clock,
    .sleep = disk_sleep,
    .watch = disk_watch,
    .watched = disk_watched,
};

struct disk *disk_create(void)
{
    struct disk *disk = must(calloc(1, sizeof *disk));
    disk->fs = (struct fs){.operations = &disk_operations, .disk = disk};
    disk->now_ns = INT64_C(1700000000123456789);
    disk->step_ns = 10000;
    disk->tick_ns = 4000000;
    disk->fail_number = EIO;
    disk->random = 1;
    disk->root = new_node(disk, S_IFDIR | 0755);
    return disk;
}

void disk_free(struct disk *disk)
{
    for (size_t i = 0; i < disk->node_count; i++) {
        struct disk_node *node = disk->nodes[i];
        free(node->content.data);
        free(node->durable_content.data);
        entries_clear(&node->entries);
        entries_clear(&node->durable_entries);
        entries_clear(&node->changes);
        free(node);
    }
    free(disk->nodes);
    free(disk->descriptors);
    free(disk);
}

static struct found must_find(const struct disk *disk, const char *path)
{
    struct found found;
    int result = walk(disk, disk->root, path, false, &found);
    assert(result == 0);
    (void)result;
    return found;
}

static struct found must_find_place(const struct disk *disk, const char *path)
{
    struct found found;
    int result = walk(disk, disk->root, path, false, &found);
    assert(result == -ENOENT && found.folder != NULL);
    (void)result;
    return found;
}

void disk_make_folder(struct disk *disk, const char *path)
{
    struct found found = must_find_place(disk, path);
    change(disk, found.folder, found.name, new_node(disk, S_IFDIR | 0700));
}

void disk_put(struct disk *disk, const char *path, const void *data, size_t size)
{
    struct found found = must_find_place(disk, path);
    struct disk_node *node = new_node(disk, S_IFREG | 0600);
    content_set(&node->content, data, size);
    change(disk, found.folder, found.name, node);
}

void disk_put_text(struct disk *disk, const char *path, const char *text)
{
    disk_put(disk, path, text, strlen(text));
}

void disk_put_link(struct disk *disk, const char *path, const char *target)
{
    struct found found = must_find_place(disk, path);
    struct disk_node *node = new_node(disk, S_IFLNK | 0777);
    content_set(&node->content, target, strlen(target));
    change(disk, found.folder, found.name, node);
}

void disk_move(struct disk *disk, const char *from, const char *to)
{
    struct found source = must_find(disk, from);
    struct found target;
    (void)walk(disk, disk->root, to, false, &target);
    assert(target.folder != NULL);
    change(disk, target.folder, target.name, source.node);
    change(disk, source.folder, source.name, NULL);
}

void disk_remove(struct disk *disk, const char *path)
{
    struct found found = must_find(disk, path);
    change(disk, found.folder, found.name, NULL);
}

bool disk_exists(const struct disk *disk, const char *path)
{
    struct found found;
    return walk(disk, disk->root, path, false, &found) == 0;
}

const uint8_t *disk_get(const struct disk *disk, const char *path, size_t *size_out)
{
    struct found found;
    if (walk(disk, disk->root, path, false, &found) < 0) {
        return NULL;
    }
    *size_out = found.node->content.size;
    return found.node->content.data;
}

size_t disk_count(const struct disk *disk, const char *folder)
{
    return must_find(disk, folder).node->entries.count;
}

const char *disk_name(const struct disk *disk, const char *folder, size_t index)
{
    const struct entries *entries = &must_find(disk, folder).node->entries;
    return index < entries->count ? entries->list[index].name : NULL;
}

void disk_deny(struct disk *disk, const char *path, int open_number, int read_number)
{
    struct disk_node *node = must_find(disk, path).node;
    node->open_number = open_number;
    node->read_number = read_number;
}

void disk_overwrite(struct disk *disk, const char *path, const void *data, size_t size)
{
    content_set(&must_find(disk, path).node->content, data, size);
}

void disk_hold_lock(struct disk *disk, const char *path, bool held)
{
    must_find(disk, path).node->locked_by = held ? -1 : 0;
}

bool disk_is_locked(const struct disk *disk, const char *path)
{
    return must_find(disk, path).node->locked_by != 0;
}

size_t disk_open_descriptors(const struct disk *disk)
{
    size_t open = 0;
    for (size_t i = 0; i < disk->descriptor_count; i++) {
        open += disk->descriptors[i].node != NULL;
    }
    return open;
}

static void make_durable(struct disk_node *node)
{
    content_set(&node->durable_content, node->content.data, node->content.size);
    node->synced = true;
    entries_copy(&node->durable_entries, &node->entries);
    entries_clear(&node->changes);
}

void disk_settle(struct disk *disk)
{
    for (size_t i = 0; i < disk->node_count; i++) {
        make_durable(disk->nodes[i]);
    }
}

static bool is_lost(struct disk *disk, enum disk_loss loss)
{
    if (loss != DISK_LOSE_SOME) {
        return loss == DISK_LOSE_ALL;
    }
    disk->random = disk->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (disk->random >> 40 & 1) != 0;
}

static void crash_folder(struct disk *disk, struct disk_node *node, enum disk_loss loss)
{
    entries_copy(&node->entries, &node->durable_entries);
    for (size_t i = 0; i < node->changes.count; i++) {
        const struct entry *entry = &node->changes.list[i];
        if (is_lost(disk, loss)) {
            continue;
        }
        entries_remove(&node->entries, entry->name);
        if (entry->node != NULL) {
            entries_add(&node->entries, entry->name, entry->node);
        }
    }
}

void disk_crash(struct disk *disk, enum disk_loss loss)
{
    for (size_t i = 0; i < disk->node_count; i++) {
        struct disk_node *node = disk->nodes[i];
        if (S_ISDIR(node->mode)) {
            crash_folder(disk, node, loss);
        } else if (!node->synced && is_lost(disk, loss)) {
            content_set(&node->content, node->durable_content.data, node->durable_content.size);
        }
        node->locked_by = 0;
        make_durable(node);
    }
    for (size_t i = 0; i < disk->descriptor_count; i++) {
        disk->descriptors[i].node = NULL;
    }
    disk->stopped = false;
    disk->fail_at = 0;
    disk->now_ns += INT64_C(60000000000);
}
