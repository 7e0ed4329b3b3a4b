/*
 * module_file: from what the administrator wrote to the one file that is loaded.
 *
 * A module is named by
 *   an absolute path of a shared object, or
 *   an absolute path that ends in ".module": a p11-kit module file, or
 *   a name: NAME.module is looked for in p11-kit's system directories.
 * A module file is lines "name: value"; '#' begins a comment line. We know `module` (a path; a
 * relative one is below p11-kit's module directory) and `x-init-reserved` (NSS needs it); the
 * others (critical, priority, trust-policy, ...) say nothing to us. A `remote` one is refused.
 *
 * Each file, and each directory above it, belongs to root or to the one owner that is allowed, and
 * nobody else may write it: whoever can write there runs code with the token's PIN.
 */
#ifndef OXV_PKCS11_MODULE_FILE_H
#define OXV_PKCS11_MODULE_FILE_H

#include "base/bytes.h"
#include "pkcs11/fault.h"

#define OXV_P11_RESERVED_MAX_BYTES 1024u

struct oxv_p11_module_file {
    char path[OXV_TOKEN_MODULE_MAX_BYTES + 1]; /* absolute, no symlinks in it */
    char reserved[OXV_P11_RESERVED_MAX_BYTES]; /* "" where there is none */
};

/*
 * `owner_uid_plus1`: a user whose files are accepted beside root's; 0: nobody's.
 *   OXV_TOKEN_REFUSED  there is no such module, or a rule is broken: *fault says which and where
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_module_find(struct oxv_view name,
                                                        uint64_t owner_uid_plus1,
                                                        struct oxv_p11_module_file *out,
                                                        struct oxv_p11_fault *fault);

/*
 * Reads the text of a module file into *out, whose path is then as written there.
 *   OXV_TOKEN_REFUSED  no module, a remote one, or something that is too long
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_module_text(struct oxv_view text,
                                                        struct oxv_p11_module_file *out,
                                                        struct oxv_p11_fault *fault);

#endif
