/*
 * tokens: the PKCS#11 tokens that seals and rows name. One struct oxv_helper for each, as long as
 * something names it, while its process comes and goes; see helper.h. What is wanted of a token
 * waits until it is logged in, or until it is known what stands in the way.
 */
#ifndef OXV_SERVICE_KEEPER_TOKENS_H
#define OXV_SERVICE_KEEPER_TOKENS_H

#include "service/keeper/helper.h"
#include "service/keeper/sign.h"

#define OXV_HELPERS_MAX    48u /* seals, rows and what is being added */
#define OXV_TOKEN_ROWS_MAX 24u
#define OXV_TOKEN_JOBS_MAX 96u /* signatures under way in one token */

struct oxv_token_keys;
struct oxv_token_pins;
struct oxv_token_op;

enum oxv_helper_phase {
    OXV_HELPER_DOWN,     /* no process, or one is awaited */
    OXV_HELPER_OPENING,  /* HELPER_OPEN is under way */
    OXV_HELPER_LOGIN,    /* HELPER_LOGIN is under way */
    OXV_HELPER_READY,    /* logged in */
    OXV_HELPER_TROUBLED, /* `trouble` stands in the way */
};

/* `trouble` FINE: the token is logged in. `text` is for people. Called once. */
typedef void (*oxv_token_ready_fn)(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
                                   uint64_t trouble);

/* Someone who waits for a token. */
struct oxv_token_waiter {
    struct oxv_token_waiter *next;
    oxv_token_ready_fn done;
    void *ctx;
    struct oxv_secret *pin; /* what this one typed; NULL: nothing */
    bool proves;
    bool is_asked; /* a person: has the time that a PIN pad takes */
    uint64_t due_us;
};

struct oxv_helper {
    struct oxv_helper_process process;
    enum oxv_helper_phase phase;

    char module[OXV_TOKEN_MODULE_MAX_BYTES + 1];
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1]; /* as told; the canonical one once it is known */
    char label[64];
    uint64_t row_id;  /* of its row; 0: none */
    uint64_t seal_id; /* the first seal that names it; 0: none */
    size_t users;     /* requests that hold it */
    bool is_private;  /* for one request, to ask at the device itself: nobody else finds it */
    bool is_opened;   /* this process has opened the token: uri is canonical */

    /* As last told, by the process or of it. */
    uint64_t trouble;
    uint64_t ckr;
    char text[OXV_HELPER_TEXT_BYTES];
    bool is_logged_in;
    uint64_t pin_state;
    bool has_pin_pad;

    const char *word;  /* its state in a word, see oxv_token_word() */
    uint64_t since_us; /* wall clock, of that word */
    bool was_tried;
    bool was_sealed; /* the vault, when that was told: `oxvault token login` is refused then */

    struct oxv_token_waiter *waiters;
    struct oxv_secret *typed_pin;  /* by a person, to be tried once, whatever was refused */
    struct oxv_secret *trying_pin; /* that of the login that is under way */
    bool is_trying_typed;          /* a person typed it */
    bool is_asked;                 /* a person asks: a PIN pad is worth its wait */
    struct oxv_secret *proven_pin; /* it is logged in by this one; what is typed is compared */
    bool needs_no_pin;             /* it was logged in when it was opened */
    unsigned wrong_guesses;        /* compared, not tried */
    uint64_t guess_after_us;       /* boot clock; nothing is compared before */

    /* The circuit breaker: open after a deadline or an absence, until something has worked. */
    bool is_open_circuit;
    uint64_t back_off_us;
    uint64_t retry_at_us; /* boot clock; 0: not by itself */
    unsigned failed_probes;
    uint64_t well_since_us; /* boot clock; 0: it is not. The back-off is kept for some seconds */
    uint64_t hurried_us;    /* boot clock: when it was last tried at once */

    struct oxv_token_keys *keys; /* NULL: none was wanted yet */
    uint64_t loaded_after;       /* eager loading is past this connection id; UINT64_MAX: done */
    size_t loads;                /* under way */
    uint64_t load_again_us;      /* boot clock: for what the token had no time; 0: nothing */
    struct oxv_job_pool jobs;
    uint64_t jobs_check_us; /* no job is due before */

    uint64_t signatures;
    uint64_t failures;
    uint64_t restarts;
};

/* The unsealing by a token at the start; a keeper that replaces another goes on with it. */
struct oxv_token_start {
    bool is_wanted;       /* the vault is to open by itself when the token is back */
    bool is_trying;       /* a search is under way, or its end was not looked at */
    bool is_away;         /* a token that may come back was missing in the last search */
    uint64_t retry_at_us; /* boot clock */
    uint64_t back_off_us;
    bool is_done;
    struct oxv_secret *value; /* NULL: none, see err */
    uint64_t seal_id;
    struct oxv_err err;
};

