#include "service/keeper/state.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/answers.h"
#include "service/keeper/audit.h"
#include "service/keeper/events.h"
#include "service/keeper/tokens.h"
#include "vault/copies.h"
#include "vault/rekey.h"

#define CLOCK_STEP_US    1000000
#define CLOCK_GAP_MAX_US 500u /* between the readings of the two clocks */
#define CLOCK_TRIES_MAX  10

enum oxv_status
oxv_state_open_sealed(struct oxv_keeper *k, struct oxv_err *err)
{
    enum oxv_status st = oxv_vault_open(k->dir_path, k->dir_fd, &k->vault, err);

    st = st == OXV_OK ? oxv_vault_finish_adopt(k->vault, k->dir_fd, err) : st;
    return st == OXV_OK ? oxv_log_pending_open(k->dir_fd, &k->pending, err) : st;
}

static enum oxv_status
log_service_entries(struct oxv_keeper *k, const struct oxv_log_opened *opened,
                    enum oxv_log_agreement agreement, const struct oxv_entry *unseal)
{
    struct oxv_entry repair = {
        .type = agreement == OXV_ONE_BEHIND ? OXV_ENTRY_CHANGE_UNDONE : OXV_ENTRY_CHANGE_DONE,
        .outcome = agreement == OXV_ONE_BEHIND ? OXV_OUTCOME_FAILED : OXV_OUTCOME_ALLOWED,
        .cfg = opened->last_cfg,
        .reason = oxv_view_text("found at start"),
    };
    uint64_t index;
    enum oxv_status st = OXV_OK;

    if (agreement != OXV_AGREES) {
        st = oxv_log_append(k->log, &repair, &index);
    }
    return st != OXV_OK ? st : oxv_log_append(k->log, unseal, &index);
}

/* The records are good and the log is not theirs, or not whole: a log is never continued twice. */
static enum oxv_status
advise_adopt(enum oxv_status st, struct oxv_err *err)
{
    char text[sizeof err->text];

    if (st == OXV_E_FORGED && strstr(err->text, "oxvault adopt") == NULL &&
        oxv_format(text, sizeof text, "%s; to go on in a new log, run: oxvault adopt", err->text) ==
            OXV_OK) {
        (void)oxv_fail(err, st, "%s", text);
    }
    return st;
}

/*
 * A rekey that was killed before its log had a key under the new root key: the log opens by the
 * start that its ratchet had, and goes over now.
 */
static enum oxv_status
finish_rekey(struct oxv_keeper *k, const char *vkey, struct oxv_log **log,
             struct oxv_log_opened *opened, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *start = NULL;
    struct oxv_err why = { 0 };

    if (oxv_rekey_old_start(k->vault, k->dir_fd, &start, &why) != OXV_OK) {
        return err->status; /* there was none: what was wrong stands */
    }
    enum oxv_status st = oxv_log_open(k->dir_fd, vkey, start, log, opened, err);

    return st == OXV_OK ? oxv_log_rotate(*log, oxv_vault_log_wrap_key(k->vault), err) : st;
}

