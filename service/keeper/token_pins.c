#include "service/keeper/token_pins.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"

#define FILE_VERSION    1u
#define FILE_MAX_BYTES  (OXV_TOKEN_PINS_MAX_BYTES + 64u)
#define PINS_MAX        64u /* sources, and what was typed */
#define LABEL_MAX_BYTES 256u
/* More than a PIN may have, so that one that is too long can be told from one that is damaged. */
#define READ_MAX_BYTES 1024u

/* One PIN and what it is for: a URI where it was typed, else a label (empty: the tokens of the
 * vault). */
struct pin {
    bool is_typed;
    char name[OXV_TOKEN_URI_MAX_BYTES + 1];
    struct oxv_secret *pin;
};

struct refused {
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];
    uint8_t salt[OXV_REFUSED_SALT_MAX_BYTES];
    size_t salt_len;
    uint8_t hash[OXV_REFUSED_HASH_MAX_BYTES];
    size_t hash_len;
    uint64_t when_us;
    uint64_t kind;
    uint64_t tried_us;
};

struct oxv_token_pins {
    struct pin pins[PINS_MAX];
    size_t pin_count;
    bool is_damaged;
    struct refused refused[OXV_REFUSED_PINS_MAX];
    size_t refused_count;
};

struct pins_file {
    uint64_t version;
    struct oxv_view refused; /* LIST of encoded struct oxv_refused_pin */
    uint64_t was_damaged;
};

static const struct oxv_field refused_fields[] = {
    OXV_FIELD(struct oxv_refused_pin, token_uri, 1, OXV_FIELD_TEXT, true, 1,
              OXV_TOKEN_URI_MAX_BYTES),
    OXV_FIELD(struct oxv_refused_pin, salt, 2, OXV_FIELD_BYTES, false, 1,
              OXV_REFUSED_SALT_MAX_BYTES),
    OXV_FIELD(struct oxv_refused_pin, hash, 3, OXV_FIELD_BYTES, false, OXV_REFUSED_HASH_BYTES,
              OXV_REFUSED_HASH_MAX_BYTES),
    OXV_FIELD(struct oxv_refused_pin, when_us, 4, OXV_FIELD_U64, false, 1, OXV_TIMESTAMP_MAX_US),
    OXV_FIELD(struct oxv_refused_pin, kind, 5, OXV_FIELD_U64, false, OXV_REFUSED_ANY,
              OXV_REFUSED_UNKNOWN),
    OXV_FIELD(struct oxv_refused_pin, tried_us, 6, OXV_FIELD_U64, false, 1, OXV_TIMESTAMP_MAX_US),
};
const struct oxv_shape oxv_refused_pin_shape =
    OXV_SHAPE(struct oxv_refused_pin, "refused pin", refused_fields);

static const struct oxv_field file_fields[] = {
    OXV_FIELD(struct pins_file, version, 1, OXV_FIELD_U64, true, FILE_VERSION, FILE_VERSION),
    OXV_FIELD(struct pins_file, refused, 2, OXV_FIELD_LIST, false, 1, OXV_TOKEN_PINS_MAX_BYTES),
    OXV_FIELD(struct pins_file, was_damaged, 3, OXV_FIELD_U64, false, 1, 1),
};
static const struct oxv_shape file_shape =
    OXV_SHAPE(struct pins_file, OXV_TOKEN_PINS_FILE, file_fields);

enum oxv_status
oxv_token_pins_new(struct oxv_token_pins **out)
{
    struct oxv_token_pins *pins = calloc(1, sizeof *pins);

    if (pins == NULL) {
        return OXV_E_MEMORY;
    }
    *out = pins;
    return OXV_OK;
}

void
oxv_token_pins_free(struct oxv_token_pins *pins)
{
    if (pins == NULL) {
        return;
    }
    for (size_t i = 0; i < pins->pin_count; i++) {
        oxv_secret_freep(&pins->pins[i].pin);
    }
    free(pins);
}

static enum oxv_status
check_pin(struct oxv_view pin, struct oxv_err *err)
{
    if (pin.len == 0) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "the PIN is empty");
    }
    if (pin.len > OXV_TOKEN_PIN_MAX_BYTES) {
        return oxv_fail(err, OXV_E_USAGE, "the PIN has more than %u bytes",
                        OXV_TOKEN_PIN_MAX_BYTES);
    }
    if (oxv_view_find(pin, 0) < pin.len) {
        return oxv_fail(err, OXV_E_USAGE, "the PIN has a NUL");
    }
    return OXV_OK;
}

