#include "cli/escape.h"

#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#include "base/text.h"

/* Set once at start. */
static bool terminal_is_utf8 = false;

struct range {
    uint32_t first;
    uint32_t last;
};

/* What changes how other text looks, or does not show at all. */
static const struct range hidden[] = {
    { 0x0000, 0x001f },   { 0x007f, 0x009f },    { 0x00ad, 0x00ad },   { 0x034f, 0x034f },
    { 0x061c, 0x061c },   { 0x115f, 0x1160 },    { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
    { 0x200b, 0x200f },   { 0x2028, 0x202e },    { 0x2060, 0x206f },   { 0x3164, 0x3164 },
    { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },    { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },
    { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },  { 0xe0000, 0xe0fff }, { 0xe000, 0xf8ff },
    { 0xfffe, 0xffff },   { 0xf0000, 0x10ffff },
};

void
oxv_escape_setup(void)
{
    if (setlocale(LC_CTYPE, "") != NULL) {
        terminal_is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    }
}

void
oxv_escape_set_utf8(bool utf8)
{
    terminal_is_utf8 = utf8;
}

static bool
is_hidden(uint32_t c)
{
    if (c >= 0x80 && !terminal_is_utf8) {
        return true;
    }
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (c >= hidden[i].first && c <= hidden[i].last) {
            return true;
        }
    }
    return false;
}

/* The character at the start of `text`, which is well-formed there, and its length in bytes. */
static uint32_t
decode(struct oxv_view text, size_t *len)
{
    uint8_t lead = text.data[0];
    uint32_t c;

    *len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    c = lead < 0x80 ? lead : lead & (0xffu >> (*len + 1));
    for (size_t i = 1; i < *len; i++) {
        c = c << 6 | (text.data[i] & 0x3fu);
    }
    return c;
}

static void
write_code(struct oxv_writer *w, const char *prefix, uint32_t c)
{
    char code[16];

    if (oxv_format(code, sizeof code, "%s%02X}", prefix, (unsigned)c) != OXV_OK) {
        oxv_bug("an escape that is too long");
    }
    oxv_write_text(w, code);
}

void
oxv_escape_write(struct oxv_writer *w, struct oxv_view text)
{
    while (text.len > 0) {
        struct oxv_view head = oxv_view(text.data, text.len < 4 ? text.len : 4);
        size_t len = 1;

        if (oxv_utf8_prefix_len(head) == 0) {
            write_code(w, "\\x{", text.data[0]);
        } else {
            uint32_t c = decode(text, &len);

            if (is_hidden(c)) {
                write_code(w, "\\u{", c);
            } else {
                oxv_write_view(w, oxv_view(text.data, len));
            }
        }
        text = oxv_view_from(text, len);
    }
}

void
oxv_escape_print(FILE *out, struct oxv_view text)
{
    while (text.len > 0) {
        uint8_t buffer[4096];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        struct oxv_view piece = oxv_view(text.data, text.len < 256 ? text.len : 256);
        size_t good = oxv_utf8_prefix_len(piece);

        /* Not through the middle of a character. */
        piece.len = good > 0 ? good : 1;
        oxv_escape_write(&w, piece);
        (void)fwrite(w.data, 1, w.len, out); /* asked at the end, for stdout */
        text = oxv_view_from(text, piece.len);
    }
}

size_t
oxv_escape_width(struct oxv_view escaped)
{
    size_t width = 0;

    while (escaped.len > 0) {
        size_t len;
        uint32_t c = decode(escaped, &len);
        int columns = c < 0x80 ? 1 : wcwidth((wchar_t)c);

        width += columns > 0 ? (size_t)columns : 0;
        escaped = oxv_view_from(escaped, len);
    }
    return width;
}
