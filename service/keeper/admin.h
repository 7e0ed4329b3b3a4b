/* admin: the handlers of the admin door, and the views of connections at the sign door. */
#ifndef OXV_SERVICE_KEEPER_ADMIN_H
#define OXV_SERVICE_KEEPER_ADMIN_H

#include "service/keeper/dispatch.h"

/* admin_state.c */
void oxv_admin_challenge(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_unseal(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_lock(struct oxv_keeper *k, const struct oxv_request *request);

/* admin_log.c */
void oxv_admin_log_rotate_key(struct oxv_keeper *k, const struct oxv_request *request);

/* admin_seals.c */
void oxv_admin_seals(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_seal_add(struct oxv_keeper *k, const struct oxv_request *request);
/* The change that adds a seal, and its answer. */
void oxv_admin_seal_store(struct oxv_keeper *k, const struct oxv_request *request,
                          const struct oxv_seal_input *existing, const struct oxv_seal_input *added,
                          const struct oxv_seal_record *record);
/* The record of a new seal that no token is needed for; its check value is not filled in. */
struct oxv_seal_record oxv_seal_record_of(const struct oxv_keeper *k,
                                          const struct oxv_box_seal_add *box);
void oxv_admin_seal_remove(struct oxv_keeper *k, const struct oxv_request *request);

/* admin_rekey.c */
void oxv_admin_rekey(struct oxv_keeper *k, const struct oxv_request *request);

/* admin_backup.c */
void oxv_admin_backup_begin(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_backup_next(struct oxv_keeper *k, const struct oxv_request *request);
/* Gives up a backup whose command has been silent for a minute; and any, on lock. */
void oxv_admin_backup_tick(struct oxv_keeper *k);
void oxv_admin_backup_drop(struct oxv_keeper *k);

/* admin_connections.c */
void oxv_view_connections(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_view_connection(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_connections(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_connection(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_connection_add(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_connection_remove(struct oxv_keeper *k, const struct oxv_request *request);
/* connection_keys.c */
void oxv_admin_connection_move(struct oxv_keeper *k, const struct oxv_request *request);
/* Decodes and checks what a box holds of one connection; the views borrow `payload`. */
OXV_MUST_USE enum oxv_status oxv_connection_from_box(struct oxv_view payload,
                                                     struct oxv_connection_record *record,
                                                     struct oxv_connection_secret *secret,
                                                     struct oxv_err *err);

/* admin_tokens.c */
void oxv_admin_tokens(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_token_add(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_token_login(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_token_remove(struct oxv_keeper *k, const struct oxv_request *request);

/* import.c */

#define OXV_SESSION_CHARS 32u /* of what names an import or a backup while it runs */

/* Draws the name of a new session. */
void oxv_session_draw(char session[OXV_SESSION_CHARS + 1]);
void oxv_import_begin(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_import_chunk(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_import_commit(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_import_abort(struct oxv_keeper *k, const struct oxv_request *request);
/* Gives up an import whose command has been silent for a minute, or on lock. */
void oxv_import_tick(struct oxv_keeper *k);
void oxv_import_drop(struct oxv_keeper *k);

/* admin_callers.c: callers and admins */
void oxv_admin_callers(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_caller_add(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_caller_disable(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_caller_enable(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_caller_remove(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_admins(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_admin_add(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_admin_remove(struct oxv_keeper *k, const struct oxv_request *request);

/* admin_grants.c */
void oxv_admin_grants(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_grant_add(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_admin_grant_remove(struct oxv_keeper *k, const struct oxv_request *request);

/*
 * admin_change.c: the order of vault/change.h. `entry` names type and subject; uid, door, outcome
 * and cfg are filled in here. Answers in any case.
 */
struct oxv_admin_change {
    struct oxv_keeper *k;
    const struct oxv_request *request;
    struct oxv_change *change;
};

/* Begins; false where it cannot, and the answer is given. */
OXV_MUST_USE bool oxv_admin_change_begin(struct oxv_admin_change *c, struct oxv_keeper *k,
                                         const struct oxv_request *request);
/* A step failed: rolls back, logs the refusal, answers. */
void oxv_admin_change_refuse(struct oxv_admin_change *c, uint64_t entry_type,
                             const struct oxv_err *err);
/* Log, database, log. True where the change stands: the answer is then the caller's to give. */
OXV_MUST_USE bool oxv_admin_change_finish(struct oxv_admin_change *c, struct oxv_entry *entries,
                                          size_t entry_count);
/* {"id": ..., "name": ...}; name may be empty. */
void oxv_admin_answer_id(struct oxv_keeper *k, const struct oxv_request *request, uint64_t id,
                         struct oxv_view name);
/* A refusal outside a change. */
void oxv_admin_refuse(struct oxv_keeper *k, const struct oxv_request *request, uint64_t entry_type,
                      const struct oxv_err *err);

/* admin_change.c: lists. True while another row fits the page. */
OXV_MUST_USE bool oxv_page_has_room(const struct oxv_writer *doc, uint64_t written, uint64_t limit);
/* RFC 3339, left out where it is 0. */
void oxv_doc_time(struct oxv_writer *doc, const char *name, uint64_t time_us);
void oxv_doc_hex(struct oxv_writer *doc, const char *name, struct oxv_view bytes);
void oxv_doc_base64(struct oxv_writer *doc, const char *name, struct oxv_view bytes);
/* A text member that is left out where it is empty. */
void oxv_doc_optional(struct oxv_writer *doc, const char *name, struct oxv_view text);
/* A LIST of texts. */
void oxv_doc_texts(struct oxv_writer *doc, const char *name, struct oxv_view list);
/* The names of the bits. */
void oxv_doc_kinds(struct oxv_writer *doc, const char *name, uint64_t kinds);

#endif