/* To the end of the descriptor; one LF or CRLF at the end goes. */
static enum oxv_status
read_pin(int fd, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = oxv_secret_new(READ_MAX_BYTES);
    size_t len = 0;

    if (pin == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a PIN");
    }
    enum oxv_status st = oxv_read_to_end(fd, oxv_secret_bytes(pin), READ_MAX_BYTES, &len);

    if (st == OXV_E_LIMIT) {
        return oxv_fail(err, OXV_E_USAGE, "the PIN has more than %u bytes",
                        OXV_TOKEN_PIN_MAX_BYTES);
    }
    if (st != OXV_OK) {
        return oxv_fail_errno(err, "the PIN cannot be read");
    }
    const uint8_t *bytes = oxv_secret_bytes(pin);

    len -= len > 0 && bytes[len - 1] == '\n' ? 1 : 0;
    len -= len > 0 && len + 1 <= READ_MAX_BYTES && bytes[len] == '\n' && bytes[len - 1] == '\r';
    oxv_secret_shorten(pin, len);
    *out = oxv_secret_take(&pin);
    return OXV_OK;
}

enum oxv_status
oxv_token_pins_add_source(struct oxv_token_pins *pins, struct oxv_view label, int fd,
                          struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int source = fd;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    struct pin *place = &pins->pins[pins->pin_count];

    if (pins->pin_count == PINS_MAX) {
        return oxv_fail(err, OXV_E_USAGE, "more than %u sources of PINs", PINS_MAX);
    }
    enum oxv_status st = read_pin(source, &pin, err);

    st = st != OXV_OK ? st : check_pin(oxv_secret_view(pin), err);
    if (st != OXV_OK) {
        return st;
    }
    if (label.len > LABEL_MAX_BYTES ||
        oxv_text_copy(label, place->name, sizeof place->name) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "the label of a PIN is malformed");
    }
    place->is_typed = false;
    place->pin = oxv_secret_take(&pin);
    pins->pin_count++;
    return OXV_OK;
}

bool
oxv_token_pins_have_source(const struct oxv_token_pins *pins)
{
    for (size_t i = 0; i < pins->pin_count; i++) {
        if (!pins->pins[i].is_typed) {
            return true;
        }
    }
    return false;
}

static struct pin *
find_typed(struct oxv_token_pins *pins, struct oxv_view uri)
{
    for (size_t i = 0; i < pins->pin_count; i++) {
        if (pins->pins[i].is_typed && oxv_view_is(uri, pins->pins[i].name)) {
            return &pins->pins[i];
        }
    }
    return NULL;
}

void
oxv_token_pins_remember(struct oxv_token_pins *pins, struct oxv_view uri, struct oxv_view pin)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *copy = oxv_secret_copy(pin);
    struct pin *place = find_typed(pins, uri);

    if (copy == NULL || uri.len > OXV_TOKEN_URI_MAX_BYTES) {
        return; /* no locked memory: after its next start the token asks for it again */
    }
    if (place == NULL) {
        if (pins->pin_count == PINS_MAX) {
            return;
        }
        place = &pins->pins[pins->pin_count];
        if (oxv_text_copy(uri, place->name, sizeof place->name) != OXV_OK) {
            return;
        }
        pins->pin_count++;
        place->is_typed = true;
        place->pin = NULL;
    }
    oxv_secret_freep(&place->pin);
    place->pin = oxv_secret_take(&copy);
}

void
oxv_token_pins_forget_typed(struct oxv_token_pins *pins)
{
    size_t kept = 0;

    for (size_t i = 0; i < pins->pin_count; i++) {
        if (pins->pins[i].is_typed) {
            oxv_secret_freep(&pins->pins[i].pin);
        } else {
            pins->pins[kept++] = pins->pins[i];
        }
    }
    pins->pin_count = kept;
}

