#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/io.h"

#define BAR_CHARS   40
#define INTERVAL_US 100000u

void
oxv_progress_begin(struct oxv_progress *progress, const char *what, uint64_t total)
{
    *progress = (struct oxv_progress){ .what = what,
                                       .total = total,
                                       .visible = isatty(STDERR_FILENO) == 1 };
}

void
oxv_progress_show(struct oxv_progress *progress, uint64_t done)
{
    uint64_t now_us = oxv_clock_boot_us();
    uint64_t total = progress->total == 0 ? 1 : progress->total;
    uint64_t part = done < total ? done : total;

    if (!progress->visible || now_us - progress->shown_us < INTERVAL_US) {
        return;
    }
    progress->shown_us = now_us;
    int filled = (int)(part * BAR_CHARS / total);

    (void)fprintf(stderr, "\r%s [%.*s%*s] %3d%%", progress->what, filled,
                  "########################################", BAR_CHARS - filled, "",
                  (int)(part * 100 / total));
    (void)fflush(stderr);
}

void
oxv_progress_end(struct oxv_progress *progress)
{
    if (progress->visible && progress->shown_us != 0) {
        (void)fputs("\r\033[K", stderr);
    }
}
