#include "service/keeper/start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/answers.h"
#include "service/keeper/challenges.h"
#include "service/keeper/events.h"
#include "service/keeper/frontends.h"
#include "service/keeper/publish.h"
#include "service/keeper/sign.h"
#include "service/keeper/state.h"
#include "service/keeper/token_pins.h"
#include "service/keeper/token_seal.h"

#define PREDECESSOR_WAIT_US 5000000u
#define START_WAIT_MS       30000

void
oxv_read_machine_id(char *out, size_t out_size)
{
    uint8_t text[128];
    size_t len = 0;

    out[0] = '\0';
    if (oxv_read_file_at(AT_FDCWD, "/etc/machine-id", text, sizeof text, &len, NULL) != OXV_OK) {
        return;
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        len--;
    }
    if (oxv_text_copy(oxv_view(text, len), out, out_size) != OXV_OK ||
        strcmp(out, "uninitialized") == 0) {
        out[0] = '\0';
    }
}

/* What START said of the passphrase or key file. */
struct start_source {
    bool is_there; /* START has come */
    enum oxv_source kind;
    int fd;                 /* -1: none */
    struct oxv_err pin_err; /* of the first PIN that is none; status OK: each is one */
};

static enum oxv_status
make_parts(struct oxv_keeper *k, struct oxv_err *err)
{
    k->work = malloc(sizeof *k->work);
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (k->epoll_fd < 0) {
        return oxv_fail_errno(err, "epoll");
    }
    if (k->work == NULL || oxv_answers_new(&k->answers) != OXV_OK ||
        oxv_denials_new(&k->denials) != OXV_OK || oxv_challenges_new(&k->challenges) != OXV_OK ||
        oxv_sign_jobs_new(&k->jobs) != OXV_OK || oxv_tokens_new(&k->tokens) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory");
    }
    return oxv_box_keypair(k->box_public, &k->box_private, err);
}

enum oxv_status
oxv_keeper_prepare(struct oxv_keeper *k, const char *dir_path, struct oxv_err *err)
{
    k->dir_path = dir_path;
    k->dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (k->dir_fd < 0) {
        if (errno == EACCES) {
            return oxv_fail(
                err, OXV_E_IO,
                "the service's user (uid %u) cannot reach the vault directory %s: open "
                "the directories above it to others (chmod o+x), move the vault, or use "
                "--users none",
                (unsigned)geteuid(), dir_path);
        }
        return oxv_fail_errno(err, "cannot open the vault directory %s", dir_path);
    }
    struct stat st;

    if (fstat(k->dir_fd, &st) != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return oxv_fail(err, OXV_E_DENIED,
                        "others can write to the vault directory %s: run chmod 700 on it, and see "
                        "who did",
                        dir_path);
    }
    k->smaps_fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    oxv_read_machine_id(k->machine_id, sizeof k->machine_id);
    /* The time zone and locale files are never needed; OpenSSL loads nothing (OPENSSL_CONF). */
    return oxv_sandbox_keeper(k->dir_fd, &k->sandbox, err);
}