const struct oxv_secret *
oxv_token_pins_find(const struct oxv_token_pins *pins, struct oxv_view uri, struct oxv_view label,
                    bool is_known)
{
    const struct oxv_secret *of_label = NULL;
    const struct oxv_secret *of_any = NULL;

    for (size_t i = 0; i < pins->pin_count; i++) {
        const struct pin *p = &pins->pins[i];

        if (p->is_typed && oxv_view_is(uri, p->name)) {
            return p->pin;
        }
        if (!p->is_typed && p->name[0] == '\0') {
            of_any = of_any != NULL ? of_any : p->pin;
        } else if (!p->is_typed && oxv_view_is(label, p->name)) {
            of_label = of_label != NULL ? of_label : p->pin;
        }
    }
    return of_label != NULL ? of_label : is_known ? of_any : NULL;
}

/* The place of this URI in a list of `count`; `count` where it is not there. */
static size_t
find_refused(const struct refused *items, size_t count, struct oxv_view uri)
{
    size_t i = 0;

    while (i < count && !oxv_view_is(uri, items[i].uri)) {
        i++;
    }
    return i;
}

static void
store_refused(struct refused *place, const struct oxv_refused_pin *from)
{
    *place = (struct refused){ .salt_len = from->salt.len,
                               .hash_len = from->hash.len,
                               .when_us = from->when_us,
                               .kind = from->kind,
                               .tried_us = from->tried_us };
    if (oxv_text_copy(from->token_uri, place->uri, sizeof place->uri) != OXV_OK) {
        oxv_bug("a URI that its shape let through");
    }
    if (from->kind == OXV_REFUSED_ONE) {
        memcpy(place->salt, from->salt.data, from->salt.len);
        memcpy(place->hash, from->hash.data, from->hash.len);
    }
}

static bool
is_well_formed(const struct oxv_refused_pin *pin)
{
    if (pin->kind == OXV_REFUSED_ONE) {
        return pin->salt.len > 0 && pin->hash.len > 0 &&
               pin->hash.len % OXV_REFUSED_HASH_BYTES == 0;
    }
    return pin->salt.len == 0 && pin->hash.len == 0 &&
           (pin->kind != OXV_REFUSED_UNKNOWN || pin->tried_us != 0);
}

static enum oxv_status
parse(struct oxv_view bytes, struct refused *items, size_t *count, bool *was_damaged,
      struct oxv_err *err)
{
    struct pins_file file = { 0 };
    struct oxv_view item;
    enum oxv_status st = oxv_fields_decode(bytes, &file_shape, &file, err);
    struct oxv_reader r = oxv_reader(file.refused);

    *count = 0;
    *was_damaged = st == OXV_OK && file.was_damaged != 0;
    while (st == OXV_OK && oxv_list_next(&r, &item)) {
        struct oxv_refused_pin pin = { 0 };

        st = oxv_fields_decode(item, &oxv_refused_pin_shape, &pin, err);
        if (st == OXV_OK && !is_well_formed(&pin)) {
            st = oxv_fail(err, OXV_E_FORMAT, "%s: salt, hash and kind do not go together",
                          OXV_TOKEN_PINS_FILE);
        }
        if (st == OXV_OK && (*count == OXV_REFUSED_PINS_MAX ||
                             find_refused(items, *count, pin.token_uri) < *count)) {
            st = oxv_fail(err, OXV_E_FORMAT, "%s: too many tokens, or one twice",
                          OXV_TOKEN_PINS_FILE);
        }
        if (st == OXV_OK) {
            store_refused(&items[(*count)++], &pin);
        }
    }
    return st;
}

enum oxv_status
oxv_token_pins_parse(struct oxv_view bytes, size_t *count, struct oxv_err *err)
{
    struct refused *items = calloc(OXV_REFUSED_PINS_MAX, sizeof *items);
    size_t found = 0;
    bool was_damaged;

    if (items == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for %s", OXV_TOKEN_PINS_FILE);
    }
    enum oxv_status st = parse(bytes, items, &found, &was_damaged, err);

    free(items);
    if (st == OXV_OK && count != NULL) {
        *count = found;
    }
    return st;
}

