/* admin_log: what an admin may ask of the log's keys. */
#include "service/keeper/admin.h"
#include "service/keeper/answers.h"
#include "service/keeper/events.h"

/* The entry that says who asked is one of the epoch that ends. */
void
oxv_admin_log_rotate_key(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_entry entry = { .type = OXV_ENTRY_LOG_ROTATE,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .uid_plus1 = request->uid + 1,
                               .door = oxv_view_text(oxv_door_name(request->door)) };
    uint64_t ended = oxv_log_epoch(k->log);
    struct oxv_err err = { 0 };

    if (oxv_event(k, &entry, NULL) != OXV_OK) {
        oxv_answer_problem(k, &request->reply, "log_unavailable",
                           "the rotation cannot be logged, so the epoch goes on");
        return;
    }
    if (oxv_log_rotate(k->log, NULL, &err) != OXV_OK) {
        oxv_log_end_epoch(k->log); /* as soon as it can be */
        oxv_answer_error(k, &request->reply, &err);
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_integer(&doc, "ended_epoch", ended);
    oxv_doc_integer(&doc, "epoch", oxv_log_epoch(k->log));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}
