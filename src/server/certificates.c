/* SPDX-License-Identifier: MIT */
#include "server/certificates.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_OCTETS = 1 << 20 };

/* The memory is: the number of pieces, then each with its size before it. Certificate, key, certificate, key
 * ... and, if their number is odd, the authorities of client certificates. */
struct pieces {
    struct bytes list[CERTIFICATES_MOST_FILES];
    uint32_t count;
};

static void free_pieces(struct pieces *pieces)
{
    for (uint32_t i = 0; i < pieces->count; i++) {
        explicit_bzero((void *)(uintptr_t)pieces->list[i].data, pieces->list[i].size);
        free((void *)(uintptr_t)pieces->list[i].data);
    }
    pieces->count = 0;
}

static int write_all(int descriptor, const void *data, size_t size)
{
    const uint8_t *rest = data;
    while (size > 0) {
        ssize_t written = write(descriptor, rest, size);
        if (written <= 0) {
            return -1;
        }
        rest += written;
        size -= (size_t)written;
    }
    return 0;
}

static int make_memory(const struct pieces *pieces)
{
    int memory = memfd_create("restante-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int result = memory < 0 ? -1 : write_all(memory, &pieces->count, sizeof pieces->count);
    for (uint32_t i = 0; i < pieces->count && result == 0; i++) {
        uint32_t size = (uint32_t)pieces->list[i].size;
        result = write_all(memory, &size, sizeof size);
        if (result == 0) {
            result = write_all(memory, pieces->list[i].data, size);
        }
    }
    if (result == 0) {
        result =
            fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    }
    if (result < 0 && memory >= 0) {
        (void)close(memory);
        memory = -1;
    }
    return memory;
}

static struct tls_settings settings_of(const struct pieces *pieces,
                                       const struct configuration *configuration)
{
    struct tls_settings settings = {.protocol = "pop3",
                                    .only_1_3 = configuration->tls_minimum == TLS_MINIMUM_1_3,
                                    .identity_count = pieces->count / 2};
    for (uint32_t i = 0; i < settings.identity_count; i++) {
        settings.identities[i].certificate = pieces->list[2 * i];
        settings.identities[i].key = pieces->list[2 * i + 1];
    }
    if (pieces->count % 2 != 0) {
        settings.client_ca = pieces->list[pieces->count - 1];
    }
    return settings;
}

/* Reads a file into the next piece and notes what it is for certificates_changed. */
static int read_piece(const char *path, struct pieces *pieces, struct certificates *out,
                      struct error *error)
{
    AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat *facts = &out->files[out->count];
    if (file < 0 || fstat(file, facts) < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s cannot be read", path);
    }
    if (!S_ISREG(facts->st_mode) || facts->st_size <= 0 || facts->st_size > MOST_OCTETS) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s is no file in PEM", path);
    }
    size_t size = (size_t)facts->st_size;
    uint8_t *data = malloc(size);
    if (data == NULL || read(file, data, size) != (ssize_t)size) {
        int number = errno;
        free(data);
        return error_set(error, ERROR_CONFIGURATION, number, "%s cannot be read whole", path);
    }
    (void)snprintf(out->paths[out->count++], CONFIGURATION_VALUE_SIZE, "%s", path);
    pieces->list[pieces->count++] = (struct bytes){.data = data, .size = size};
    return 0;
}

static int write_file(const char *path, mode_t mode, struct bytes content, struct error *error)
{
    char temporary[CONFIGURATION_VALUE_SIZE + 32];
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    (void)unlink(temporary);
    AUTO_CLOSE int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0 || write_all(file, content.data, content.size) < 0 || fsync(file) < 0 ||
        rename(temporary, path) < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s cannot be written", path);
    }
    return 0;
}

static int make_self_signed(const char *certificate_path, const char *key_path, struct error *error)
{
    char name[65] = "localhost"; /* a common name has at most 64 */
    struct bytes certificate;
    struct bytes key;
    if (gethostname(name, sizeof name - 1) < 0 || name[0] == '\0') {
        (void)snprintf(name, sizeof name, "localhost");
    }
    if (tls_make_self_signed(name, &certificate, &key, error) < 0) {
        return -1;
    }
    int result = write_file(key_path, 0600, key, error);
    if (result == 0) {
        result = write_file(certificate_path, 0644, certificate, error);
    }
    explicit_bzero((void *)(uintptr_t)key.data, key.size);
    free((void *)(uintptr_t)key.data);
    free((void *)(uintptr_t)certificate.data);
    return result;
}

static int read_self_signed(const struct configuration *configuration, struct pieces *pieces,
                            struct certificates *out, struct error *error)
{
    char certificate[CONFIGURATION_VALUE_SIZE + 32];
    char key[CONFIGURATION_VALUE_SIZE + 32];
    (void)snprintf(certificate, sizeof certificate, "%s/self-signed.pem", configuration->state_dir);
    (void)snprintf(key, sizeof key, "%s/self-signed.key", configuration->state_dir);
    if ((access(certificate, F_OK) < 0 || access(key, F_OK) < 0) &&
        make_self_signed(certificate, key, error) < 0) {
        return -1;
    }
    if (read_piece(certificate, pieces, out, error) < 0 ||
        read_piece(key, pieces, out, error) < 0) {
        return -1;
    }
    log_write(LOG_LEVEL_WARNING,
              "TLS uses the self-signed certificate %s, which no client trusts by itself; write "
              "certificate and key in section [tls] to replace it",
              certificate);
    return 0;
}