void
oxv_token_pins_load(struct oxv_token_pins *pins, int dir_fd)
{
    uint8_t *bytes = malloc(FILE_MAX_BYTES);
    struct oxv_err err = { 0 };
    size_t len = 0;
    enum oxv_status st = bytes != NULL ? oxv_read_file_at(dir_fd, OXV_TOKEN_PINS_FILE, bytes,
                                                          FILE_MAX_BYTES, &len, &err)
                                       : OXV_E_MEMORY;

    pins->refused_count = 0;
    pins->is_damaged = false;
    if (st == OXV_OK) {
        st = parse(oxv_view(bytes, len), pins->refused, &pins->refused_count, &pins->is_damaged,
                   &err);
    }
    free(bytes);
    if (st != OXV_OK && st != OXV_E_NOT_FOUND) { /* none: nothing was refused */
        pins->is_damaged = true;
        pins->refused_count = 0;
        (void)fprintf(stderr,
                      "oxvault-keeper: %s: %s; no PIN is tried by itself before someone types "
                      "one: oxvault unseal (start oxvaultd without --pin-file), or oxvault token "
                      "login\n",
                      OXV_TOKEN_PINS_FILE, err.text);
    }
}

const char *
oxv_token_pins_hindrance(const struct oxv_token_pins *pins, struct oxv_view uri)
{
    size_t i = find_refused(pins->refused, pins->refused_count, uri);

    if (i < pins->refused_count && pins->refused[i].kind != OXV_REFUSED_UNKNOWN) {
        return pins->refused[i].kind == OXV_REFUSED_ANY
                   ? "it refused PINs, and not all of them could be kept"
                   : NULL;
    }
    return pins->is_damaged ? "the file token-pins is damaged: which PINs were refused is not known"
                            : NULL;
}

struct oxv_refused_pin
oxv_token_pins_refused(const struct oxv_token_pins *pins, struct oxv_view uri)
{
    size_t i = find_refused(pins->refused, pins->refused_count, uri);

    if (i == pins->refused_count) {
        return (struct oxv_refused_pin){ 0 };
    }
    const struct refused *r = &pins->refused[i];

    return (struct oxv_refused_pin){ .token_uri = oxv_view_text(r->uri),
                                     .salt = oxv_view(r->salt, r->salt_len),
                                     .hash = oxv_view(r->hash, r->hash_len),
                                     .when_us = r->when_us,
                                     .kind = r->kind,
                                     .tried_us = r->tried_us };
}

static enum oxv_status
encode(const struct oxv_token_pins *pins, struct oxv_writer *w, struct oxv_writer *list)
{
    struct pins_file file = { .version = FILE_VERSION, .was_damaged = pins->is_damaged ? 1 : 0 };
    uint8_t item[OXV_TOKEN_URI_MAX_BYTES + 512];

    for (size_t i = 0; i < pins->refused_count; i++) {
        struct oxv_refused_pin pin =
            oxv_token_pins_refused(pins, oxv_view_text(pins->refused[i].uri));
        struct oxv_writer one = oxv_writer(item, sizeof item);

        oxv_fields_encode(&one, &oxv_refused_pin_shape, &pin);
        oxv_list_add(list, oxv_view(item, one.len));
        list->failed = list->failed || one.failed;
    }
    enum oxv_status st = oxv_writer_finish(list, &file.refused);

    oxv_fields_encode(w, &file_shape, &file);
    return st != OXV_OK || w->failed ? OXV_E_LIMIT : OXV_OK;
}

/* True where there is no file to be written. */
static bool
save(struct oxv_token_pins *pins, int dir_fd)
{
    if (dir_fd < 0) {
        return true;
    }
    uint8_t *whole = malloc(FILE_MAX_BYTES);
    uint8_t *items = malloc(OXV_TOKEN_PINS_MAX_BYTES);
    struct oxv_writer w = oxv_writer(whole, FILE_MAX_BYTES);
    struct oxv_writer list = oxv_writer(items, OXV_TOKEN_PINS_MAX_BYTES);
    struct oxv_err err = { 0 };
    enum oxv_status st = whole != NULL && items != NULL ? encode(pins, &w, &list) : OXV_E_MEMORY;

    st = st != OXV_OK ? st
                      : oxv_replace_file_at(dir_fd, OXV_TOKEN_PINS_FILE, 0600,
                                            oxv_view(w.data, w.len), &err);
    free(whole);
    free(items);
    if (st != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: %s cannot be written: %s\n", OXV_TOKEN_PINS_FILE,
                      err.text[0] != '\0' ? err.text : oxv_status_name(st));
    }
    return st == OXV_OK;
}

