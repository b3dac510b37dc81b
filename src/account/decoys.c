/* SPDX-License-Identifier: MIT */
#include "account/decoys.h"

#include "account/source.h"

/* Old counts weigh half after so many new ones, so that a site that changes its hashes is followed. */
enum { COUNT_MAX = 4096 };

static struct decoy_kind *find(struct decoys *decoys, const struct verifier_cost *cost)
{
    for (uint32_t i = 0; i < decoys->size; i++) {
        if (verifier_cost_equal(&decoys->kinds[i].cost, cost)) {
            return &decoys->kinds[i];
        }
    }
    return NULL;
}

static void halve(struct decoys *decoys)
{
    for (uint32_t i = 0; i < decoys->size; i++) {
        decoys->kinds[i].count /= 2;
    }
}

static struct decoy_kind *rarest(struct decoys *decoys)
{
    struct decoy_kind *found = &decoys->kinds[0];
    for (uint32_t i = 1; i < decoys->size; i++) {
        found = decoys->kinds[i].count < found->count ? &decoys->kinds[i] : found;
    }
    return found;
}

/* A {PLAIN} verifier is a password: any other costs the same. */
static struct decoy_kind *add(struct decoys *decoys, const struct verifier_cost *cost,
                              const char *verifier)
{
    struct secret *example;
    struct error error;
    const char *kept = cost->scheme == VERIFIER_PLAIN ? "{PLAIN}nobody's" : verifier;
    if (secret_create(bytes_of(kept), &example, &error) < 0) {
        return NULL; /* longer than any that is usual, or no memory: then not this one */
    }
    struct decoy_kind *kind =
        decoys->size < DECOYS_KINDS ? &decoys->kinds[decoys->size++] : rarest(decoys);
    (void)secret_free(kind->example);
    *kind = (struct decoy_kind){.cost = *cost, .example = example};
    return kind;
}

void decoys_learn(struct decoys *decoys, const char *verifier)
{
    struct verifier_cost cost;
    struct error error;
    if (verifier_examine(bytes_of(verifier), &cost, &error) < 0) {
        return;
    }
    struct decoy_kind *kind = find(decoys, &cost);
    if (kind == NULL) {
        kind = add(decoys, &cost, verifier);
    }
    if (kind != NULL && ++kind->count >= COUNT_MAX) {
        halve(decoys);
    }
}

static const struct decoy_kind *commonest(const struct decoys *decoys)
{
    const struct decoy_kind *found = NULL;
    for (uint32_t i = 0; i < decoys->size; i++) {
        if (found == NULL || decoys->kinds[i].count > found->count) {
            found = &decoys->kinds[i];
        }
    }
    return found;
}

int decoys_account(const struct decoys *decoys, struct account **account_out, struct error *error)
{
    const struct decoy_kind *kind = commonest(decoys);
    struct source_answer nobody = {.uid = ACCOUNT_NO_ID, .gid = ACCOUNT_NO_ID};
    if (kind != NULL) {
        struct bytes example = secret_octets(kind->example);
        memcpy(nobody.verifier, example.data, example.size); /* a secret is shorter */
    } /* else it is locked, which costs what a new account costs */
    int result = account_from_answer(&nobody, true, account_out, error);
    explicit_bzero(&nobody, sizeof nobody);
    if (result == 0) {
        (*account_out)->may_login = false;
    }
    return result;
}

uint32_t decoys_iterations(const struct decoys *decoys, enum scram_hash hash)
{
    const struct decoy_kind *found = NULL;
    enum verifier_scheme scheme =
        hash == SCRAM_SHA_256 ? VERIFIER_SCRAM_SHA_256 : VERIFIER_SCRAM_SHA_1;
    for (uint32_t i = 0; i < decoys->size; i++) {
        const struct decoy_kind *kind = &decoys->kinds[i];
        if (kind->cost.scheme == scheme && (found == NULL || kind->count > found->count)) {
            found = kind;
        }
    }
    return found == NULL ? 0 : (uint32_t)found->cost.work;
}

void decoys_finish(struct decoys *decoys)
{
    for (uint32_t i = 0; i < decoys->size; i++) {
        (void)secret_free(decoys->kinds[i].example);
    }
    *decoys = (struct decoys){0};
}
