/*
 * escape: text from outside, fit for a terminal. Control characters, and characters that reorder
 * or hide text (Unicode bidi controls, invisible ones, line separators), are shown as \u{202E};
 * bytes that are no UTF-8 as \x{FF}. Where the locale is not UTF-8, so is all but ASCII.
 */
#ifndef OXV_CLI_ESCAPE_H
#define OXV_CLI_ESCAPE_H

#include <stdio.h>

#include "base/bytes.h"

/* Once at start: takes the user's locale for characters only. */
void oxv_escape_setup(void);
/* For tests: as the locale would say. */
void oxv_escape_set_utf8(bool utf8);

/* Appends the escaped text. At most 10 times as long as `text`. */
void oxv_escape_write(struct oxv_writer *w, struct oxv_view text);
void oxv_escape_print(FILE *out, struct oxv_view text);

/* Columns on a terminal of a text that is escaped already. */
size_t oxv_escape_width(struct oxv_view escaped);

#endif
