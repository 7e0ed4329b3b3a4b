#include "service/keeper/events.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND_US   1000000u
#define CAUSES_MAX  64u
#define CALLERS_MAX 64u

/* Refusals of one caller that were logged one by one in the current second. */
struct caller_meter {
    uint64_t uid_plus1; /* 0: free */
    uint64_t second_began_us;
    unsigned logged;
};

/* Refusals that were only counted. The key texts are static strings. */
struct cause_meter {
    uint64_t uid_plus1; /* 0: an unknown peer */
    uint64_t type;
    const char *code;
    const char *door;
    uint64_t count; /* 0: free */
    uint64_t due_us;
};

struct oxv_denials {
    struct caller_meter callers[CALLERS_MAX];
    struct cause_meter causes[CAUSES_MAX];
    uint64_t unknown_next_us; /* when an unknown peer may be logged again */
};

enum oxv_status
oxv_denials_new(struct oxv_denials **out)
{
    struct oxv_denials *denials = calloc(1, sizeof *denials);

    if (denials == NULL) {
        return OXV_E_MEMORY;
    }
    *out = denials;
    return OXV_OK;
}

void
oxv_denials_free(struct oxv_denials *denials)
{
    free(denials);
}

enum oxv_status
oxv_event(struct oxv_keeper *k, const struct oxv_entry *entry, uint64_t *index)
{
    uint64_t ignored;
    struct oxv_err err = { 0 };
    enum oxv_status st = OXV_E_IO;

    if (k->log != NULL) {
        st = oxv_log_append(k->log, entry, index != NULL ? index : &ignored);
    } else if (k->pending != NULL) {
        st = oxv_log_pending_add(k->pending, entry, &err);
    }
    if (st != OXV_OK && k->log != NULL && oxv_log_is_broken(k->log)) {
        k->entry_is_lost = true; /* said once, when it broke: a peer must not fill the journal */
    } else if (st != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: an entry is not logged: %s\n",
                      err.text[0] != '\0' ? err.text : oxv_status_name(st));
        k->entry_is_lost = true;
    }
    return st;
}

/* The slot of this uid; the least recent one is given away. */
static struct caller_meter *
caller_meter(struct oxv_denials *d, uint64_t uid_plus1)
{
    struct caller_meter *oldest = &d->callers[0];

    for (size_t i = 0; i < CALLERS_MAX; i++) {
        if (d->callers[i].uid_plus1 == uid_plus1) {
            return &d->callers[i];
        }
        if (d->callers[i].second_began_us < oldest->second_began_us) {
            oldest = &d->callers[i];
        }
    }
    *oldest = (struct caller_meter){ .uid_plus1 = uid_plus1 };
    return oldest;
}

static bool
may_log_now(struct oxv_keeper *k, uint64_t uid_plus1)
{
    struct caller_meter *meter = caller_meter(k->denials, uid_plus1);

    if (k->now_boot_us - meter->second_began_us >= SECOND_US || meter->second_began_us == 0) {
        meter->second_began_us = k->now_boot_us;
        meter->logged = 0;
    }
    return meter->logged++ < OXV_DENIALS_PER_CALLER_AND_S;
}

static void
write_summary(struct oxv_keeper *k, struct cause_meter *cause)
{
    struct oxv_entry entry = { .type = cause->type,
                               .outcome = OXV_OUTCOME_DENIED,
                               .uid_plus1 = cause->uid_plus1,
                               .count = cause->count,
                               .code = oxv_view_text(cause->code),
                               .door = oxv_view_text(cause->door) };

    cause->count = 0;
    (void)oxv_event(k, &entry, NULL); /* a broken log shows at the end of the turn */
}

static const char *
static_door_name(struct oxv_view door)
{
    enum oxv_door parsed;

    return oxv_door_parse(door, &parsed) ? oxv_door_name(parsed) : "sign";
}

static void
count_cause(struct oxv_keeper *k, const struct cause_meter *key, uint64_t due_us)
{
    struct cause_meter *free_slot = NULL;

    for (size_t i = 0; i < CAUSES_MAX; i++) {
        struct cause_meter *c = &k->denials->causes[i];

        if (c->count > 0 && c->uid_plus1 == key->uid_plus1 && c->type == key->type &&
            strcmp(c->code, key->code) == 0 && c->door == key->door) {
            c->count++;
            return;
        }
        if (c->count == 0 && free_slot == NULL) {
            free_slot = c;
        }
    }
    if (free_slot == NULL) { /* more causes at once than slots: write one early, never lose one */
        free_slot = &k->denials->causes[0];
        write_summary(k, free_slot);
    }
    *free_slot = *key;
    free_slot->count = 1;
    free_slot->due_us = due_us;
}

/* Codes come as views of string literals, or of code tables: both live for ever. */
static const char *
static_code(struct oxv_view code)
{
    return code.len > 0 ? (const char *)code.data : "denied";
}

void
oxv_event_denied(struct oxv_keeper *k, uint64_t uid_plus1, const struct oxv_entry *entry)
{
    k->counters.denied++;
    if (may_log_now(k, uid_plus1)) {
        (void)oxv_event(k, entry, NULL);
        return;
    }
    struct cause_meter key = { .uid_plus1 = uid_plus1,
                               .type = entry->type,
                               .code = static_code(entry->code),
                               .door = static_door_name(entry->door) };

    count_cause(k, &key, k->now_boot_us + SECOND_US);
}

void
oxv_event_peer(struct oxv_keeper *k, enum oxv_door door, const struct oxv_entry *entry)
{
    k->counters.peers_refused++;
    if (k->now_boot_us >= k->denials->unknown_next_us) {
        k->denials->unknown_next_us = k->now_boot_us + SECOND_US;
        (void)oxv_event(k, entry, NULL);
        return;
    }
    struct cause_meter key = { .type = entry->type,
                               .code = static_code(entry->code),
                               .door = oxv_door_name(door) };

    count_cause(k, &key, 0);
}

void
oxv_event_frontend(struct oxv_keeper *k, enum oxv_door door, uint64_t uid_plus1, const char *why)
{
    struct oxv_entry entry = { .type = OXV_ENTRY_FRONTEND,
                               .outcome = OXV_OUTCOME_FAILED,
                               .uid_plus1 = uid_plus1,
                               .door = oxv_view_text(oxv_door_name(door)),
                               .code = oxv_view_text("frontend_lost"),
                               .reason = oxv_view_text(why) };

    /* A peer that makes its frontend fall again and again is bounded like one that is refused. */
    oxv_event_denied(k, uid_plus1, &entry);
}

void
oxv_events_tick(struct oxv_keeper *k)
{
    struct oxv_denials *d = k->denials;

    for (size_t i = 0; i < CAUSES_MAX; i++) {
        struct cause_meter *c = &d->causes[i];

        if (c->count == 0) {
            continue;
        }
        if (c->uid_plus1 == 0) { /* all unknown peers share one entry a second */
            if (k->now_boot_us < d->unknown_next_us) {
                continue;
            }
            d->unknown_next_us = k->now_boot_us + SECOND_US;
            write_summary(k, c);
        } else if (k->now_boot_us >= c->due_us) {
            write_summary(k, c);
        }
    }
}

uint64_t
oxv_events_next_us(const struct oxv_keeper *k)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < CAUSES_MAX; i++) {
        const struct cause_meter *c = &k->denials->causes[i];
        uint64_t due = c->uid_plus1 == 0 ? k->denials->unknown_next_us : c->due_us;

        if (c->count > 0 && due < next) {
            next = due;
        }
    }
    return next;
}
