/* progress: a bar on stderr for long work, only where that is a terminal. */
#ifndef OXV_CLI_PROGRESS_H
#define OXV_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct oxv_progress {
    const char *what;
    uint64_t total;
    uint64_t shown_us; /* when it was drawn last */
    bool visible;
};

void oxv_progress_begin(struct oxv_progress *progress, const char *what, uint64_t total);
/* Cheap to call often: draws ten times a second at most. */
void oxv_progress_show(struct oxv_progress *progress, uint64_t done);
/* Takes the bar away. */
void oxv_progress_end(struct oxv_progress *progress);

#endif
