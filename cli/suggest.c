#include "cli/suggest.h"

#include <string.h>

#define LEN_MAX 40u

static size_t
min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace) from `a` to `b`, both of LEN_MAX at most. */
static size_t
edits(const char *a, const char *b)
{
    size_t row[LEN_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);

            diagonal = row[j + 1];
            row[j + 1] = min(replaced, min(row[j], row[j + 1]) + 1);
        }
    }
    return row[b_len];
}

void
oxv_suggestion_start(struct oxv_suggestion *s, const char *typed)
{
    *s = (struct oxv_suggestion){ .typed = typed, .best = NULL, .distance = strlen(typed) / 3 + 2 };
}

void
oxv_suggestion_offer(struct oxv_suggestion *s, const char *offer)
{
    size_t distance;

    if (strlen(s->typed) > LEN_MAX || strlen(offer) > LEN_MAX) {
        return;
    }
    distance = edits(s->typed, offer);
    /* A beginning of the word is near, however short. */
    if (strlen(s->typed) >= 3 && strncmp(s->typed, offer, strlen(s->typed)) == 0) {
        distance = min(distance, 1);
    }
    if (distance < s->distance) {
        s->distance = distance;
        s->best = offer;
    }
}
