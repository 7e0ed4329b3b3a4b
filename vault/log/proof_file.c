#include "vault/log/proof_file.h"

#include "base/text.h"

#define ENTRY_HEADER "c2sp.org/tlog-proof@v1"

void
oxv_proof_file_write(struct oxv_writer *w, const struct oxv_proof_file *file)
{
    if (file->kind == OXV_PROOF_OF_ENTRY) {
        oxv_write_text(w, ENTRY_HEADER "\n");
        if (file->extra_len > 0) {
            oxv_write_text(w, "extra ");
            oxv_write_base64(w, oxv_view(file->extra, file->extra_len));
            oxv_write_u8(w, '\n');
        }
        oxv_write_text(w, "index ");
    } else {
        oxv_write_text(w, "old ");
    }
    oxv_write_decimal(w, file->number);
    oxv_write_u8(w, '\n');
    for (size_t i = 0; i < file->proof.count; i++) {
        oxv_write_base64(w, oxv_view(file->proof.hash[i], OXV_HASH_BYTES));
        oxv_write_u8(w, '\n');
    }
    oxv_write_u8(w, '\n');
    oxv_write_view(w, file->note);
}

/* What stands behind the word and one space; false where the line begins otherwise. */
static bool
value_of(struct oxv_view line, const char *word, struct oxv_view *value)
{
    size_t len = strlen(word);

    *value = oxv_view_from(line, len + 1);
    return oxv_view_has_prefix(line, word) && line.len > len + 1 && line.data[len] == ' ';
}

static bool
read_hashes(struct oxv_reader *r, struct oxv_proof *proof)
{
    struct oxv_view line;
    size_t len;

    while (oxv_read_line(r, &line)) {
        if (line.len == 0) {
            return true;
        }
        if (proof->count == OXV_PROOF_MAX_HASHES ||
            !oxv_parse_base64(line, proof->hash[proof->count], OXV_HASH_BYTES, &len) ||
            len != OXV_HASH_BYTES) {
            return false;
        }
        proof->count++;
    }
    return false;
}

static bool
parse(struct oxv_view bytes, struct oxv_proof_file *file)
{
    struct oxv_reader r = oxv_reader(bytes);
    struct oxv_view line;
    struct oxv_view value;

    if (!oxv_read_line(&r, &line)) {
        return false;
    }
    if (oxv_view_is(line, ENTRY_HEADER)) {
        if (!oxv_read_line(&r, &line)) {
            return false;
        }
        if (value_of(line, "extra", &value) &&
            (!oxv_parse_base64(value, file->extra, sizeof file->extra, &file->extra_len) ||
             file->extra_len == 0 || !oxv_read_line(&r, &line))) {
            return false;
        }
        if (!value_of(line, "index", &value)) {
            return false;
        }
    } else if (value_of(line, "old", &value)) {
        file->kind = OXV_PROOF_OF_GROWTH;
    } else {
        return false;
    }
    if (!oxv_parse_decimal(value, OXV_PROOF_SIZE_MAX, &file->number) ||
        !read_hashes(&r, &file->proof)) {
        return false;
    }
    file->note = r.left;
    return file->note.len > 0;
}

enum oxv_status
oxv_proof_file_parse(struct oxv_view bytes, struct oxv_proof_file *out, struct oxv_err *err)
{
    *out = (struct oxv_proof_file){ .kind = OXV_PROOF_OF_ENTRY };
    if (bytes.len > OXV_PROOF_FILE_MAX_BYTES || !parse(bytes, out)) {
        return oxv_fail(err, OXV_E_FORMAT, "this is no proof (c2sp.org/tlog-proof@v1, or old)");
    }
    return OXV_OK;
}
