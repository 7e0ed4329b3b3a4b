/*
 * helper: the keeper's side of one token helper process (design.md 3, 6): its channel, the calls
 * that are under way and their deadlines. Every call ends exactly once: by its answer, by the end
 * of the process, or by its deadline: when the process has said nothing at all for so long since
 * the call was sent it is killed. A slow one that answers one call after the other is no such case.
 * Nothing here blocks.
 */
#ifndef OXV_SERVICE_KEEPER_HELPER_H
#define OXV_SERVICE_KEEPER_HELPER_H

#include "service/keeper/keeper.h"

#define OXV_HELPER_CALLS_MAX 160u /* under way at once in one helper */
#define OXV_HELPER_SIGN_US   5000000u
#define OXV_HELPER_CALL_US   30000000u
#define OXV_HELPER_PAD_US                                                                          \
    110000000u /* a person types a PIN at the device, within the command's 120 s */
#define OXV_HELPER_SLOW_US    120000000u /* keys are made, mechanisms tried */
#define OXV_HELPER_START_US   10000000u  /* until the supervisor has started the process */
#define OXV_HELPER_TEXT_BYTES 200u

struct oxv_helper;

enum oxv_call_end {
    OXV_CALL_ANSWERED, /* by what was asked for, or by HELPER_TROUBLE */
    OXV_CALL_LATE,     /* its deadline passed */
    OXV_CALL_LOST,     /* the process ended */
    OXV_CALL_DROPPED,  /* the vault is being locked */
};

/* How a call ended. Views are borrowed for the callback. */
struct oxv_call_result {
    enum oxv_call_end end;
    uint64_t trouble; /* enum oxv_token_trouble; FINE: `fields` is there */
    uint64_t ckr;
    const void *fields; /* the answer's struct of messages.h */
    struct oxv_view text;
    struct oxv_view refused_salt;
    struct oxv_view refused_hash;
    bool login_failed; /* but not for the PIN: it may have cost one of the token's tries */
};

typedef void (*oxv_call_fn)(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
                            const struct oxv_call_result *result);

/* Who is told of the end. */
struct oxv_call_then {
    oxv_call_fn done;
    void *ctx;
};

struct oxv_call {
    uint64_t id;         /* 0: free */
    uint8_t wanted;      /* the type of its answer */
    uint64_t timeout_us; /* of silence: it has it from when it last answered anything */
    uint64_t sent_us;    /* boot clock */
    oxv_call_fn done;    /* NULL: nobody asks any more */
    void *ctx;
};

/* The process; part of struct oxv_helper (tokens.h). */
struct oxv_helper_process {
    uint64_t serial;     /* 0: there is none, and none was asked for */
    uint64_t started_us; /* when it was asked for */
    struct oxv_channel *channel;
    struct oxv_reader reader;
    bool has_rest;
    bool has_mac; /* in what was received last: wiped when all of it is taken */
    bool readable;
    bool wants_write;
    const char *broken; /* why it is to be ended; NULL: it is fine */
    bool is_hung;       /* a deadline passed */
    uint64_t next_call;
    size_t call_count;
    uint64_t check_us;    /* no call is due before */
    uint64_t answered_us; /* boot clock: it answered something */
    struct oxv_call calls[OXV_HELPER_CALLS_MAX];
};

/* Is this epoll tag a helper's? Then what it tells of is taken. */
bool oxv_helper_event(struct oxv_keeper *k, const void *tag, uint32_t events);

/* Asks the supervisor for a process. False where that fails. */
OXV_MUST_USE bool oxv_helper_start(struct oxv_keeper *k, struct oxv_helper *h);
/* HELPER and HELPER_FAILED of the supervisor; takes channel_fd (-1: it failed). */
void oxv_helper_started(struct oxv_keeper *k, uint64_t serial, int channel_fd);
/* Uses a channel to a process that someone else has started (init); takes the descriptor. */
OXV_MUST_USE enum oxv_status oxv_helper_attach(struct oxv_keeper *k, struct oxv_helper *h, int fd,
                                               struct oxv_err *err);
/* Marks it: it is ended by the next oxv_helper_work(). `why` is a literal. */
void oxv_helper_break(struct oxv_helper *h, const char *why);
/* Ends it now; its calls end as `end`. No callback of tokens.h is told. */
void oxv_helper_end(struct oxv_keeper *k, struct oxv_helper *h, enum oxv_call_end end);

/*
 * Sends one of HELPER_OPEN .. HELPER_UNSEAL; `fields` is its struct, borrowed for the call. `then`
 * is called once, later, unless this fails:
 *   OXV_E_BUSY   it has too much to do, or does not read
 *   OXV_E_TOKEN  there is no process
 */
OXV_MUST_USE enum oxv_status oxv_helper_call(struct oxv_keeper *k, struct oxv_helper *h,
                                             uint8_t type, const void *fields,
                                             struct oxv_call_then then);
/* The call with this ctx ends without its callback. */
void oxv_helper_forget(struct oxv_helper *h, const void *ctx);

/* Takes what has come in, as far as there is room for answers, and ends what is due. */
void oxv_helper_work(struct oxv_keeper *k, struct oxv_helper *h);
void oxv_helper_flush(struct oxv_keeper *k, struct oxv_helper *h);
/* Boot-clock time at which work has something to do; 0: now. */
uint64_t oxv_helper_next_us(const struct oxv_keeper *k, const struct oxv_helper *h);

#endif
