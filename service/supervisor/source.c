#include "service/supervisor/source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

/* One process, one terminal: what it was like before. */
static struct {
    int fd; /* 0 or less: nothing to restore */
    struct termios before;
} terminal;

bool
oxv_source_is_lasting(const struct oxv_supervisor_options *options)
{
    return options->source != OXV_SOURCE_TERMINAL && options->source_fd < 0;
}

static enum oxv_status
set_path(struct oxv_source_given *given, const char *path, struct oxv_err *err)
{
    if (oxv_text_copy(oxv_view_text(path), given->path, sizeof given->path) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the name of a file is longer than %zu bytes",
                        sizeof given->path - 1);
    }
    return OXV_OK;
}

static enum oxv_status
open_file(struct oxv_source_given *given, enum oxv_source source, const char *path,
          struct oxv_err *err)
{
    enum oxv_status st = set_path(given, path, err);

    given->source = source;
    return st != OXV_OK ? st : oxv_open_secret_file(path, &given->fd, err);
}

enum oxv_status
oxv_source_credential(const char *name, char path[OXV_SOURCE_PATH_MAX_BYTES], struct oxv_err *err)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    path[0] = '\0';
    if (dir == NULL || dir[0] != '/') {
        return OXV_OK;
    }
    if (oxv_format(path, OXV_SOURCE_PATH_MAX_BYTES, "%s/%s", dir, name) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "CREDENTIALS_DIRECTORY is too long");
    }
    if (access(path, F_OK) != 0) {
        path[0] = '\0';
    }
    return OXV_OK;
}

/* Where there is no such credential the service comes up sealed. */
static enum oxv_status
open_credential(struct oxv_source_given *given, struct oxv_err *err)
{
    char path[OXV_SOURCE_PATH_MAX_BYTES];
    enum oxv_status st = oxv_source_credential("passphrase", path, err);

    if (st != OXV_OK || path[0] == '\0') {
        return st;
    }
    return open_file(given, OXV_SOURCE_PASSPHRASE, path, err);
}

enum oxv_status
oxv_source_take_fd(int fd, int *out, char name[OXV_SOURCE_PATH_MAX_BYTES], struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int taken = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (taken < 0) {
        return oxv_fail_errno(err, "cannot use descriptor %d", fd);
    }
    /* The keeper has the only one, and nobody else can read on. */
    OXV_AUTO(oxv_closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0 || dup3(null_fd, fd, O_CLOEXEC) < 0) {
        return oxv_fail_errno(err, "cannot give up descriptor %d", fd);
    }
    if (oxv_format(name, OXV_SOURCE_PATH_MAX_BYTES, "descriptor %d", fd) != OXV_OK) {
        oxv_bug("the name of a descriptor is too long");
    }
    *out = oxv_fd_take(&taken);
    return OXV_OK;
}

static enum oxv_status
take_fd(struct oxv_source_given *given, int fd, struct oxv_err *err)
{
    given->source = OXV_SOURCE_PASSPHRASE;
    return oxv_source_take_fd(fd, &given->fd, given->path, err);
}

/* The keeper asks, without echo; what it was like is kept, for the case that it dies meanwhile. */
static enum oxv_status
open_terminal(struct oxv_source_given *given, struct oxv_err *err)
{
    given->source = OXV_SOURCE_TERMINAL;
    given->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (given->fd < 0 || tcgetattr(given->fd, &terminal.before) != 0) {
        return oxv_fail_errno(err, "there is no terminal to ask at");
    }
    terminal.fd = fcntl(given->fd, F_DUPFD_CLOEXEC, 3);
    if (terminal.fd < 0) {
        return oxv_fail_errno(err, "cannot ask at the terminal");
    }
    return set_path(given, "the terminal", err);
}

static enum oxv_status
open_given(const struct oxv_supervisor_options *o, struct oxv_source_given *given,
           struct oxv_err *err)
{
    switch (o->source) {
    case OXV_SOURCE_NONE:
        return open_credential(given, err);
    case OXV_SOURCE_PASSPHRASE:
        return o->source_file == NULL
                   ? take_fd(given, o->source_fd, err)
                   : open_file(given, OXV_SOURCE_PASSPHRASE, o->source_file, err);
    case OXV_SOURCE_KEYFILE:
        return open_file(given, OXV_SOURCE_KEYFILE, o->source_file, err);
    case OXV_SOURCE_TERMINAL:
        return open_terminal(given, err);
    }
    return oxv_fail(err, OXV_E_INTERNAL, "an unknown source");
}

enum oxv_status
oxv_source_open(const struct oxv_supervisor_options *options, struct oxv_source_given *out,
                struct oxv_err *err)
{
    struct oxv_source_given given = { .fd = -1 };
    enum oxv_status st = open_given(options, &given, err);

    if (st != OXV_OK) {
        oxv_source_done(&given);
        oxv_source_restore_terminal();
        return st;
    }
    *out = given;
    return OXV_OK;
}

void
oxv_source_done(struct oxv_source_given *given)
{
    oxv_closep(&given->fd);
}

void
oxv_source_restore_terminal(void)
{
    if (terminal.fd > 0) {
        (void)tcsetattr(terminal.fd, TCSADRAIN, &terminal.before); /* the terminal may be gone */
        (void)close(terminal.fd);
        terminal.fd = 0;
    }
}
