/*
 * Offline verification of an access log: checks a copy of the folder `log/` and trusts nothing but
 * the key it is given. No service, no vault, no network.
 */
#ifndef OXVAULT_VERIFY_H
#define OXVAULT_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXV_VERIFY_ORIGIN_MAX_BYTES      96u
#define OXV_VERIFY_FINGERPRINT_MAX_BYTES 64u
#define OXV_VERIFY_DETAIL_MAX_BYTES      256u

/* Numbers are fixed. */
enum oxv_verify_code {
    OXV_VERIFY_OK = 0,
    OXV_VERIFY_FOUND = 1,      /* there are findings: the log is not what was written */
    OXV_VERIFY_BAD_KEY = 2,    /* the key is not a C2SP verifier key */
    OXV_VERIFY_NOT_FOUND = 3,  /* no log there */
    OXV_VERIFY_UNREADABLE = 4, /* it cannot be read */
    OXV_VERIFY_FAILED = 5,     /* out of memory, or a defect */
};

/* One thing that is wrong. Texts are borrowed for the call. */
struct oxv_verify_finding {
    const char *code;   /* stable: "root_mismatch", "bad_signature", "bad_entry", ... */
    const char *file;   /* below the log folder */
    uint64_t entry;     /* index of the entry that is concerned */
    uint64_t offset;    /* byte in the file */
    const char *reason; /* one line for people */
};

typedef void (*oxv_verify_finding_fn)(void *context, const struct oxv_verify_finding *finding);

struct oxv_verify_verdict {
    uint64_t entries; /* checked and covered by a valid signature */
    uint64_t commits;
    uint64_t epochs;
    uint64_t findings;
    uint64_t first_time_us; /* of the first and the last entry, microseconds since 1970 */
    uint64_t last_time_us;
    char origin[OXV_VERIFY_ORIGIN_MAX_BYTES];
    uint8_t root[32];  /* RFC 6962, over `entries` entries */
    int writer_active; /* a service has this log open: bytes after the last commit are its work */
    char detail[OXV_VERIFY_DETAIL_MAX_BYTES]; /* where the code is above FOUND: why */
};

/*
 * Checks every line, every root, every signature and the chain of keys of the folder `log_path`.
 * `vkey` is the text of the log's first key as the auditor got it when the vault was made: one line
 * "name+hash+key". A key that is taken from the folder itself proves only that the folder agrees
 * with itself. `found` may be NULL. *verdict is filled in any case.
 */
enum oxv_verify_code oxv_verify_log(const char *log_path, const char *vkey,
                                    oxv_verify_finding_fn found, void *context,
                                    struct oxv_verify_verdict *verdict);

/*
 * The fingerprint of such a key, to be read out over the telephone: "SHA256:..." in `out`.
 * OXV_VERIFY_BAD_KEY where it is none.
 */
enum oxv_verify_code oxv_verify_fingerprint(const char *vkey, char *out, size_t out_size);

#ifdef __cplusplus
}
#endif

#endif
