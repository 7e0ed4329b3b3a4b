/* suggest: what was meant by a word that is not known. */
#ifndef OXV_CLI_SUGGEST_H
#define OXV_CLI_SUGGEST_H

#include <stddef.h>

struct oxv_suggestion {
    const char *typed; /* borrowed */
    const char *best;  /* the nearest offer; NULL where none is near */
    size_t distance;
};

void oxv_suggestion_start(struct oxv_suggestion *s, const char *typed);
void oxv_suggestion_offer(struct oxv_suggestion *s, const char *offer);

#endif
