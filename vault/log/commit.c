#include "vault/log/commit.h"

#include "base/text.h"

static const char commit_begin[] = "{\"commit\":";

bool
oxv_commit_is_line(struct oxv_view line)
{
    return oxv_view_has_prefix(line, commit_begin);
}

/* Up to the signature. */
static void
write_begin(struct oxv_writer *w, const struct oxv_commit *commit)
{
    oxv_write_text(w, commit_begin);
    oxv_write_text(w, "{\"epoch\":");
    oxv_write_decimal(w, commit->epoch);
    oxv_write_text(w, ",\"root\":\"");
    oxv_write_base64(w, oxv_view(commit->root, sizeof commit->root));
    oxv_write_text(w, "\",\"sig\":\"");
}

void
oxv_commit_write(struct oxv_writer *w, const struct oxv_commit *commit)
{
    write_begin(w, commit);
    oxv_write_base64(w, oxv_view(commit->signature, sizeof commit->signature));
    oxv_write_text(w, "\",\"size\":");
    oxv_write_decimal(w, commit->size);
    oxv_write_text(w, "}}");
}

static bool
skip_text(struct oxv_reader *r, const char *text)
{
    struct oxv_view read;

    return oxv_read_view(r, strlen(text), &read) && oxv_view_is(read, text);
}

static bool
read_number(struct oxv_reader *r, uint64_t *out)
{
    struct oxv_view left = r->left;
    struct oxv_view digits;
    size_t len = 0;

    while (len < left.len && left.data[len] >= '0' && left.data[len] <= '9') {
        len++;
    }
    return oxv_read_view(r, len, &digits) && oxv_parse_decimal(digits, OXV_LOG_INTEGER_MAX, out);
}

/* Base64 of exactly `len` bytes. */
static bool
read_base64(struct oxv_reader *r, uint8_t *out, size_t len)
{
    struct oxv_view text;
    size_t got;

    return oxv_read_view(r, (len + 2) / 3 * 4, &text) && oxv_parse_base64(text, out, len, &got) &&
           got == len;
}

bool
oxv_commit_parse(struct oxv_view line, struct oxv_commit *out)
{
    struct oxv_reader r = oxv_reader(line);
    struct oxv_commit commit;

    if (!skip_text(&r, commit_begin) || !skip_text(&r, "{\"epoch\":") ||
        !read_number(&r, &commit.epoch) || !skip_text(&r, ",\"root\":\"") ||
        !read_base64(&r, commit.root, sizeof commit.root) || !skip_text(&r, "\",\"sig\":\"") ||
        !read_base64(&r, commit.signature, sizeof commit.signature) ||
        !skip_text(&r, "\",\"size\":") || !read_number(&r, &commit.size) || !skip_text(&r, "}}") ||
        !oxv_reader_at_end(&r)) {
        return false;
    }
    *out = commit;
    return true;
}

struct oxv_commit_difference
oxv_commit_compare(struct oxv_view line, const struct oxv_commit *expected)
{
    uint8_t buffer[OXV_COMMIT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    write_begin(&w, expected);
    size_t signature = w.len;
    size_t signature_end = signature + (OXV_NOTE_SIGNATURE_BYTES + 2) / 3 * 4;
    struct oxv_commit_difference found = { .count = 0, .first = signature };

    w.len = 0;
    oxv_commit_write(&w, expected);
    for (size_t i = 0; i < line.len && i < w.len; i++) {
        bool differs = line.data[i] != buffer[i] && (i < signature || i >= signature_end);

        if (differs && found.count == 0) {
            found.first = i;
        }
        found.count += differs ? 1 : 0;
    }
    if (line.len != w.len) {
        found.first = found.count == 0 ? (line.len < w.len ? line.len : w.len) : found.first;
        found.count = SIZE_MAX;
    }
    return found;
}

bool
oxv_commit_ends_line(struct oxv_view line)
{
    struct oxv_commit commit;

    for (size_t at = line.len > OXV_COMMIT_MAX_BYTES ? line.len - OXV_COMMIT_MAX_BYTES : 0;
         at < line.len; at++) {
        if (oxv_commit_parse(oxv_view_from(line, at), &commit)) {
            return true;
        }
    }
    return false;
}
