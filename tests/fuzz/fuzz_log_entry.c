/* A line that the checker accepts is, to the byte, what the emitter writes for what was read. */
#include <stdlib.h>

#include "base/text.h"
#include "vault/log/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the backslashes out; they only stand before quotes and backslashes. */
static struct oxv_view
unescape(struct oxv_view text, struct oxv_writer *w)
{
    size_t begin = w->len;

    for (size_t i = 0; i < text.len; i++) {
        i += text.data[i] == '\\' ? 1 : 0;
        oxv_write_u8(w, text.data[i]);
    }
    return oxv_view_from(oxv_view(w->data, w->len), begin);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t texts[OXV_LOG_ENTRY_MAX_BYTES];
    static uint8_t again[OXV_LOG_ENTRY_MAX_BYTES];
    struct oxv_writer t = oxv_writer(texts, sizeof texts);
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_entry_fault fault;
    struct oxv_entry_line line;
    char boot[OXV_LOG_BOOT_CHARS + 1];

    if (oxv_entry_check(oxv_view(data, size), &line, &fault) != OXV_OK) {
        if (fault.offset > size || fault.reason == NULL) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < oxv_entry_shape.count; i++) {
        const struct oxv_field *field = &oxv_entry_shape.fields[i];

        if (field->type != OXV_FIELD_U64) {
            oxv_field_set_view(field, &line.entry,
                               unescape(oxv_field_view(field, &line.entry), &t));
        }
    }
    if (oxv_text_copy(line.boot, boot, sizeof boot) != OXV_OK) {
        abort();
    }
    struct oxv_entry_place place = { .seq = line.seq,
                                     .epoch = line.epoch,
                                     .time_us = line.time_us,
                                     .mono_us = line.mono_us,
                                     .boot = boot };

    oxv_entry_write(&w, &line.entry, &place);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), oxv_view(data, size))) {
        abort();
    }
    return 0;
}
