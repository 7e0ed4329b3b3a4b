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
#include "service/keeper/sign.h"
#include "service/keeper/state.h"

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
        oxv_sign_jobs_new(&k->jobs) != OXV_OK) {
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

/* Blocks until the first datagram is there; the descriptor of the source is the caller's. */
static enum oxv_status
wait_for_start(struct oxv_keeper *k, enum oxv_source *source, int *source_fd, struct oxv_err *err)
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

    if (oxv_wire_begin(datagram, &r) && oxv_wire_next(&r, &message) == OXV_OK &&
        oxv_reader_at_end(&r)) {
        st = read_start(k, &message, fds, fd_count, source, err);
    } else {
        (void)oxv_fail(err, st, "the supervisor's first datagram is malformed");
    }
    if (st == OXV_OK && *source != OXV_SOURCE_NONE) {
        *source_fd = oxv_fd_take(&fds[3]);
        k->options.source_beside_vault = is_beside_vault(k, *source_fd);
    }
    for (size_t i = 0; i < fd_count; i++) {
        oxv_closep(&fds[i]);
    }
    return st;
}

static enum oxv_status
publish(struct oxv_keeper *k, struct oxv_err *err)
{
    uint8_t text[256];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_msg_publish message = { 0 };

    if (oxv_vault_pub_write(&w, oxv_vault_id(k->vault), k->box_public) != OXV_OK ||
        oxv_writer_finish(&w, &message.text) != OXV_OK ||
        oxv_channel_put_fields(k->control, OXV_MSG_PUBLISH, 0, &oxv_msg_publish_shape, &message) !=
            OXV_OK) {
        return oxv_fail(err, OXV_E_INTERNAL, "the box key cannot be published");
    }
    return OXV_OK;
}

enum oxv_status
oxv_keeper_start(struct oxv_keeper *k, struct oxv_err *err)
{
    enum oxv_source source = OXV_SOURCE_NONE;
    OXV_AUTO(oxv_closep) int source_fd = -1;
    enum oxv_status st = make_parts(k, err);

    k->started_us = oxv_clock_boot_us();
    k->clock_offset_us = (int64_t)oxv_clock_wall_us() - (int64_t)k->started_us;
    oxv_state_read_clocks(k);
    st = st != OXV_OK ? st : wait_for_start(k, &source, &source_fd, err);
    if (st == OXV_OK && k->options.require_sandbox && !oxv_sandbox_is_complete(&k->sandbox)) {
        st = oxv_fail(err, OXV_E_DENIED, "the sandbox is incomplete: %s (--require-sandbox)",
                      k->sandbox.detail);
    }
    st = st != OXV_OK ? st : oxv_keeper_lock_dir(k, err);
    st = st != OXV_OK ? st : oxv_state_open_sealed(k, err);
    if (st == OXV_OK) {
        st = oxv_state_unseal_from(k, source, oxv_fd_take(&source_fd), err);
        if (st == OXV_E_LOCKED && k->options.source_path[0] != '\0') {
            oxv_err_prefix(err, "%s", k->options.source_path);
        }
    }
    return st != OXV_OK ? st : publish(k, err);
}

void
oxv_keeper_done(struct oxv_keeper *k)
{
    oxv_import_drop(k);
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
