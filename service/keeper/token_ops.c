#include "service/keeper/token_ops.h"

#include <stdlib.h>

#include "base/io.h"
#include "service/keeper/publish.h"

#define PUBLISH_WAIT_US 5000000u

struct oxv_token_op *
oxv_token_op_new(struct oxv_keeper *k, const struct oxv_request *request, uint64_t entry_type,
                 struct oxv_opened_box *box)
{
    struct oxv_token_op *op = NULL;

    if (k->tokens->op_count < OXV_TOKEN_OPS_MAX) {
        op = calloc(1, sizeof *op);
    }
    if (op == NULL) {
        oxv_answer_retry(k, &request->reply, "busy", 1,
                         "too many requests wait for tokens: try again");
        return NULL;
    }
    op->frontend_serial = request->reply.generation;
    op->request_id = request->reply.id;
    op->uid = request->uid;
    op->door = request->door;
    op->entry_type = entry_type;
    op->box = *box;
    *box = (struct oxv_opened_box){ 0 };
    op->next = k->tokens->ops;
    k->tokens->ops = op;
    k->tokens->op_count++;
    return op;
}

void
oxv_token_op_hold(struct oxv_token_op *op, struct oxv_helper *h)
{
    if (op->helper != NULL) {
        op->helper->users--;
    }
    op->helper = h;
    if (h != NULL) {
        h->users++;
    }
}

void
oxv_token_ops_move(struct oxv_keeper *k, const struct oxv_helper *from, struct oxv_helper *to)
{
    for (struct oxv_token_op *op = k->tokens->ops; op != NULL; op = op->next) {
        if (op->helper == from) {
            oxv_token_op_hold(op, to);
        }
    }
}

void
oxv_token_op_done(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_token_op **link = &k->tokens->ops;

    while (*link != op) {
        link = &(*link)->next;
    }
    *link = op->next;
    k->tokens->op_count--;
    oxv_token_op_hold(op, NULL);
    oxv_opened_box_done(&op->box);
    oxv_secret_freep(&op->existing);
    oxv_secret_freep(&op->added);
    free(op->sealed);
    free(op);
}

struct oxv_request
oxv_token_op_request(struct oxv_keeper *k, const struct oxv_token_op *op)
{
    return (struct oxv_request){
        .reply = { .frontend = oxv_frontend_by_serial(k, op->frontend_serial),
                   .generation = op->frontend_serial,
                   .id = op->request_id },
        .door = op->door,
        .uid = op->uid,
    };
}

static void
answer_sealed(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_request request = oxv_token_op_request(k, op);

    oxv_answer_problem(k, &request.reply, "sealed", "the vault was sealed before this was done");
    oxv_token_op_done(k, op);
}

bool
oxv_token_op_may_go_on(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_request request = oxv_token_op_request(k, op);

    if (!oxv_keeper_is_open(k) || k->tokens->is_locking) {
        answer_sealed(k, op);
        return false;
    }
    if (k->stopping || k->has_to_stop_answering) {
        oxv_answer_problem(k, &request.reply, "busy", "the service is stopping");
        oxv_token_op_done(k, op);
        return false;
    }
    if (oxv_vault_admin_by_uid(k->vault, op->uid) == NULL) {
        struct oxv_err err = { 0 };

        (void)oxv_fail(&err, OXV_E_DENIED, "uid %llu is no admin any more",
                       (unsigned long long)op->uid);
        oxv_token_op_refuse(k, op, &err);
        return false;
    }
    return true;
}

void
oxv_token_op_refuse(struct oxv_keeper *k, struct oxv_token_op *op, const struct oxv_err *err)
{
    struct oxv_request request = oxv_token_op_request(k, op);

    if (k->tokens->is_locking) {
        answer_sealed(k, op);
        return;
    }
    oxv_admin_refuse(k, &request, op->entry_type, err);
    oxv_token_op_done(k, op);
}

void
oxv_token_op_refuse_trouble(struct oxv_keeper *k, struct oxv_token_op *op, uint64_t trouble,
                            struct oxv_view text)
{
    struct oxv_err err = { 0 };

    (void)oxv_token_fail(op->helper, trouble, text, &err);
    oxv_token_op_refuse(k, op, &err);
}

struct oxv_helper *
oxv_token_op_find_or_make(struct oxv_keeper *k, struct oxv_token_op *op, struct oxv_view module,
                          struct oxv_view uri)
{
    struct oxv_helper *h = oxv_token_find(k, module, uri);
    struct oxv_err err = { 0 };

    if (h == NULL) {
        h = oxv_token_make(k, module, uri);
    }
    if (h == NULL) {
        (void)oxv_fail(&err, OXV_E_LIMIT, "too many tokens: remove some first");
        oxv_token_op_refuse(k, op, &err);
        return NULL;
    }
    oxv_token_op_hold(op, h);
    return h;
}

void
oxv_token_op_publish(struct oxv_keeper *k, struct oxv_token_op *op, oxv_token_op_fn answer)
{
    struct oxv_err err = { 0 };

    if (oxv_keeper_publish(k, &err) != OXV_OK) {
        answer(k, op);
        return;
    }
    op->published = k->tokens->published;
    op->due_us = oxv_clock_boot_us() + PUBLISH_WAIT_US;
    op->answer = answer;
}

static bool
is_due(const struct oxv_keeper *k, const struct oxv_token_op *op, uint64_t now_us)
{
    return op->answer != NULL && (k->tokens->confirmed >= op->published || now_us >= op->due_us);
}

void
oxv_token_ops_work(struct oxv_keeper *k)
{
    uint64_t now_us = oxv_clock_boot_us();
    struct oxv_token_op *op = k->tokens->ops;

    while (op != NULL) {
        struct oxv_token_op *next = op->next;

        if (is_due(k, op, now_us) && oxv_answers_have_room(k)) {
            op->answer(k, op);
        }
        op = next;
    }
}

uint64_t
oxv_token_ops_next_us(const struct oxv_keeper *k)
{
    uint64_t next_us = UINT64_MAX;

    for (const struct oxv_token_op *op = k->tokens->ops; op != NULL; op = op->next) {
        if (op->answer == NULL || !oxv_answers_have_room(k)) {
            continue;
        }
        if (k->tokens->confirmed >= op->published) {
            return 0;
        }
        next_us = op->due_us < next_us ? op->due_us : next_us;
    }
    return next_us;
}

void
oxv_token_ops_drop(struct oxv_keeper *k)
{
    while (k->tokens->ops != NULL) {
        answer_sealed(k, k->tokens->ops);
    }
}
