/*
 * witness_dir: where a witness keeps its key and what it has cosigned.
 *
 *   witness.key                 PRIVATE+KEY+<name>+<key id>+<base64(0x04 || seed)>, mode 0600
 *   lock                        held by the one process that cosigns
 *   logs/<hash>.keys            the verifier keys of a log, one a line
 *   logs/<hash>.checkpoint      the note that was cosigned last
 *
 * <hash> is SHA-256 of the log's origin in hex, as in the paths of C2SP tlog-witness. A checkpoint
 * is replaced, and that is durable, before its cosignature is given out.
 */
#ifndef OXV_CLI_WITNESS_DIR_H
#define OXV_CLI_WITNESS_DIR_H

#include "base/cleanup.h"
#include "vault/log/witness.h"

#define OXV_WITNESS_HASH_CHARS 65u /* hex of SHA-256 and its NUL */

struct oxv_witness_dir;

void oxv_witness_dir_free(struct oxv_witness_dir *dir);

/*
 * Makes a witness in the directory `path`, which must be empty or absent, with a key of its own.
 *   OXV_E_CONFLICT  there is something in it
 *   OXV_E_USAGE     the name is none that a key can have
 */
OXV_MUST_USE enum oxv_status oxv_witness_dir_make(const char *path, const char *name,
                                                  struct oxv_vkey *vkey, struct oxv_err *err);

/*
 * Opens it to cosign: takes the lock, reads the key.
 *   OXV_E_NOT_FOUND  there is no witness
 *   OXV_E_CONFLICT   another process cosigns there
 *   OXV_E_DENIED     the key file is open to others
 *   OXV_E_FORMAT     the key file is none
 */
OXV_MUST_USE enum oxv_status oxv_witness_dir_open(const char *path, struct oxv_witness_dir **out,
                                                  struct oxv_err *err);
/* Its verifier key. */
const struct oxv_vkey *oxv_witness_dir_vkey(const struct oxv_witness_dir *dir);

/*
 * Makes a log known by one more key, also while a process cosigns.
 *   OXV_E_NOT_FOUND  there is no witness in `path`
 *   OXV_E_CONFLICT   it is known by this key already
 *   OXV_E_LIMIT      it has OXV_WITNESS_KEYS_MAX keys
 */
OXV_MUST_USE enum oxv_status oxv_witness_dir_add(const char *path, const struct oxv_vkey *log_key,
                                                 struct oxv_err *err);

/*
 * Judges a request. With OXV_WITNESS_GROWN the checkpoint is durable and the cosignature line is
 * appended to `answer`; with OXV_WITNESS_OTHER_SIZE the size that was cosigned last, with a
 * newline. OXV_E_IO, OXV_E_FORMAT, OXV_E_MEMORY  nothing was cosigned: *err says what is wrong
 * with the directory
 */
OXV_MUST_USE enum oxv_status oxv_witness_dir_cosign(struct oxv_witness_dir *dir,
                                                    const struct oxv_witness_request *request,
                                                    enum oxv_witness_verdict *verdict,
                                                    struct oxv_writer *answer, struct oxv_err *err);
/*
 * Appends the note that was cosigned last. `hash` is one of a log.
 *   OXV_E_NOT_FOUND  there is none
 */
OXV_MUST_USE enum oxv_status oxv_witness_dir_note(const struct oxv_witness_dir *dir,
                                                  const char hash[OXV_WITNESS_HASH_CHARS],
                                                  struct oxv_writer *note, struct oxv_err *err);

OXV_DEFINE_OWNER(oxv_witness_dir);

#endif
