#include "cli/manifest.h"

#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/door.h"
#include "vault/log/checkpoint.h"

static const char *const filters[] = {
    "since", "until", "connection", "caller", "outcome", "type"
};

/* What stands before the index in a record. Nothing that others wrote can stand before it so. */
static const struct {
    const char *format;
    const char *before;
} indexes[] = {
    { "jsonl", "\"seq\":" },    { "csv", "\",\"" }, { "ocsf", "\"sequence\":" },
    { "ecs", "\"sequence\":" }, { "cef", " cn1=" }, { "leef", "\tseq=" },
    { "rfc5424", " seq=\"" },
};

static void
write_name(struct oxv_writer *w, const char *name)
{
    oxv_write_json_string(w, oxv_view_text(name));
    oxv_write_u8(w, ':');
}

static void
write_text(struct oxv_writer *w, const char *name, const char *value)
{
    write_name(w, name);
    oxv_write_json_string(w, oxv_view_text(value));
    oxv_write_u8(w, ',');
}

static void
write_number(struct oxv_writer *w, const char *name, uint64_t value)
{
    write_name(w, name);
    oxv_write_decimal(w, value);
    oxv_write_u8(w, ',');
}

void
oxv_manifest_write(struct oxv_writer *w, const struct oxv_manifest *m,
                   struct oxv_view filter_object)
{
    char now[OXV_TIMESTAMP_BYTES];

    oxv_format_timestamp(oxv_clock_wall_us(), now);
    oxv_write_u8(w, '{');
    write_number(w, "manifest", 1);
    write_text(w, "file", m->file);
    write_text(w, "format", m->format);
    write_name(w, "filters");
    oxv_write_view(w, filter_object);
    oxv_write_u8(w, ',');
    write_number(w, "entries", m->entries);
    if (m->entries > 0) {
        write_number(w, "first", m->first);
        write_number(w, "last", m->last);
    }
    write_number(w, "bytes", m->bytes);
    oxv_write_text(w, "\"sha256\":\"");
    oxv_write_hex(w, oxv_view(m->sha256, sizeof m->sha256));
    oxv_write_text(w, "\",");
    write_text(w, "origin", m->origin);
    write_number(w, "size", m->size);
    oxv_write_text(w, "\"root\":\"");
    oxv_write_base64(w, oxv_view(m->root, sizeof m->root));
    oxv_write_text(w, "\",");
    write_text(w, "checkpoint", m->checkpoint);
    write_name(w, "made");
    oxv_write_json_string(w, oxv_view_text(now));
    oxv_write_text(w, "}\n");
}

static bool
read_number(struct oxv_view object, const char *name, uint64_t *out)
{
    struct oxv_view value;

    return oxv_json_get(object, name, &value) && oxv_json_integer(value, OXV_JSON_INTEGER_MAX, out);
}

static bool
read_text(struct oxv_view object, const char *name, char *out, size_t size)
{
    struct oxv_writer w = oxv_writer(out, size - 1);
    struct oxv_view value;

    if (!oxv_json_get(object, name, &value) || !oxv_json_write_string(&w, value) || w.failed) {
        return false;
    }
    out[w.len] = '\0';
    return true;
}

/* A text of one line. */
static bool
read_line(struct oxv_view object, const char *name, char *out, size_t size)
{
    return read_text(object, name, out, size) && oxv_is_printable_utf8(oxv_view_text(out));
}

/* Origin, size and root of a signed note; whose signature it bears is not looked at. */
static bool
read_note(const char *text, struct oxv_manifest *out)
{
    struct oxv_note note;
    struct oxv_saved_head head;

    if (oxv_note_parse(oxv_view_text(text), &note, NULL) != OXV_OK ||
        oxv_checkpoint_parse(note.text, &head, NULL) != OXV_OK ||
        oxv_format(out->origin, sizeof out->origin, "%s", head.origin) != OXV_OK) {
        return false;
    }
    out->size = head.head.size;
    memcpy(out->root, head.head.root, sizeof out->root);
    return true;
}

