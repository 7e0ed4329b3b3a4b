#include "vault/log/checkpoint.h"

#include <sodium.h>

#include "base/text.h"

#define SIGNATURE_BEGIN "\xe2\x80\x94 "
/* Of one line. ML-DSA-44 has 2,420 bytes and a time; an unknown kind may have more. */
#define SIGNATURE_MAX_BYTES 8192u
#define COSIGNED_MAX_BYTES  (OXV_NOTE_MAX_BYTES + 64u)

/* One signature line. */
struct line {
    struct oxv_view name;
    size_t len;
    uint8_t bytes[SIGNATURE_MAX_BYTES]; /* key id and signature */
};

static bool
parse_line(struct oxv_view text, struct line *line)
{
    struct oxv_view rest = oxv_view_from(text, strlen(SIGNATURE_BEGIN));
    size_t space = oxv_view_find(rest, ' ');

    line->name = oxv_view_slice(rest, 0, space);
    return oxv_view_has_prefix(text, SIGNATURE_BEGIN) && space < rest.len &&
           oxv_note_is_name(line->name) &&
           oxv_parse_base64(oxv_view_from(rest, space + 1), line->bytes, sizeof line->bytes,
                            &line->len) &&
           line->len > OXV_NOTE_KEY_ID_BYTES;
}

/* UTF-8 without control characters, newlines aside? */
static bool
is_text(struct oxv_view bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] < 0x20 && bytes.data[i] != '\n') {
            return false;
        }
    }
    return oxv_is_utf8(bytes);
}

/* The length of the text: up to the newline before the last empty line; 0 where there is none. */
static size_t
text_len(struct oxv_view bytes)
{
    for (size_t at = bytes.len; at > 1; at--) {
        if (bytes.data[at - 1] == '\n' && bytes.data[at - 2] == '\n') {
            return at - 1;
        }
    }
    return 0;
}

static bool
are_signatures(struct oxv_view lines)
{
    struct oxv_reader r = oxv_reader(lines);
    struct oxv_view text;
    struct line line;
    size_t count = 0;

    while (oxv_read_line(&r, &text)) {
        if (++count > OXV_NOTE_SIGNATURES_MAX || !parse_line(text, &line)) {
            return false;
        }
    }
    return count > 0 && oxv_reader_at_end(&r);
}

enum oxv_status
oxv_note_parse(struct oxv_view bytes, struct oxv_note *out, struct oxv_err *err)
{
    size_t len = bytes.len > OXV_NOTE_MAX_BYTES ? 0 : text_len(bytes);
    struct oxv_note note = { .text = oxv_view_slice(bytes, 0, len),
                             .signatures = oxv_view_from(bytes, len + 1) };

    if (len == 0 || !is_text(bytes)) {
        return oxv_fail(err, OXV_E_FORMAT, "this is no signed note");
    }
    if (!are_signatures(note.signatures)) {
        return oxv_fail(err, OXV_E_FORMAT, "the signatures of the note are malformed");
    }
    *out = note;
    return OXV_OK;
}

/* Whose signature, and how it is checked. */
struct check {
    const char *name;
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];
    bool (*is_genuine)(const struct check *check, struct oxv_view text, struct oxv_view signature);
    const uint8_t *public_key;
    uint64_t *time_s;
};

static enum oxv_status
check_lines(const struct oxv_note *note, const struct check *check)
{
    struct oxv_reader r = oxv_reader(note->signatures);
    enum oxv_status st = OXV_E_NOT_FOUND;
    struct oxv_view text;
    struct line line;

    while (oxv_read_line(&r, &text) && parse_line(text, &line)) {
        struct oxv_view signature =
            oxv_view_from(oxv_view(line.bytes, line.len), OXV_NOTE_KEY_ID_BYTES);

        if (!oxv_view_is(line.name, check->name) ||
            memcmp(line.bytes, check->id, sizeof check->id) != 0) {
            continue;
        }
        if (!check->is_genuine(check, note->text, signature)) {
            return OXV_E_FORGED;
        }
        st = OXV_OK;
    }
    return st;
}

static bool
is_signature(const struct check *check, struct oxv_view text, struct oxv_view signature)
{
    return signature.len == OXV_NOTE_SIGNATURE_BYTES &&
           crypto_sign_verify_detached(signature.data, text.data, text.len, check->public_key) == 0;
}

enum oxv_status
oxv_note_check(const struct oxv_note *note, const struct oxv_vkey *key)
{
    struct check check = { .name = key->name,
                           .is_genuine = is_signature,
                           .public_key = key->public_key };

    oxv_note_key_id(key->name, key->public_key, check.id);
    return check_lines(note, &check);
}

/* What a cosignature is over. */
static struct oxv_view
cosigned_text(struct oxv_view text, uint64_t time_s, uint8_t buffer[COSIGNED_MAX_BYTES])
{
    struct oxv_writer w = oxv_writer(buffer, COSIGNED_MAX_BYTES);
    struct oxv_view cosigned;

    oxv_write_text(&w, "cosignature/v1\ntime ");
    oxv_write_decimal(&w, time_s);
    oxv_write_u8(&w, '\n');
    oxv_write_view(&w, text);
    if (oxv_writer_finish(&w, &cosigned) != OXV_OK) {
        oxv_bug("a note that was never parsed");
    }
    return cosigned;
}

