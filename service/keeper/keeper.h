/*
 * keeper: the state of the one process that holds keys, decides, signs and logs (design.md 3).
 * One thread around one epoll loop. A turn: take what is waiting, decide, sign, ONE log commit,
 * and only then release the answers.
 */
#ifndef OXV_SERVICE_KEEPER_KEEPER_H
#define OXV_SERVICE_KEEPER_KEEPER_H

#include <sys/types.h>

#include "base/secret.h"
#include "service/sandbox/sandbox.h"
#include "service/wire/channel.h"
#include "service/wire/doc.h"
#include "service/wire/messages.h"
#include "signer/oauth1.h"
#include "vault/box.h"
#include "vault/change.h"
#include "vault/log/log.h"
#include "vault/vault.h"

#define OXV_TURN_REQUESTS_MAX         512u /* before a commit */
#define OXV_TURN_CHANNEL_REQUESTS_MAX 64u  /* of one channel */
#define OXV_TURN_ACCEPTS_MAX          32u
#define OXV_PEERS_MAX                 512u /* of one (door, uid) */
#define OXV_PEERS_UNKNOWN_MAX         32u  /* of all unknown uids of one door together */
#define OXV_CHANNEL_FULL_MAX_US       5000000u
#define OXV_CHECKPOINT_EVERY_US       10000000u
#define OXV_BOOT_ID_BYTES             16u
#define OXV_EXIT_LOCKED               4 /* exit codes of design 10 */
#define OXV_EXIT_FORGED               6
#define OXV_EXIT_TOKEN                7

struct oxv_frontend;
struct oxv_answers;
struct oxv_denials;
struct oxv_challenges;
struct oxv_import;
struct oxv_backup_session;
struct oxv_audit;
struct oxv_sign_jobs;
struct oxv_tokens;

/* What the supervisor's START said. */
struct oxv_keeper_options {
    uint64_t service_uid;
    uint64_t admin_gid_plus1;
    uint64_t audit_gid_plus1;
    bool memory_unlocked;
    bool require_sandbox;
    bool single_uid;
    bool userns_allowed;
    bool replaces;            /* the service was ready: what does not open leaves it sealed */
    char source_path[4096];   /* where that came from, for messages; "" where from no file */
    bool source_beside_vault; /* the passphrase or key file is on the vault's file system */
};

/* Counted for GET /metrics. */
struct oxv_counters {
    uint64_t signatures;
    uint64_t denied;
    uint64_t failed;
    uint64_t datagrams_in;
    uint64_t datagrams_out;
    uint64_t requests;
    uint64_t commits;
    uint64_t peers;
    uint64_t peers_refused;
    uint64_t frontends_started;
    uint64_t frontends_lost;
};

struct oxv_keeper {
    const char *dir_path;
    int dir_fd;
    int epoll_fd;
    int smaps_fd; /* opened before the sandbox, for doctor */
    int lock_fd;
    int door_fds[OXV_DOOR_END];
    struct oxv_channel *control;
    struct oxv_keeper_options options;
    struct oxv_sandbox_report sandbox;
    char machine_id[64];

    struct oxv_vault *vault;
    struct oxv_log *log;             /* only while open */
    struct oxv_log_pending *pending; /* only while sealed */
    struct oxv_secret *box_private;
    uint8_t box_public[OXV_BOX_KEY_BYTES];

    struct oxv_frontend *frontends; /* list, newest first */
    uint64_t next_serial;
    struct oxv_answers *answers;
    struct oxv_denials *denials;
    struct oxv_challenges *challenges;
    struct oxv_import *import;         /* NULL: none is running */
    struct oxv_backup_session *backup; /* NULL: none is running */
    struct oxv_audit *audit;
    struct oxv_sign_jobs *jobs;
    struct oxv_tokens *tokens;
    struct oxv_oauth1_work *work;
    struct oxv_counters counters;

    bool is_published;            /* vault.pub is there: the doors were opened */
    bool accepting;               /* the doors are watched */
    uint64_t doors_rest_until_us; /* boot clock; 0: they do not */
    bool stopping;
    bool has_to_end;            /* log and database may differ: only a new start can tell */
    bool entry_is_lost;         /* of this turn: what it says must not be answered */
    bool has_to_stop_answering; /* the log is broken: nothing is signed any more */
    uint64_t started_us;        /* boot clock */
    int64_t clock_offset_us;    /* wall minus boot clock, as last seen */
    uint64_t clock_steps;
    uint64_t now_us; /* wall clock at the turn's start */
    uint64_t now_boot_us;
    uint64_t checkpoint_saved_us; /* boot clock: when log/checkpoint was last written */
    uint64_t gives_way_from_us;   /* boot-time clock, see loop.c */
};

static inline bool
oxv_keeper_is_open(const struct oxv_keeper *k)
{
    return k->vault != NULL && oxv_vault_is_open(k->vault) && k->log != NULL;
}

#endif