static bool
read_checkpoint(struct oxv_view object, struct oxv_manifest *m)
{
    struct oxv_manifest noted = { 0 };

    return read_text(object, "checkpoint", m->checkpoint, sizeof m->checkpoint) &&
           read_note(m->checkpoint, &noted) && strcmp(noted.origin, m->origin) == 0 &&
           noted.size == m->size && memcmp(noted.root, m->root, sizeof m->root) == 0;
}

static bool
read_root(struct oxv_view object, uint8_t root[32])
{
    char text[64];
    size_t len;

    return read_line(object, "root", text, sizeof text) &&
           oxv_parse_base64(oxv_view_text(text), root, 32, &len) && len == 32;
}

static bool
read_members(struct oxv_view text, struct oxv_manifest *m)
{
    char sha256[65];
    uint64_t version;
    bool good =
        read_number(text, "manifest", &version) && version == 1 &&
        read_line(text, "file", m->file, sizeof m->file) &&
        read_line(text, "format", m->format, sizeof m->format) &&
        read_number(text, "entries", &m->entries) && read_number(text, "bytes", &m->bytes) &&
        read_line(text, "sha256", sha256, sizeof sha256) &&
        oxv_parse_hex(oxv_view_text(sha256), m->sha256, sizeof m->sha256) &&
        read_line(text, "origin", m->origin, sizeof m->origin) &&
        read_number(text, "size", &m->size) && read_root(text, m->root) && read_checkpoint(text, m);

    /* A name and no path: the export lies beside its manifest. */
    good = good && m->file[0] != '\0' && m->file[0] != '.' && strchr(m->file, '/') == NULL;
    if (!good || m->entries == 0) {
        return good;
    }
    return read_number(text, "first", &m->first) && read_number(text, "last", &m->last) &&
           m->first <= m->last && m->last < m->size && m->entries <= m->last - m->first + 1;
}

enum oxv_status
oxv_manifest_read(struct oxv_view text, struct oxv_manifest *out, struct oxv_err *err)
{
    struct oxv_manifest manifest = { 0 };
    struct oxv_json_fault fault;

    if (oxv_json_check(text, &fault) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "%s at byte %zu", fault.reason, fault.offset);
    }
    if (!read_members(text, &manifest)) {
        return oxv_fail(err, OXV_E_FORMAT, "a member is missing, or not as it must be");
    }
    *out = manifest;
    return OXV_OK;
}

void
oxv_manifest_write_filters(const struct oxv_cli *cli, struct oxv_writer *w)
{
    bool is_first = true;

    oxv_write_u8(w, '{');
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const char *value = oxv_cli_option(cli, filters[i]);

        if (value != NULL) {
            oxv_write_text(w, is_first ? "" : ",");
            write_name(w, filters[i]);
            oxv_write_json_string(w, oxv_view_text(value));
            is_first = false;
        }
    }
    oxv_write_u8(w, '}');
}

bool
oxv_manifest_seq(const char *format, struct oxv_view record, uint64_t *seq)
{
    size_t i = 0;
    size_t len = 0;

    while (i < sizeof indexes / sizeof indexes[0] && strcmp(format, indexes[i].format) != 0) {
        i++;
    }
    if (i == sizeof indexes / sizeof indexes[0]) {
        return false;
    }
    const uint8_t *at =
        memmem(record.data, record.len, indexes[i].before, strlen(indexes[i].before));

    if (at == NULL) {
        return false;
    }
    struct oxv_view digits =
        oxv_view_from(record, (size_t)(at - record.data) + strlen(indexes[i].before));

    while (len < digits.len && digits.data[len] >= '0' && digits.data[len] <= '9') {
        len++;
    }
    return oxv_parse_decimal(oxv_view_slice(digits, 0, len), OXV_JSON_INTEGER_MAX, seq);
}

enum oxv_exit
oxv_manifest_ask_log(struct oxv_cli *cli, struct oxv_manifest *m)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_AUDIT, "/v1/audit/checkpoint", &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (!read_text(oxv_buffer_view(&answer), "checkpoint", m->checkpoint, sizeof m->checkpoint) ||
        !read_note(m->checkpoint, m)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no checkpoint");
    }
    return OXV_EXIT_DONE;
}