static void
put(struct oxv_token_pins *pins, const struct oxv_refused_pin *item)
{
    size_t i = find_refused(pins->refused, pins->refused_count, item->token_uri);

    if (item->token_uri.len == 0 || item->token_uri.len > OXV_TOKEN_URI_MAX_BYTES) {
        return;
    }
    if (i == OXV_REFUSED_PINS_MAX) { /* the oldest goes */
        i = 0;
    } else if (i == pins->refused_count) {
        pins->refused_count++;
    }
    store_refused(&pins->refused[i], item);
}

/* False where it cannot be kept beside those that are there. */
static bool
add_hash(struct refused *known, const struct oxv_refused_pin *refused)
{
    if (known->kind != OXV_REFUSED_ONE ||
        !oxv_view_equals(refused->salt, oxv_view(known->salt, known->salt_len))) {
        return false;
    }
    known->when_us = refused->when_us;
    known->tried_us = 0;
    for (size_t at = 0; at < known->hash_len; at += OXV_REFUSED_HASH_BYTES) {
        if (memcmp(known->hash + at, refused->hash.data, OXV_REFUSED_HASH_BYTES) == 0) {
            return true; /* a person had it tried again */
        }
    }
    if (known->hash_len + OXV_REFUSED_HASH_BYTES > sizeof known->hash) {
        return false;
    }
    memcpy(known->hash + known->hash_len, refused->hash.data, OXV_REFUSED_HASH_BYTES);
    known->hash_len += OXV_REFUSED_HASH_BYTES;
    return true;
}

bool
oxv_token_pins_refuse(struct oxv_token_pins *pins, int dir_fd,
                      const struct oxv_refused_pin *refused)
{
    struct oxv_refused_pin any = { .token_uri = refused->token_uri,
                                   .when_us = refused->when_us,
                                   .kind = OXV_REFUSED_ANY };
    size_t i = find_refused(pins->refused, pins->refused_count, refused->token_uri);
    struct refused *known = i < pins->refused_count ? &pins->refused[i] : NULL;
    bool has_hash = refused->salt.len > 0 && refused->salt.len <= OXV_REFUSED_SALT_MAX_BYTES &&
                    refused->hash.len == OXV_REFUSED_HASH_BYTES;

    if (known == NULL || known->kind == OXV_REFUSED_NONE || known->kind == OXV_REFUSED_UNKNOWN) {
        put(pins, has_hash ? refused : &any);
    } else if (!has_hash || !add_hash(known, refused)) {
        put(pins, &any);
    }
    return save(pins, dir_fd);
}

bool
oxv_token_pins_tried(struct oxv_token_pins *pins, int dir_fd, struct oxv_view uri, uint64_t when_us)
{
    const struct oxv_refused_pin unknown = { .token_uri = uri,
                                             .kind = OXV_REFUSED_UNKNOWN,
                                             .tried_us = when_us };
    size_t i = find_refused(pins->refused, pins->refused_count, uri);

    if (i == pins->refused_count && when_us != 0) {
        put(pins, &unknown);
    } else if (i == pins->refused_count || pins->refused[i].tried_us == when_us) {
        return true;
    } else if (pins->refused[i].kind == OXV_REFUSED_UNKNOWN && when_us == 0) {
        pins->refused[i] = pins->refused[--pins->refused_count];
    } else {
        pins->refused[i].tried_us = when_us;
    }
    return save(pins, dir_fd);
}

void
oxv_token_pins_clear(struct oxv_token_pins *pins, int dir_fd, struct oxv_view uri)
{
    const struct oxv_refused_pin none = { .token_uri = uri, .kind = OXV_REFUSED_NONE };
    size_t i = find_refused(pins->refused, pins->refused_count, uri);

    if (i == pins->refused_count
            ? !pins->is_damaged
            : pins->refused[i].kind == OXV_REFUSED_NONE && pins->refused[i].tried_us == 0) {
        return;
    }
    if (pins->is_damaged) {
        put(pins, &none);
    } else {
        pins->refused[i] = pins->refused[--pins->refused_count];
    }
    (void)save(pins, dir_fd); /* it says so; who logs in once more clears it */
}