/* The records are loaded; now the log, and both against each other. */
static enum oxv_status
open_log(struct oxv_keeper *k, const struct oxv_entry *unseal, struct oxv_err *err)
{
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_log_opened opened = { 0 };
    enum oxv_log_agreement agreement = OXV_AGREES;
    OXV_AUTO(oxv_log_freep) struct oxv_log *log = NULL;
    size_t taken = 0;
    enum oxv_status st = oxv_text_copy(oxv_vault_node(k->vault)->genesis_vkey, vkey, sizeof vkey);

    if (st != OXV_OK) {
        return oxv_fail(err, st, "the vault's record of the log key is malformed");
    }
    st = oxv_log_open(k->dir_fd, vkey, oxv_vault_log_wrap_key(k->vault), &log, &opened, err);
    if (st == OXV_E_FORGED) {
        st = finish_rekey(k, vkey, &log, &opened, err);
    }
    st = st == OXV_OK ? oxv_rekey_forget(k->dir_fd, err) : st;
    if (st != OXV_OK) {
        return advise_adopt(st, err);
    }
    oxv_vault_wipe_log_wrap_key(k->vault);
    st = oxv_vault_compare_log(k->vault, &opened, &agreement, err);
    if (st != OXV_OK) {
        return st;
    }
    k->log = log;
    st = oxv_log_pending_append(k->dir_fd, k->log, &taken, err);
    if (st == OXV_OK && log_service_entries(k, &opened, agreement, unseal) != OXV_OK) {
        st = oxv_fail(err, OXV_E_IO, "the start cannot be logged");
    }
    if (st == OXV_OK && oxv_log_name_key(k->log) != OXV_OK) {
        st = oxv_fail(err, OXV_E_IO, "the log key cannot be named");
    }
    oxv_log_end_epoch(k->log); /* an unseal ends it */
    st = st != OXV_OK ? st : oxv_log_commit(k->log, err);
    if (st == OXV_OK && taken > 0) {
        st = oxv_log_pending_clear(k->dir_fd, err);
    }
    if (st != OXV_OK) {
        k->log = NULL;
        return st;
    }
    (void)oxv_log_take(&log);
    oxv_log_pending_freep(&k->pending);
    return OXV_OK;
}

void
oxv_state_note_failure(struct oxv_keeper *k, const struct oxv_entry *entry, enum oxv_status status)
{
    struct oxv_entry failed = *entry;

    failed.type = OXV_ENTRY_VAULT_UNSEAL;
    failed.outcome = OXV_OUTCOME_FAILED;
    failed.code = oxv_view_text(status == OXV_E_LOCKED  ? "wrong_seal"
                                : status == OXV_E_TOKEN ? "token_unavailable"
                                                        : "internal");
    failed.happened_us = k->now_us;
    (void)oxv_event(k, &failed, NULL); /* it says on stderr itself that it failed */
}

enum oxv_status
oxv_state_unseal(struct oxv_keeper *k, const struct oxv_seal_input *input, uint64_t seal_id,
                 const struct oxv_entry *entry, struct oxv_err *err)
{
    struct oxv_entry allowed = *entry;
    enum oxv_status st =
        oxv_vault_unseal(k->vault, input, seal_id, oxv_view_text(k->machine_id), err);

    if (st != OXV_OK) {
        return st;
    }
    allowed.type = OXV_ENTRY_VAULT_UNSEAL;
    allowed.outcome = OXV_OUTCOME_ALLOWED;
    st = open_log(k, &allowed, err);
    if (st != OXV_OK) {
        oxv_vault_lock(k->vault);
        return st;
    }
    oxv_tokens_adopt(k); /* those of connections start in the background */
    return OXV_OK;
}

