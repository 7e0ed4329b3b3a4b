/*
 * folder: proofs from a log folder: from tiles where there are any, else from the segments, each
 * of which is read at most twice. Tiles are not trusted: a proof that does not hold is made again
 * without them.
 */
#ifndef OXV_VAULT_LOG_FOLDER_H
#define OXV_VAULT_LOG_FOLDER_H

#include "vault/log/proof_file.h"

/*
 * Makes the proof of the kind and number that *file already says, and for an entry keeps its line
 * as `extra`. `head` is the checkpoint that it leads to; it must be one of this log. Of a proof of
 * growth *old becomes the root of the older log.
 *   OXV_E_USAGE      there is no such entry, or nothing to prove
 *   OXV_E_FORGED     the log is not the one of the checkpoint, or damaged
 *   OXV_E_IO, OXV_E_NOT_FOUND, OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_folder_prove(int log_fd, const struct oxv_proof_head *head,
                                              struct oxv_proof_file *file,
                                              struct oxv_proof_head *old, struct oxv_err *err);

#endif