static bool
is_cosignature(const struct check *check, struct oxv_view text, struct oxv_view signature)
{
    uint8_t buffer[COSIGNED_MAX_BYTES];
    struct oxv_reader r = oxv_reader(signature);
    uint64_t time_s;

    if (signature.len != OXV_COSIGNATURE_BYTES || !oxv_read_u64(&r, &time_s)) {
        return false;
    }
    struct oxv_view cosigned = cosigned_text(text, time_s, buffer);

    if (crypto_sign_verify_detached(r.left.data, cosigned.data, cosigned.len, check->public_key) !=
        0) {
        return false;
    }
    *check->time_s = time_s > *check->time_s ? time_s : *check->time_s;
    return true;
}

enum oxv_status
oxv_note_check_cosigner(const struct oxv_note *note, const struct oxv_vkey *witness,
                        uint64_t *time_s)
{
    uint64_t latest = 0;
    struct check check = { .name = witness->name,
                           .is_genuine = is_cosignature,
                           .public_key = witness->public_key,
                           .time_s = &latest };

    oxv_cosigner_key_id(witness, check.id);
    enum oxv_status st = check_lines(note, &check);

    if (st == OXV_OK) {
        *time_s = latest;
    }
    return st;
}

void
oxv_cosign(struct oxv_view text, const struct oxv_secret *secret_key, uint64_t time_s,
           uint8_t out[OXV_COSIGNATURE_BYTES])
{
    uint8_t buffer[COSIGNED_MAX_BYTES];
    struct oxv_view cosigned = cosigned_text(text, time_s, buffer);
    struct oxv_view key = oxv_secret_view(secret_key);
    struct oxv_writer w = oxv_writer(out, OXV_COSIGNATURE_BYTES);

    oxv_write_u64(&w, time_s);
    uint8_t *signature = oxv_write_reserve(&w, OXV_NOTE_SIGNATURE_BYTES);

    if (signature == NULL || key.len != OXV_NOTE_SECRET_KEY_BYTES ||
        crypto_sign_detached(signature, NULL, cosigned.data, cosigned.len, key.data) != 0) {
        oxv_bug("Ed25519 cannot fail");
    }
}

void
oxv_note_write_signature(struct oxv_writer *w, const char *name,
                         const uint8_t id[OXV_NOTE_KEY_ID_BYTES], struct oxv_view signature)
{
    uint8_t buffer[OXV_NOTE_KEY_ID_BYTES + OXV_COSIGNATURE_BYTES];
    struct oxv_writer both = oxv_writer(buffer, sizeof buffer);
    struct oxv_view payload = { 0 };

    oxv_write_view(&both, oxv_view(id, OXV_NOTE_KEY_ID_BYTES));
    oxv_write_view(&both, signature);
    w->failed = w->failed || oxv_writer_finish(&both, &payload) != OXV_OK;
    oxv_write_text(w, SIGNATURE_BEGIN);
    oxv_write_text(w, name);
    oxv_write_u8(w, ' ');
    oxv_write_base64(w, payload);
    oxv_write_u8(w, '\n');
}

void
oxv_checkpoint_write_note(struct oxv_writer *w, const struct oxv_checkpoint *checkpoint,
                          const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
                          const uint8_t signature[OXV_NOTE_SIGNATURE_BYTES])
{
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];

    oxv_note_key_id(checkpoint->origin, public_key, id);
    oxv_checkpoint_write(w, checkpoint);
    oxv_write_u8(w, '\n');
    oxv_note_write_signature(w, checkpoint->origin, id,
                             oxv_view(signature, OXV_NOTE_SIGNATURE_BYTES));
}

static bool
parse_head(struct oxv_view text, struct oxv_saved_head *head)
{
    struct oxv_reader r = oxv_reader(text);
    struct oxv_view line;
    size_t len;

    if (!oxv_read_line(&r, &line) || line.len == 0 || !oxv_is_printable_utf8(line) ||
        oxv_text_copy(line, head->origin, sizeof head->origin) != OXV_OK ||
        !oxv_read_line(&r, &line) ||
        !oxv_parse_decimal(line, OXV_PROOF_SIZE_MAX, &head->head.size) ||
        !oxv_read_line(&r, &line) ||
        !oxv_parse_base64(line, head->head.root, sizeof head->head.root, &len) ||
        len != sizeof head->head.root) {
        return false;
    }
    while (oxv_read_line(&r, &line)) {
        if (line.len == 0 || !oxv_is_printable_utf8(line)) {
            return false;
        }
    }
    return oxv_reader_at_end(&r);
}

enum oxv_status
oxv_checkpoint_parse(struct oxv_view text, struct oxv_saved_head *out, struct oxv_err *err)
{
    struct oxv_saved_head head = { .head = { .size = 0 } };

    if (!parse_head(text, &head)) {
        return oxv_fail(err, OXV_E_FORMAT, "this is no checkpoint (origin, size, root)");
    }
    *out = head;
    return OXV_OK;
}