/* For whoever reads the folder; the log is none the worse without it. */
static void
save_checkpoint(struct oxv_keeper *k)
{
    struct oxv_err err = { 0 };

    if (k->log != NULL && oxv_log_save_checkpoint(k->log, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: %s\n", err.text);
    }
    k->checkpoint_saved_us = oxv_clock_boot_us();
}

void
oxv_state_checkpoint_tick(struct oxv_keeper *k)
{
    if (k->log != NULL && k->now_boot_us >= k->checkpoint_saved_us + OXV_CHECKPOINT_EVERY_US) {
        save_checkpoint(k);
    }
}

void
oxv_state_lock(struct oxv_keeper *k)
{
    struct oxv_err err = { 0 };

    if (k->tokens != NULL) {
        k->tokens->start.is_wanted = false; /* it stays locked, also when a token is back */
    }
    oxv_tokens_lock(k);
    oxv_import_drop(k);
    oxv_admin_backup_drop(k);
    oxv_audit_forget(k);
    if (k->log != NULL && oxv_log_waiting(k->log) > 0 && oxv_log_commit(k->log, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: the last entries are not in the log: %s\n",
                      err.text);
    }
    save_checkpoint(k);
    oxv_log_freep(&k->log);
    if (k->vault != NULL) {
        oxv_vault_lock(k->vault);
    }
}

/* One key file opens one seal; a passphrase is stretched for each passphrase seal in turn. */
static enum oxv_status
try_passphrase(struct oxv_keeper *k, const struct oxv_secret *passphrase,
               const struct oxv_attempt *attempt, struct oxv_err *err)
{
    const struct oxv_seal *seals;
    size_t count = oxv_vault_seals(k->vault, &seals);
    enum oxv_status st = OXV_E_LOCKED;

    (void)oxv_fail(err, st, "this vault has no passphrase seal");
    for (size_t i = 0; i < count && st == OXV_E_LOCKED; i++) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *stretched = NULL;

        if (seals[i].record.kind != OXV_SEAL_PASSPHRASE) {
            continue;
        }
        struct oxv_seal_record parameters = seals[i].record;
        uint64_t id = seals[i].id;

        st = oxv_passphrase_stretch(passphrase, &parameters, &stretched, err);
        if (st == OXV_OK) {
            struct oxv_seal_input input = { .kind = OXV_SEAL_PASSPHRASE, .stretched = stretched };

            st = attempt->unseal(k, &input, id, attempt->entry, err);
        }
    }
    return st;
}

static enum oxv_status
try_keyfile(struct oxv_keeper *k, int fd, const struct oxv_attempt *attempt, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = NULL;
    enum oxv_status st = oxv_read_secret_fd(fd, OXV_KEYFILE_BYTES, false, &key, err);

    if (st == OXV_OK && oxv_secret_len(key) != OXV_KEYFILE_BYTES) {
        st = oxv_fail(err, OXV_E_LOCKED, "not a key file: it has %zu bytes, not %u",
                      oxv_secret_len(key), OXV_KEYFILE_BYTES);
    }
    if (st != OXV_OK) {
        return st;
    }
    struct oxv_seal_input input = { .kind = OXV_SEAL_KEYFILE, .keyfile = key };

    return attempt->unseal(k, &input, 0, attempt->entry, err);
}

/* Reads one line from a terminal without echo. */
static enum oxv_status
prompt(int fd, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *line = oxv_secret_new(OXV_PASSPHRASE_MAX_BYTES);
    static const char question[] = "Passphrase of the vault: ";
    struct termios before;
    size_t len = 0;
    uint8_t c = 0;

    if (line == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
    }
    if (tcgetattr(fd, &before) != 0) {
        return oxv_fail_errno(err, "the terminal");
    }
    struct termios silent = before;

    silent.c_lflag &= (tcflag_t) ~(ECHO | ECHOE | ECHOK | ECHONL);
    if (tcsetattr(fd, TCSAFLUSH, &silent) != 0 ||
        oxv_write_all(fd, oxv_view_text(question)) != OXV_OK) {
        return oxv_fail_errno(err, "the terminal");
    }
    while (read(fd, &c, 1) == 1 && c != '\n' && len < OXV_PASSPHRASE_MAX_BYTES) {
        oxv_secret_bytes(line)[len++] = c;
    }
    oxv_wipe(&c, 1);
    if (tcsetattr(fd, TCSAFLUSH, &before) != 0 ||
        oxv_write_all(fd, oxv_view_text("\n")) != OXV_OK) {
        return oxv_fail_errno(err, "the terminal");
    }
    if (len == 0) {
        return oxv_fail(err, OXV_E_LOCKED, "no passphrase was typed");
    }
    oxv_secret_shorten(line, len);
    *out = oxv_secret_take(&line);
    return OXV_OK;
}

static enum oxv_status
try_source(struct oxv_keeper *k, enum oxv_source source, int fd, const struct oxv_attempt *attempt,
           struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    enum oxv_status st;

    if (source == OXV_SOURCE_KEYFILE) {
        return try_keyfile(k, fd, attempt, err);
    }
    st = source == OXV_SOURCE_TERMINAL
             ? prompt(fd, &passphrase, err)
             : oxv_read_secret_fd(fd, OXV_PASSPHRASE_MAX_BYTES, true, &passphrase, err);
    return st != OXV_OK ? st : try_passphrase(k, passphrase, attempt, err);
}

