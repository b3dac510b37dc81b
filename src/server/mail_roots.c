/* SPDX-License-Identifier: MIT */
#include "server/mail_roots.h"

#include "maildrop/path.h"

/* Without slashes at its end, but at least "/". */
static void trim(char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') {
        path[--size] = '\0';
    }
}

void mail_roots_of(const struct configuration *configuration, struct mail_roots *roots_out)
{
    roots_out->count = 0;
    if (maildrop_path_in_home(configuration->path) == NULL) {
        char *root = roots_out->list[roots_out->count++];
        memcpy(root, configuration->path, CONFIGURATION_VALUE_SIZE);
        root[strcspn(root, "%")] = '\0';
        strrchr(root, '/')[1] = '\0'; /* a path begins with one */
        trim(root);
    }
    for (uint32_t i = 0; i < configuration->mail_roots.count; i++) {
        char *more = roots_out->list[roots_out->count++];
        memcpy(more, configuration->mail_roots.list[i], CONFIGURATION_VALUE_SIZE);
        trim(more);
    }
}

static bool goes_back(const char *path)
{
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if ((size == 1 || size == 2) && strspn(path, ".") == size) {
            return true;
        }
        path += size;
        path += strspn(path, "/");
    }
    return false;
}

bool mail_roots_hold(const struct mail_roots *roots, const char *path)
{
    for (uint32_t i = 0; i < roots->count; i++) {
        const char *root = roots->list[i];
        size_t size = strlen(root);
        if (strncmp(path, root, size) == 0 && (path[size] == '/' || size == 1) &&
            path[size + strspn(path + size, "/")] != '\0') {
            return !goes_back(path);
        }
    }
    return false;
}
