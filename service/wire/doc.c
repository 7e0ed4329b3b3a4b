#include "service/wire/doc.h"

#include "base/text.h"

enum doc_kind {
    DOC_END = 0,
    DOC_OBJECT = 1,
    DOC_LIST = 2,
    DOC_TEXT = 3,
    DOC_INTEGER = 4,
    DOC_FALSE = 5,
    DOC_TRUE = 6,
};

#define INTEGER_MAX ((UINT64_C(1) << 53) - 1)

static void
begin_value(struct oxv_writer *w, const char *name, enum doc_kind kind)
{
    /* Members are name first; the kind byte in front lets DOC_END close an object. */
    oxv_write_u8(w, kind);
    if (name != NULL) {
        oxv_write_view16(w, oxv_view_text(name));
    }
}

void
oxv_doc_object(struct oxv_writer *w, const char *name)
{
    begin_value(w, name, DOC_OBJECT);
}

void
oxv_doc_list(struct oxv_writer *w, const char *name)
{
    begin_value(w, name, DOC_LIST);
}

void
oxv_doc_end(struct oxv_writer *w)
{
    oxv_write_u8(w, DOC_END);
}

void
oxv_doc_text(struct oxv_writer *w, const char *name, struct oxv_view text)
{
    begin_value(w, name, DOC_TEXT);
    oxv_write_view32(w, text);
}

void
oxv_doc_cstring(struct oxv_writer *w, const char *name, const char *text)
{
    oxv_doc_text(w, name, oxv_view_text(text));
}

void
oxv_doc_integer(struct oxv_writer *w, const char *name, uint64_t value)
{
    if (value > INTEGER_MAX) {
        w->failed = true;
        return;
    }
    begin_value(w, name, DOC_INTEGER);
    oxv_write_u64(w, value);
}

void
oxv_doc_bool(struct oxv_writer *w, const char *name, bool value)
{
    begin_value(w, name, value ? DOC_TRUE : DOC_FALSE);
}

/* One value whose kind byte and name are read already. Depth is bounded by the caller's loop. */
static bool
scalar_to_json(struct oxv_reader *r, uint8_t kind, struct oxv_writer *json)
{
    struct oxv_view text;
    uint64_t value;

    switch (kind) {
    case DOC_TEXT:
        if (!oxv_read_view32(r, &text) || !oxv_is_utf8(text)) {
            return false;
        }
        oxv_write_json_string(json, text);
        return true;
    case DOC_INTEGER:
        if (!oxv_read_u64(r, &value) || value > INTEGER_MAX) {
            return false;
        }
        oxv_write_decimal(json, value);
        return true;
    case DOC_FALSE:
        oxv_write_text(json, "false");
        return true;
    case DOC_TRUE:
        oxv_write_text(json, "true");
        return true;
    default:
        return false;
    }
}

struct nesting {
    uint8_t kind[OXV_DOC_MAX_DEPTH];
    bool has_member[OXV_DOC_MAX_DEPTH];
    size_t depth;
};

static bool
open_value(struct nesting *n, uint8_t kind, struct oxv_writer *json)
{
    if (n->depth == OXV_DOC_MAX_DEPTH) {
        return false;
    }
    n->kind[n->depth] = kind;
    n->has_member[n->depth] = false;
    n->depth++;
    oxv_write_u8(json, kind == DOC_OBJECT ? '{' : '[');
    return true;
}

static void
close_value(struct nesting *n, struct oxv_writer *json)
{
    n->depth--;
    oxv_write_u8(json, n->kind[n->depth] == DOC_OBJECT ? '}' : ']');
}

/* The comma and, within an object, the name. */
static bool
separate(struct nesting *n, struct oxv_reader *r, struct oxv_writer *json)
{
    struct oxv_view name;
    size_t at = n->depth - 1;

    if (n->has_member[at]) {
        oxv_write_u8(json, ',');
    }
    n->has_member[at] = true;
    if (n->kind[at] == DOC_LIST) {
        return true;
    }
    if (!oxv_read_view16(r, &name) || !oxv_is_utf8(name)) {
        return false;
    }
    oxv_write_json_string(json, name);
    oxv_write_u8(json, ':');
    return true;
}

enum oxv_status
oxv_doc_to_json(struct oxv_view doc, struct oxv_writer *json)
{
    struct oxv_reader r = oxv_reader(doc);
    struct nesting n = { 0 };
    uint8_t kind;

    if (!oxv_read_u8(&r, &kind) || kind != DOC_OBJECT || !open_value(&n, kind, json)) {
        return OXV_E_FORMAT;
    }
    while (n.depth > 0) {
        if (!oxv_read_u8(&r, &kind)) {
            return OXV_E_FORMAT;
        }
        if (kind == DOC_END) {
            close_value(&n, json);
            continue;
        }
        if (!separate(&n, &r, json)) {
            return OXV_E_FORMAT;
        }
        bool ok = kind == DOC_OBJECT || kind == DOC_LIST ? open_value(&n, kind, json)
                                                         : scalar_to_json(&r, kind, json);
        if (!ok) {
            return OXV_E_FORMAT;
        }
    }
    if (!oxv_reader_at_end(&r)) {
        return OXV_E_FORMAT;
    }
    return json->failed ? OXV_E_LIMIT : OXV_OK;
}

bool
oxv_doc_find_text(struct oxv_view doc, const char *name, struct oxv_view *out)
{
    struct oxv_reader r = oxv_reader(doc);
    struct oxv_view member;
    struct oxv_view text;
    uint8_t kind;
    uint64_t number;

    if (!oxv_read_u8(&r, &kind) || kind != DOC_OBJECT) {
        return false;
    }
    while (oxv_read_u8(&r, &kind) && kind != DOC_END && oxv_read_view16(&r, &member)) {
        if (kind == DOC_TEXT) {
            if (!oxv_read_view32(&r, &text)) {
                return false;
            }
            if (oxv_view_is(member, name)) {
                *out = text;
                return true;
            }
        } else if (kind == DOC_INTEGER) {
            if (!oxv_read_u64(&r, &number)) {
                return false;
            }
        } else if (kind != DOC_TRUE && kind != DOC_FALSE) {
            return false; /* only documents whose texts come before anything nested are asked */
        }
    }
    return false;
}
