#include "cli/escape.h"

#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#include "base/shown.h"
#include "base/text.h"

/* Set once at start. */
static bool terminal_is_utf8 = false;

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
        size_t len;
        uint32_t c;

        if (!oxv_utf8_first(text, &c, &len)) {
            write_code(w, "\\x{", c);
        } else if (oxv_char_is_hidden(c) || (c >= 0x80 && !terminal_is_utf8)) {
            write_code(w, "\\u{", c);
        } else {
            oxv_write_view(w, oxv_view(text.data, len));
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
        uint32_t c;
        int columns = !oxv_utf8_first(escaped, &c, &len) || c < 0x80 ? 1 : wcwidth((wchar_t)c);

        width += columns > 0 ? (size_t)columns : 0;
        escaped = oxv_view_from(escaped, len);
    }
    return width;
}