enum oxv_status
oxv_state_try_source(struct oxv_keeper *k, enum oxv_source source, int fd,
                     const struct oxv_attempt *attempt, struct oxv_err *err)
{
    enum oxv_status st = try_source(k, source, fd, attempt, err);

    if (st == OXV_E_LIMIT) { /* empty or too long: no passphrase, no key file */
        st = OXV_E_LOCKED;
        err->status = st;
    }
    return st;
}

enum oxv_status
oxv_state_unseal_from(struct oxv_keeper *k, enum oxv_source source, int fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int source_fd = fd;
    struct oxv_entry entry = { .reason = oxv_view_text("at start") };

    if (source == OXV_SOURCE_NONE) {
        return OXV_OK;
    }
    const struct oxv_attempt attempt = { oxv_state_unseal, &entry };
    enum oxv_status st = oxv_state_try_source(k, source, source_fd, &attempt, err);

    if (st != OXV_OK) {
        oxv_state_note_failure(k, &entry, st);
    }
    return st;
}

void
oxv_state_tell(struct oxv_keeper *k, uint8_t message_type)
{
    struct oxv_msg_ready state = { .sealed = oxv_keeper_is_open(k) ? 0 : 1 };

    if (oxv_channel_put_fields(k->control, message_type, 0, &oxv_msg_ready_shape, &state) !=
        OXV_OK) { /* it hangs; the vault is as it is all the same */
        (void)fprintf(stderr, "oxvault-keeper: the supervisor does not read\n");
    }
}

/* Together: a process that loses its core in between would see a step that is none. */
static void
read_both_clocks(struct oxv_keeper *k)
{
    for (int tries = 0; tries < CLOCK_TRIES_MAX; tries++) {
        uint64_t before_us = oxv_clock_boot_us();

        k->now_us = oxv_clock_wall_us();
        k->now_boot_us = oxv_clock_boot_us();
        if (k->now_boot_us - before_us < CLOCK_GAP_MAX_US) {
            return;
        }
    }
}

void
oxv_state_read_clocks(struct oxv_keeper *k)
{
    read_both_clocks(k);
    int64_t offset_us = (int64_t)k->now_us - (int64_t)k->now_boot_us;
    int64_t step_us = offset_us - k->clock_offset_us;

    if (step_us < CLOCK_STEP_US && step_us > -CLOCK_STEP_US) {
        k->clock_offset_us = offset_us; /* slewed by NTP, or not at all */
        return;
    }
    char reason[96];
    struct oxv_entry entry = { .type = OXV_ENTRY_CLOCK_STEP, .outcome = OXV_OUTCOME_ALLOWED };

    if (oxv_format(reason, sizeof reason, "the wall clock moved by %lld ms",
                   (long long)(step_us / 1000)) != OXV_OK) {
        oxv_bug("a clock step does not fit");
    }
    entry.reason = oxv_view_text(reason);
    k->clock_offset_us = offset_us;
    k->clock_steps++;
    (void)oxv_event(k, &entry, NULL);
}

bool
oxv_state_read_control(struct oxv_keeper *k, oxv_control_fn take)
{
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;
    enum oxv_status st;

    while ((st = oxv_channel_receive(k->control, &datagram, fds, &fd_count)) == OXV_OK) {
        struct oxv_reader r;
        struct oxv_message message;
        bool ok = oxv_wire_begin(datagram, &r);

        while (ok && (st = oxv_wire_next(&r, &message)) == OXV_OK) {
            ok = take(k, &message, fds, fd_count);
        }
        for (size_t i = 0; i < fd_count; i++) {
            oxv_closep(&fds[i]);
        }
        if (!ok || st == OXV_E_FORMAT) {
            return false;
        }
    }
    return st == OXV_E_BUSY;
}
