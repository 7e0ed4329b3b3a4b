#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

#define CAUGHT_COUNT (sizeof caught / sizeof caught[0])

/* The last signal that came while a question was open. */
static volatile sig_atomic_t arrived = 0;

static void
note_signal(int number)
{
    arrived = number;
}

bool
oxv_prompt_possible(void)
{
    OXV_AUTO(oxv_closep) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    return fd >= 0;
}

enum oxv_status
oxv_prompt_read_line(int fd, size_t max, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *line = oxv_secret_new(max + 1);
    size_t len = 0;

    if (line == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a secret");
    }
    uint8_t *bytes = oxv_secret_bytes(line);

    for (;;) {
        ssize_t n = read(fd, bytes + len, 1);

        if (n < 0) {
            return oxv_fail_errno(err, "cannot read the answer");
        }
        if (n == 0 && len == 0) {
            return oxv_fail(err, OXV_E_IO, "the input ended");
        }
        if (n == 0 || bytes[len] == '\n') {
            break;
        }
        if (++len > max) {
            return oxv_fail(err, OXV_E_LIMIT, "the answer is longer than %zu bytes", max);
        }
    }
    len -= len > 0 && bytes[len - 1] == '\r' ? 1 : 0;
    if (len == 0) {
        return oxv_fail(err, OXV_E_LIMIT, "the answer is empty");
    }
    oxv_secret_shorten(line, len);
    *out = oxv_secret_take(&line);
    return OXV_OK;
}

static void
catch_signals(struct sigaction old[CAUGHT_COUNT])
{
    struct sigaction action = { .sa_handler = note_signal }; /* no SA_RESTART: read() must end */

    (void)sigemptyset(&action.sa_mask); /* cannot fail */
    arrived = 0;
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaction(caught[i], &action, &old[i]); /* cannot fail for these */
    }
}

static void
restore_signals(const struct sigaction old[CAUGHT_COUNT])
{
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaction(caught[i], &old[i], NULL);
    }
}

/* One try; `arrived` is what came meanwhile, 0 where nothing did. */
static enum oxv_status
ask_once(int tty, const char *question, size_t max, struct oxv_secret **out, struct oxv_err *err)
{
    struct sigaction old[CAUGHT_COUNT];
    struct termios before;
    struct termios silent;
    enum oxv_status st;

    if (tcgetattr(tty, &before) != 0) {
        return oxv_fail_errno(err, "cannot set up the terminal");
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    catch_signals(old);
    if (tcsetattr(tty, TCSAFLUSH, &silent) != 0 ||
        oxv_write_all(tty, oxv_view_text(question)) != OXV_OK) {
        st = oxv_fail_errno(err, "cannot set up the terminal");
    } else {
        st = oxv_prompt_read_line(tty, max, out, err);
    }
    (void)tcsetattr(tty, TCSAFLUSH, &before); /* nothing more can be done about it */
    restore_signals(old);
    if (oxv_write_all(tty, oxv_view_text("\n")) != OXV_OK && st == OXV_OK) {
        oxv_secret_freep(out);
        return oxv_fail_errno(err, "the terminal is gone");
    }
    return st;
}

enum oxv_status
oxv_prompt_secret(const char *question, size_t max, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty < 0) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no terminal to ask at");
    }
    for (;;) {
        enum oxv_status st = ask_once(tty, question, max, out, err);

        if (arrived == 0) {
            return st;
        }
        /* Now with the terminal as it was: end, or stop and ask again. */
        oxv_secret_freep(out);
        if (raise((int)arrived) != 0 || arrived != SIGTSTP) {
            return oxv_fail(err, OXV_E_IO, "interrupted");
        }
    }
}
