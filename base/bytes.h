/*
 * bytes: views, a reader and a writer. All wire, file and log bytes pass through here; no other
 * file does pointer arithmetic on bytes from outside. Integers are big-endian.
 */
#ifndef OXV_BASE_BYTES_H
#define OXV_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

/* Borrowed bytes; never owns. */
struct oxv_view {
    const uint8_t *data;
    size_t len;
};

static inline struct oxv_view
oxv_view(const void *data, size_t len)
{
    return (struct oxv_view){ .data = data, .len = len };
}

static inline struct oxv_view
oxv_view_text(const char *text)
{
    return oxv_view(text, strlen(text));
}

/* Not in constant time: for public bytes. */
bool oxv_view_equals(struct oxv_view a, struct oxv_view b);
bool oxv_view_is(struct oxv_view a, const char *text);
/* memcmp order, a shorter prefix first. */
int oxv_view_compare(struct oxv_view a, struct oxv_view b);
bool oxv_view_has_prefix(struct oxv_view whole, const char *prefix);
/* The bytes from..end; `from` beyond the end gives an empty view. */
struct oxv_view oxv_view_from(struct oxv_view whole, size_t from);
/* At most `len` bytes from `from`; what lies beyond the end is not there. */
struct oxv_view oxv_view_slice(struct oxv_view whole, size_t from, size_t len);
/* The offset of the first such byte, or whole.len. */
size_t oxv_view_find(struct oxv_view whole, uint8_t byte);
/* The offset of the last such byte, or whole.len. */
size_t oxv_view_find_last(struct oxv_view whole, uint8_t byte);

struct oxv_reader {
    struct oxv_view left;
};

static inline struct oxv_reader
oxv_reader(struct oxv_view whole)
{
    return (struct oxv_reader){ .left = whole };
}

/* Each returns false, and reads nothing, where too few bytes are left. Views borrow. */
OXV_MUST_USE bool oxv_read_u8(struct oxv_reader *r, uint8_t *out);
OXV_MUST_USE bool oxv_read_u16(struct oxv_reader *r, uint16_t *out);
OXV_MUST_USE bool oxv_read_u32(struct oxv_reader *r, uint32_t *out);
OXV_MUST_USE bool oxv_read_u64(struct oxv_reader *r, uint64_t *out);
OXV_MUST_USE bool oxv_read_bytes(struct oxv_reader *r, uint8_t *out, size_t len);
OXV_MUST_USE bool oxv_read_view(struct oxv_reader *r, size_t len, struct oxv_view *out);
/* A u16 length, then that many bytes. */
OXV_MUST_USE bool oxv_read_view16(struct oxv_reader *r, struct oxv_view *out);
/* A u32 length, then that many bytes. */
OXV_MUST_USE bool oxv_read_view32(struct oxv_reader *r, struct oxv_view *out);
/* What stands before the next newline, which is read too; false where there is none. */
OXV_MUST_USE bool oxv_read_line(struct oxv_reader *r, struct oxv_view *out);
OXV_MUST_USE bool oxv_reader_at_end(const struct oxv_reader *r);

/*
 * Writes into the caller's buffer. The first write that does not fit makes it fail for good; ask
 * once, in oxv_writer_finish(). Nothing is ever written past `max`.
 */
struct oxv_writer {
    uint8_t *data;
    size_t len;
    size_t max;
    bool failed;
};

static inline struct oxv_writer
oxv_writer(void *buffer, size_t max)
{
    return (struct oxv_writer){ .data = buffer, .max = max };
}

/* Integers come as uint64_t and make the writer fail where they are too wide for the field. */
void oxv_write_u8(struct oxv_writer *w, uint64_t value);
void oxv_write_u16(struct oxv_writer *w, uint64_t value);
void oxv_write_u32(struct oxv_writer *w, uint64_t value);
void oxv_write_u64(struct oxv_writer *w, uint64_t value);
void oxv_write_view(struct oxv_writer *w, struct oxv_view bytes);
void oxv_write_view16(struct oxv_writer *w, struct oxv_view bytes);
void oxv_write_view32(struct oxv_writer *w, struct oxv_view bytes);
/* The bytes of a NUL-terminated literal, without the NUL. */
void oxv_write_text(struct oxv_writer *w, const char *text);
/* Decimal digits, no sign, no leading zeroes. */
void oxv_write_decimal(struct oxv_writer *w, uint64_t value);
/* Reserves `len` bytes to be filled by the caller; NULL (and failed) where they do not fit. */
OXV_MUST_USE uint8_t *oxv_write_reserve(struct oxv_writer *w, size_t len);
/* A u32 whose value is not known yet: begin returns its place, end writes the bytes since then. */
size_t oxv_write_begin32(struct oxv_writer *w);
void oxv_write_end32(struct oxv_writer *w, size_t begin);
/* What was written, or OXV_E_LIMIT where something did not fit. *out is untouched on failure. */
OXV_MUST_USE enum oxv_status oxv_writer_finish(const struct oxv_writer *w, struct oxv_view *out);

#endif
