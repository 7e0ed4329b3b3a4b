#include "service/supervisor/pins.h"

#include <unistd.h>

#include "base/io.h"
#include "service/supervisor/notify.h"

#define PIN_MAX_BYTES (OXV_SOURCE_PATH_MAX_BYTES + 128u)

/* Takes the descriptor. */
static void
add(struct oxv_pins *pins, struct oxv_view label, const char *path, int fd)
{
    pins->list[pins->count++] = (struct oxv_pin_given){ .label = label, .path = path, .fd = fd };
}

static enum oxv_status
open_file(const struct oxv_supervisor *s, struct oxv_pins *pins, struct oxv_pin_file file,
          struct oxv_err *err)
{
    struct oxv_err why = { 0 };
    int fd = -1;
    enum oxv_status st = oxv_open_secret_file(file.path, &fd, &why);

    if (st == OXV_OK) {
        add(pins, file.label, file.path, fd);
        return OXV_OK;
    }
    if (s->keeper_number == 1) {
        return oxv_fail(err, st, "%s", why.text);
    }
    /* A service that is up stays up: other tokens, and connections without, still work. */
    oxv_say("%s; a token that needs this PIN waits for oxvault --run %s token login", why.text,
            s->options->run);
    return OXV_OK;
}

static enum oxv_status
open_fd(const struct oxv_supervisor *s, struct oxv_pins *pins, struct oxv_err *err)
{
    int fd = -1;

    if (s->keeper_number > 1) {
        oxv_say("the keeper was replaced, and the PIN of --pin-fd was not kept: a token that needs "
                "it waits for oxvault --run %s token login",
                s->options->run);
        return OXV_OK;
    }
    enum oxv_status st = oxv_source_take_fd(s->options->pin_fd, &fd, pins->name, err);

    if (st == OXV_OK) {
        add(pins, oxv_view(NULL, 0), pins->name, fd);
    }
    return st;
}

static enum oxv_status
open_credential(const struct oxv_supervisor *s, struct oxv_pins *pins, struct oxv_err *err)
{
    enum oxv_status st = oxv_source_credential("pin", pins->name, err);

    if (st != OXV_OK || pins->name[0] == '\0') {
        return st;
    }
    return open_file(s, pins, (struct oxv_pin_file){ .path = pins->name }, err);
}

enum oxv_status
oxv_pins_open(const struct oxv_supervisor *s, struct oxv_pins *pins, struct oxv_err *err)
{
    const struct oxv_supervisor_options *o = s->options;
    enum oxv_status st = OXV_OK;

    for (size_t i = 0; i < o->pin_file_count && st == OXV_OK; i++) {
        st = open_file(s, pins, o->pin_files[i], err);
    }
    if (st == OXV_OK && o->pin_fd >= 0) {
        st = open_fd(s, pins, err);
    }
    if (st == OXV_OK && o->pin_file_count == 0 && o->pin_fd < 0) {
        st = open_credential(s, pins, err);
    }
    return st;
}

static enum oxv_status
send_one(struct oxv_supervisor *s, struct oxv_pin_given *given, struct oxv_err *err)
{
    const struct oxv_msg_pin pin = { .label = given->label, .path = oxv_view_text(given->path) };
    uint8_t buffer[PIN_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view payload;

    oxv_fields_encode(&w, &oxv_msg_pin_shape, &pin);
    enum oxv_status st = oxv_writer_finish(&w, &payload);

    if (st != OXV_OK) {
        return oxv_fail(err, st, "cannot write PIN: are label and path of the file well-formed?");
    }
    const int fd = oxv_fd_take(&given->fd);

    st = oxv_channel_put_fds(s->control, OXV_MSG_PIN, 0, payload, &fd, 1);
    return st == OXV_OK ? OXV_OK : oxv_fail(err, st, "cannot send a PIN");
}

enum oxv_status
oxv_pins_send(struct oxv_supervisor *s, struct oxv_pins *pins, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    for (size_t i = 0; i < pins->count && st == OXV_OK; i++) {
        st = send_one(s, &pins->list[i], err);
    }
    return st;
}

void
oxv_pins_done(struct oxv_pins *pins)
{
    for (size_t i = 0; i < pins->count; i++) {
        oxv_closep(&pins->list[i].fd);
    }
    pins->count = 0;
}
