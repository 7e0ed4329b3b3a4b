/* times: points in time as people write them. */
#ifndef OXV_CLI_TIMES_H
#define OXV_CLI_TIMES_H

#include "base/bytes.h"
#include "base/text.h"

/*
 * RFC 3339, a date (midnight UTC), or a distance: a number and s, m, h, d or w. With `forward` a
 * distance begins with "+" and counts from now on, else it counts back. Writes RFC 3339.
 */
OXV_MUST_USE bool oxv_times_parse(const char *text, uint64_t now_us, bool forward,
                                  char out[OXV_TIMESTAMP_BYTES]);

#endif