enum oxv_status
oxv_keeper_lock_dir(struct oxv_keeper *k, struct oxv_err *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
    uint64_t until_us = oxv_clock_boot_us() + PREDECESSOR_WAIT_US;

    k->lock_fd = openat(k->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (k->lock_fd < 0) {
        return oxv_fail_errno(err, "cannot open the vault's lock file");
    }
    while (fcntl(k->lock_fd, F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES) {
            return oxv_fail_errno(err, "cannot lock the vault");
        }
        if (oxv_clock_boot_us() >= until_us) {
            return oxv_fail(err, OXV_E_CONFLICT,
                            "another oxvaultd has this vault open (%s): stop it first",
                            k->dir_path);
        }
        (void)nanosleep(&pause, NULL); /* woken early it just asks again */
    }
    return OXV_OK;
}

static enum oxv_status
read_start(struct oxv_keeper *k, const struct oxv_message *message, int *fds, size_t fd_count,
           enum oxv_source *source, struct oxv_err *err)
{
    struct oxv_msg_start start = { 0 };

    if (message->type != OXV_MSG_START ||
        oxv_fields_decode(message->payload, &oxv_msg_start_shape, &start, err) != OXV_OK ||
        fd_count != (start.source == OXV_SOURCE_NONE ? 3u : 4u)) {
        return oxv_fail(err, OXV_E_FORMAT, "the supervisor's first message is not START");
    }
    *source = (enum oxv_source)start.source;
    k->options.service_uid = start.service_uid_plus1 - 1;
    k->options.admin_gid_plus1 = start.admin_gid_plus1;
    k->options.audit_gid_plus1 = start.audit_gid_plus1;
    k->options.memory_unlocked = start.memory_unlocked != 0;
    k->options.require_sandbox = start.require_sandbox != 0;
    k->options.single_uid = start.single_uid != 0;
    k->options.userns_allowed = start.userns_allowed != 0;
    k->options.replaces = start.replaces != 0;
    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        k->door_fds[door] = oxv_fd_take(&fds[door - 1]);
        int flags = fcntl(k->door_fds[door], F_GETFL);

        if (flags < 0 || fcntl(k->door_fds[door], F_SETFL, flags | O_NONBLOCK) != 0) {
            return oxv_fail_errno(err, "a door");
        }
    }
    return oxv_text_copy(start.source_path, k->options.source_path,
                         sizeof k->options.source_path) == OXV_OK
               ? OXV_OK
               : oxv_fail(err, OXV_E_FORMAT, "the supervisor's START has a malformed path");
}

/* A thief of the vault's disk would have what opens it too: for status to warn. */
static bool
is_beside_vault(const struct oxv_keeper *k, int source_fd)
{
    struct stat source;
    struct stat vault;

    return fstat(source_fd, &source) == 0 && fstat(k->dir_fd, &vault) == 0 &&
           S_ISREG(source.st_mode) && source.st_dev == vault.st_dev;
}

/* A source of a PIN, which comes before START. One that holds no PIN is noted in *none. */
static enum oxv_status
read_pin(struct oxv_keeper *k, const struct oxv_message *message, int *fds, struct oxv_err *none,
         struct oxv_err *err)
{
    struct oxv_msg_pin pin = { 0 };
    struct oxv_err why = { 0 };

    if (oxv_fields_decode(message->payload, &oxv_msg_pin_shape, &pin, err) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "the supervisor's PIN is malformed");
    }
    k->options.source_beside_vault = k->options.source_beside_vault || is_beside_vault(k, fds[0]);
    enum oxv_status st =
        oxv_token_pins_add_source(k->tokens->pins, pin.label, oxv_fd_take(&fds[0]), &why);

    if (st != OXV_OK && none->status == OXV_OK) {
        *none = why;
        none->status = OXV_E_LOCKED; /* no usable PIN is a wrong one */
        oxv_err_prefix(none, "%.*s", (int)pin.path.len, (const char *)pin.path.data);
    }
    return OXV_OK;
}

/* The descriptor that START had with it. */
static void
keep_source(struct oxv_keeper *k, int *fd, struct start_source *out)
{
    out->fd = oxv_fd_take(fd);
    k->options.source_beside_vault = k->options.source_beside_vault || is_beside_vault(k, out->fd);
}

/* Blocks until a datagram is there, and takes it. */
static enum oxv_status
read_first(struct oxv_keeper *k, struct start_source *out, struct oxv_err *err)
{
    struct pollfd readable = { .fd = oxv_channel_fd(k->control), .events = POLLIN };
    struct oxv_view datagram;
    struct oxv_reader r;
    struct oxv_message message;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;

    if (poll(&readable, 1, START_WAIT_MS) != 1 ||
        oxv_channel_receive(k->control, &datagram, fds, &fd_count) != OXV_OK) {
        return oxv_fail(err, OXV_E_IO, "the supervisor sends nothing");
    }
    enum oxv_status st = OXV_E_FORMAT;

    if (!oxv_wire_begin(datagram, &r) || oxv_wire_next(&r, &message) != OXV_OK ||
        !oxv_reader_at_end(&r)) {
        (void)oxv_fail(err, st, "the supervisor's first datagram is malformed");
    } else if (message.type == OXV_MSG_PIN && fd_count == 1) {
        st = read_pin(k, &message, fds, &out->pin_err, err);
    } else {
        out->is_there = true;
        st = read_start(k, &message, fds, fd_count, &out->kind, err);
    }
    if (st == OXV_OK && out->kind != OXV_SOURCE_NONE && out->fd < 0) {
        keep_source(k, &fds[3], out);
    }
    for (size_t i = 0; i < fd_count; i++) {
        oxv_closep(&fds[i]);
    }
    return st;
}

