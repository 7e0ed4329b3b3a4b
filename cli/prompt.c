#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

/*
 * One byte. With `mask` the signals that it leaves open are let in while this waits, and only
 * then: one that comes between two reads is not slept over.
 */
static ssize_t
read_byte(int fd, const sigset_t *mask, uint8_t *out)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    if (mask != NULL && ppoll(&poll_fd, 1, NULL, mask) < 0) {
        return -1;
    }
    return read(fd, out, 1);
}

/* What an answer may be. */
struct answer {
    size_t max;
    bool may_be_empty;
};

static enum oxv_status
read_line(int fd, const sigset_t *mask, const struct answer *wanted, struct oxv_secret **out,
          struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *line = oxv_secret_new(wanted->max + 1);
    size_t len = 0;

    if (line == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a secret");
    }
    uint8_t *bytes = oxv_secret_bytes(line);

    for (;;) {
        ssize_t n = read_byte(fd, mask, bytes + len);

        if (n < 0) {
            return oxv_fail_errno(err, "cannot read the answer");
        }
        if (n == 0 && len == 0) {
            return oxv_fail(err, OXV_E_IO, "the input ended");
        }
        if (n == 0 || bytes[len] == '\n') {
            break;
        }
        if (++len > wanted->max) {
            return oxv_fail(err, OXV_E_LIMIT, "the answer is longer than %zu bytes", wanted->max);
        }
    }
    len -= len > 0 && bytes[len - 1] == '\r' ? 1 : 0;
    if (len == 0 && !wanted->may_be_empty) {
        return oxv_fail(err, OXV_E_LIMIT, "the answer is empty");
    }
    oxv_secret_shorten(line, len);
    *out = oxv_secret_take(&line);
    return OXV_OK;
}

enum oxv_status
oxv_prompt_read_line(int fd, size_t max, struct oxv_secret **out, struct oxv_err *err)
{
    const struct answer wanted = { .max = max };

    return read_line(fd, NULL, &wanted, out, err);
}

/* How signals were handled before. */
struct signals {
    struct sigaction actions[CAUGHT_COUNT];
    sigset_t mask;
};

/* None of these calls can fail for valid signal numbers. */
static void
catch_signals(struct signals *before)
{
    struct sigaction action = { .sa_handler = note_signal };
    sigset_t block;

    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&block);
    arrived = 0;
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaddset(&block, caught[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &block, &before->mask);
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaction(caught[i], &action, &before->actions[i]);
    }
}

static void
restore_signals(const struct signals *before)
{
    (void)sigprocmask(SIG_SETMASK, &before->mask, NULL); /* what waited is noted now */
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaction(caught[i], &before->actions[i], NULL);
    }
}

/* One try; `arrived` is what came meanwhile, 0 where nothing did. */
static enum oxv_status
ask_once(int tty, const char *question, const struct answer *wanted, struct oxv_secret **out,
         struct oxv_err *err)
{
    struct signals signals;
    struct termios before;
    struct termios silent;
    enum oxv_status st;

    if (tcgetattr(tty, &before) != 0) {
        return oxv_fail_errno(err, "cannot set up the terminal");
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    catch_signals(&signals);
    if (tcsetattr(tty, TCSAFLUSH, &silent) != 0 ||
        oxv_write_all(tty, oxv_view_text(question)) != OXV_OK) {
        st = oxv_fail_errno(err, "cannot set up the terminal");
    } else {
        st = read_line(tty, &signals.mask, wanted, out, err);
    }
    (void)tcsetattr(tty, TCSAFLUSH, &before); /* nothing more can be done about it */
    restore_signals(&signals);
    if (oxv_write_all(tty, oxv_view_text("\n")) != OXV_OK && st == OXV_OK) {
        oxv_secret_freep(out);
        return oxv_fail_errno(err, "the terminal is gone");
    }
    return st;
}

static enum oxv_status
ask(const char *question, const struct answer *wanted, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty < 0) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no terminal to ask at");
    }
    for (;;) {
        enum oxv_status st = ask_once(tty, question, wanted, out, err);

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

enum oxv_status
oxv_prompt_secret(const char *question, size_t max, struct oxv_secret **out, struct oxv_err *err)
{
    const struct answer wanted = { .max = max };

    return ask(question, &wanted, out, err);
}

enum oxv_status
oxv_prompt_optional(const char *question, size_t max, struct oxv_secret **out, struct oxv_err *err)
{
    const struct answer wanted = { .max = max, .may_be_empty = true };

    return ask(question, &wanted, out, err);
}
