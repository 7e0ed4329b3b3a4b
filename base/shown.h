/*
 * shown: which characters do harm where text from outside is shown or handed on: controls, and
 * what reorders other text, changes how it looks, or does not show at all.
 */
#ifndef OXV_BASE_SHOWN_H
#define OXV_BASE_SHOWN_H

#include "base/bytes.h"

/*
 * The first character of `text`, which is not empty, and its length in bytes. Where no well-formed
 * one begins there: false, *c is the byte and *len is 1.
 */
OXV_MUST_USE bool oxv_utf8_first(struct oxv_view text, uint32_t *c, size_t *len);

/*
 * C0, DEL, C1; Unicode's bidi controls, line separators, invisible and private characters,
 * variation selectors and tags?
 */
bool oxv_char_is_hidden(uint32_t c);

#endif