/* The one source that the service has, or none: then an operator unseals. */
static enum oxv_status
try_unseal(struct oxv_keeper *k, enum oxv_source source, int source_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = source_fd;

    if (source == OXV_SOURCE_NONE && oxv_token_pins_have_source(k->tokens->pins) &&
        oxv_token_seals_exist(k)) {
        return oxv_token_unseal_at_start(k, err);
    }
    enum oxv_status st = oxv_state_unseal_from(k, source, oxv_fd_take(&fd), err);

    if (st == OXV_E_LOCKED && k->options.source_path[0] != '\0') {
        oxv_err_prefix(err, "%s", k->options.source_path);
    }
    return st;
}

/* A service that was up comes up again, if sealed: its callers are answered, and operators are. */
static enum oxv_status
unseal(struct oxv_keeper *k, struct start_source *source, struct oxv_err *err)
{
    enum oxv_status st = source->pin_err.status;

    if (st == OXV_OK || k->options.replaces) {
        st = try_unseal(k, source->kind, oxv_fd_take(&source->fd), err);
    }
    if (source->pin_err.status != OXV_OK && (st == OXV_OK || st == OXV_E_LOCKED) &&
        !oxv_keeper_is_open(k)) {
        *err = source->pin_err; /* says more than that there is no PIN */
        st = OXV_E_LOCKED;
    }
    struct oxv_token_start *start = &k->tokens->start;
    bool comes_back = start->is_wanted && (start->is_away || st == OXV_E_TOKEN);

    if (!k->options.replaces || st == OXV_OK || (st != OXV_E_LOCKED && !start->is_wanted)) {
        return st;
    }
    start->is_wanted = comes_back;
    (void)fprintf(stderr,
                  "oxvault-keeper: %s; the vault is sealed until %syou run oxvault unseal\n",
                  err->text, comes_back ? "the token is back or " : "");
    return OXV_OK;
}

enum oxv_status
oxv_keeper_start(struct oxv_keeper *k, struct oxv_err *err)
{
    struct start_source source = { .fd = -1 };
    enum oxv_status st = make_parts(k, err);

    k->started_us = oxv_clock_boot_us();
    k->clock_offset_us = (int64_t)oxv_clock_wall_us() - (int64_t)k->started_us;
    oxv_state_read_clocks(k);
    while (st == OXV_OK && !source.is_there) {
        st = read_first(k, &source, err);
    }
    if (st == OXV_OK && k->options.require_sandbox && !oxv_sandbox_is_complete(&k->sandbox)) {
        st = oxv_fail(err, OXV_E_DENIED, "the sandbox is incomplete: %s (--require-sandbox)",
                      k->sandbox.detail);
    }
    st = st != OXV_OK ? st : oxv_keeper_lock_dir(k, err);
    st = st != OXV_OK ? st : oxv_state_open_sealed(k, err);
    if (st == OXV_OK) {
        oxv_token_pins_load(k->tokens->pins, k->dir_fd);
        oxv_tokens_adopt(k);
        st = unseal(k, &source, err);
    }
    oxv_closep(&source.fd);
    return st != OXV_OK ? st : oxv_keeper_publish(k, err);
}

void
oxv_keeper_done(struct oxv_keeper *k)
{
    oxv_import_drop(k);
    oxv_admin_backup_drop(k);
    oxv_tokens_free(k);
    oxv_frontends_free(k);
    oxv_log_freep(&k->log);
    oxv_log_pending_freep(&k->pending);
    oxv_vault_freep(&k->vault);
    oxv_secret_freep(&k->box_private);
    oxv_answers_freep(&k->answers);
    oxv_denials_freep(&k->denials);
    oxv_challenges_freep(&k->challenges);
    oxv_sign_jobs_free(k->jobs);
    free(k->work);
    oxv_channel_freep(&k->control);
    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        oxv_closep(&k->door_fds[door]);
    }
    oxv_closep(&k->epoll_fd);
    oxv_closep(&k->smaps_fd);
    oxv_closep(&k->lock_fd);
    oxv_closep(&k->dir_fd);
}