struct oxv_tokens {
    struct oxv_helper *items[OXV_HELPERS_MAX];
    struct oxv_token_pins *pins;
    struct oxv_token_op *ops;
    size_t op_count;
    bool is_locking;
    struct oxv_token_start start;
    uint64_t published; /* how many vault.pub were sent to the supervisor ... */
    uint64_t confirmed; /* ... and how many of them are written */
};

OXV_MUST_USE enum oxv_status oxv_tokens_new(struct oxv_tokens **out);
/* Ends every process; NULL is fine. */
void oxv_tokens_free(struct oxv_keeper *k);

/* Looks at seals and rows: tokens that are new are there afterwards, others go when unused. Those
 * of rows are started, in the background. Call it after each unseal and change of them. */
void oxv_tokens_adopt(struct oxv_keeper *k);
/* Before the vault is locked: every job and request ends, with its entry; every process ends. */
void oxv_tokens_lock(struct oxv_keeper *k);

/* Once a turn: what came in, what is due, what is to be sent. */
void oxv_tokens_work(struct oxv_keeper *k);
uint64_t oxv_tokens_next_us(const struct oxv_keeper *k);
/* Is a signature or an admin's request under way in a token? */
bool oxv_tokens_are_busy(const struct oxv_keeper *k);

struct oxv_helper *oxv_token_of_row(const struct oxv_keeper *k, uint64_t row_id);
struct oxv_helper *oxv_token_of_seal(const struct oxv_keeper *k, const struct oxv_seal *seal);
/* A token through one module: what a seal or a row pins is both. */
struct oxv_helper *oxv_token_find(const struct oxv_keeper *k, struct oxv_view module,
                                  struct oxv_view uri);
/* A new one; NULL where there are too many. It goes when nothing names and nobody uses it. */
struct oxv_helper *oxv_token_make(struct oxv_keeper *k, struct oxv_view module,
                                  struct oxv_view uri);

/* How a token is wanted. */
struct oxv_token_wish {
    struct oxv_secret *pin; /* taken; typed by a person. NULL: what the service has */
    bool is_asked;          /* a person asks */
    bool proves;            /* and has to show the PIN, though it is logged in */
    bool is_pin_lost;       /* one was typed, and there was no locked memory: BUSY */
};
/* What a person asks; an empty PIN is none. */
struct oxv_token_wish oxv_token_wish_of(struct oxv_view pin);
/*
 * Wants it logged in. `done` may be called before this returns. A PIN that was typed has to be the
 * right one even where it is logged in already: PIN, or BUSY where too many wrong ones came.
 */
void oxv_token_want(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_wish wish,
                    oxv_token_ready_fn done, void *ctx);

/* helper.c tells: the process is there (or could not be started), it ended, it says something. */
void oxv_token_on_started(struct oxv_keeper *k, struct oxv_helper *h);
void oxv_token_on_ended(struct oxv_keeper *k, struct oxv_helper *h, const char *why);
void oxv_token_on_told(struct oxv_keeper *k, struct oxv_helper *h,
                       const struct oxv_msg_helper_token *token);
/* A call of a token that is logged in ended with this trouble. */
void oxv_token_on_trouble(struct oxv_keeper *k, struct oxv_helper *h,
                          const struct oxv_call_result *result);
/* The token has just done what was asked: the circuit closes. */
void oxv_token_on_success(struct oxv_keeper *k, struct oxv_helper *h);

/* "ready", "absent", "needs pin", "pin refused", "pin locked", "unfit", "starting", "hung". */
const char *oxv_token_word(const struct oxv_helper *h);
/* "ok", "count low", "final try", "locked". */
const char *oxv_token_pin_word(const struct oxv_helper *h);
/* The status that a trouble is for an admin's request. */
enum oxv_status oxv_token_status(uint64_t trouble);
/* What is wrong, and what to do, in one sentence. Returns the status. */
enum oxv_status oxv_token_fail(const struct oxv_helper *h, uint64_t trouble, struct oxv_view text,
                               struct oxv_err *err);
/* The same of what stands in the token's way now. */
enum oxv_status oxv_token_fail_now(const struct oxv_helper *h, struct oxv_err *err);

/*
 * Turns until *is_done, watching nothing but the supervisor's channel and those of the helpers: for
 * the start and for init, when there is nobody else.
 *   OXV_E_TOKEN  `timeout_us` passed
 *   OXV_E_IO     the supervisor is gone, or stops the service
 */
OXV_MUST_USE enum oxv_status oxv_tokens_pump(struct oxv_keeper *k, const bool *is_done,
                                             uint64_t timeout_us, struct oxv_err *err);

/* token_docs.c: for status, GET tokens and metrics. */
void oxv_token_docs_write(const struct oxv_keeper *k, struct oxv_writer *doc, bool is_short);
void oxv_token_metrics_write(const struct oxv_keeper *k, struct oxv_writer *w);

/* A message of the supervisor about helpers; false where it is none or malformed. */
OXV_MUST_USE bool oxv_tokens_take_control(struct oxv_keeper *k, const struct oxv_message *message,
                                          int *fds, size_t fd_count);

#endif
