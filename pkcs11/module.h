/*
 * module: one shared object with PKCS#11 in it, loaded by us alone (not through p11-kit, whose
 * loading would start every registered module).
 */
#ifndef OXV_PKCS11_MODULE_H
#define OXV_PKCS11_MODULE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "pkcs11/fault.h"

struct oxv_p11_module;

/*
 * Finds (module_file.h) and loads it. It stays loaded to the end of the process: what a module does
 * when it is unloaded, with its threads and exit handlers, is nobody's to foresee.
 *   OXV_TOKEN_REFUSED  a rule of module_file.h is broken, or it is no module: *fault says why
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_module_load(struct oxv_view name,
                                                        uint64_t owner_uid_plus1,
                                                        struct oxv_p11_module **out,
                                                        struct oxv_p11_fault *fault);
/* Finalizes where it is initialized. NULL is fine. */
void oxv_p11_module_free(struct oxv_p11_module *module);

/* C_Initialize, with operating system locks. Does nothing where it is initialized. */
OXV_MUST_USE CK_RV oxv_p11_module_start(struct oxv_p11_module *module);
/* C_Finalize, whose failure changes nothing: all handles are void either way. */
void oxv_p11_module_stop(struct oxv_p11_module *module);

/* Borrowed. */
const CK_FUNCTION_LIST *oxv_p11_module_calls(const struct oxv_p11_module *module);

/*
 * Is this the process that loaded it? A forked child must not touch a module: with tpm2-pkcs11 the
 * parent's next calls fail and raise the TPM's lock-out counter.
 */
bool oxv_p11_module_is_ours(const struct oxv_p11_module *module);

OXV_DEFINE_OWNER(oxv_p11_module);

#endif