/* True if all is well; else it is noted at the setting. */
static bool take(const char *path, const struct configuration *configuration, const char *key,
                 const char *file, struct pieces *pieces, struct certificates *out,
                 struct configuration_notes *notes)
{
    struct error error;
    if (read_piece(file, pieces, out, &error) == 0) {
        return true;
    }
    configuration_note(notes, true, path, configuration_line(configuration, key), "%s = %s: %s",
                       key, file, error.text);
    return false;
}

static int read_configured(const struct configuration *configuration, const char *path,
                           struct pieces *pieces, struct certificates *out,
                           struct configuration_notes *notes)
{
    for (uint32_t i = 0; i < configuration->tls_certificates.count; i++) {
        if (!take(path, configuration, "certificate", configuration->tls_certificates.list[i],
                  pieces, out, notes) ||
            !take(path, configuration, "key", configuration->tls_keys.list[i], pieces, out,
                  notes)) {
            return -1;
        }
        if ((out->files[out->count - 1].st_mode & S_IROTH) != 0) {
            configuration_note(notes, false, path, configuration_line(configuration, "key"),
                               "key = %s: everybody on this machine may read it; chmod o-r it",
                               configuration->tls_keys.list[i]);
        }
    }
    return 0;
}

/* Everything is parsed here already, so that a worker finds no mistake. */
static int check(const struct pieces *pieces, const struct configuration *configuration,
                 const char *path, struct configuration_notes *notes)
{
    struct error error;
    struct tls_context *context;
    struct tls_settings settings = settings_of(pieces, configuration);
    if (tls_context_create(&settings, &context, &error) < 0) {
        configuration_note(notes, true, path, configuration_line(configuration, "certificate"),
                           "[tls]: %s; write PEM files that belong together", error.text);
        return -1;
    }
    (void)tls_context_free(context);
    return 0;
}

static int read_all(const struct configuration *configuration, const char *path, bool make,
                    struct pieces *pieces, struct certificates *out,
                    struct configuration_notes *notes)
{
    struct error error;
    if (configuration->tls_certificates.count != 0) {
        if (read_configured(configuration, path, pieces, out, notes) < 0) {
            return -1;
        }
    } else if (make && read_self_signed(configuration, pieces, out, &error) < 0) {
        configuration_note(notes, true, path, configuration_line(configuration, "state-dir"), "%s",
                           error.text);
        return -1;
    }
    if (configuration->tls_client_ca[0] != '\0' &&
        !take(path, configuration, "client-ca", configuration->tls_client_ca, pieces, out, notes)) {
        return -1;
    }
    return pieces->count < 2 ? 0 : check(pieces, configuration, path, notes);
}

int certificates_load(const struct configuration *configuration, const char *path, bool make,
                      struct certificates *out, struct configuration_notes *notes)
{
    struct pieces pieces = {.count = 0};
    *out = (struct certificates){.memory = -1};
    int result = read_all(configuration, path, make, &pieces, out, notes);
    if (result == 0 && make) {
        out->memory = make_memory(&pieces);
        if (out->memory < 0) {
            configuration_note(notes, true, path, 0, "handing on certificates: %s",
                               strerror(errno));
            result = -1;
        }
    }
    free_pieces(&pieces);
    return result;
}

void certificates_close(struct certificates *certificates)
{
    if (certificates->memory >= 0) {
        (void)close(certificates->memory);
        certificates->memory = -1;
    }
}

bool certificates_changed(const struct certificates *certificates)
{
    for (uint32_t i = 0; i < certificates->count; i++) {
        const struct stat *before = &certificates->files[i];
        struct stat now;
        if (stat(certificates->paths[i], &now) < 0) {
            continue; /* being replaced; what is in use stays */
        }
        if (now.st_ino != before->st_ino || now.st_size != before->st_size ||
            now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != before->st_mtim.tv_nsec) {
            return true;
        }
    }
    return false;
}

/* The pieces lie in the mapping. */
static int split(struct bytes memory, struct pieces *pieces)
{
    struct bytes rest = memory;
    if (rest.size < sizeof pieces->count) {
        return -1;
    }
    memcpy(&pieces->count, rest.data, sizeof pieces->count);
    rest = bytes_from(rest, sizeof pieces->count);
    for (uint32_t i = 0; i < pieces->count; i++) {
        uint32_t size;
        if (i == CERTIFICATES_MOST_FILES || rest.size < sizeof size) {
            return -1;
        }
        memcpy(&size, rest.data, sizeof size);
        rest = bytes_from(rest, sizeof size);
        if (size > rest.size) {
            return -1;
        }
        pieces->list[i] = (struct bytes){.data = rest.data, .size = size};
        rest = bytes_from(rest, size);
    }
    return 0;
}

int certificates_use(int memory, const struct configuration *configuration,
                     const struct tls_tickets *tickets, struct tls_context **context_out,
                     struct error *error)
{
    struct stat facts;
    if (fstat(memory, &facts) < 0 || facts.st_size <= 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "certificates");
    }
    size_t size = (size_t)facts.st_size;
    void *mapped = mmap(NULL, size, PROT_READ, MAP_PRIVATE, memory, 0);
    if (mapped == MAP_FAILED) {
        return error_set(error, ERROR_TEMPORARY, errno, "certificates");
    }
    struct pieces pieces = {.count = 0};
    int result = split((struct bytes){.data = mapped, .size = size}, &pieces);
    if (result < 0) {
        result = error_set(error, ERROR_PROTOCOL, 0, "certificates: the memory makes no sense");
    } else {
        struct tls_settings settings = settings_of(&pieces, configuration);
        settings.tickets = tickets;
        result = tls_context_create(&settings, context_out, error);
    }
    (void)munmap(mapped, size);
    return result;
}
