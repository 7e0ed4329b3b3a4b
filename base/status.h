/* status: what a fallible function returns, and the struct that carries the text for people. */
#ifndef OXV_BASE_STATUS_H
#define OXV_BASE_STATUS_H

#include <stdarg.h>

#define OXV_MUST_USE           __attribute__((warn_unused_result))
#define OXV_ERR_TEXT_MAX_BYTES 256u

/* Grouped by what the caller can do about it. */
enum oxv_status {
    OXV_OK = 0,
    OXV_E_USAGE,     /* the call or the command line is wrong */
    OXV_E_FORMAT,    /* bytes from outside do not follow their format */
    OXV_E_DENIED,    /* not allowed */
    OXV_E_LOCKED,    /* sealed, or a wrong passphrase, key file or PIN */
    OXV_E_NOT_FOUND, /* no such thing */
    OXV_E_CONFLICT,  /* exists already, or changed meanwhile */
    OXV_E_FORGED,    /* authentication failed: damaged or changed from outside */
    OXV_E_LIMIT,     /* a documented limit is exceeded */
    OXV_E_BUSY,      /* try again later */
    OXV_E_IO,        /* a system call failed */
    OXV_E_TOKEN,     /* a PKCS#11 token or module failed */
    OXV_E_STORE,     /* the database failed */
    OXV_E_MEMORY,    /* no memory, or no locked memory */
    OXV_E_INTERNAL,  /* a defect of ours */
};

/* Filled by the deepest function that knows; callers prefix. Holds no secret, ever. */
struct oxv_err {
    enum oxv_status status;
    int sys_errno;                     /* 0 where no system call failed */
    long native;                       /* sqlite or CK_RV code, 0 where none */
    char text[OXV_ERR_TEXT_MAX_BYTES]; /* NUL-terminated, one line, printable UTF-8 */
};

/*
 * Fills *err (may be NULL) and returns `status`, so a caller can `return oxv_fail(...)`.
 * A text that is too long is cut between characters; control characters (C0, DEL, C1) and bytes
 * that are no UTF-8 become '?'.
 */
enum oxv_status oxv_fail(struct oxv_err *err, enum oxv_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As oxv_fail() with OXV_E_IO, appending ": " and the text of errno, which is kept in sys_errno. */
enum oxv_status oxv_fail_errno(struct oxv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before a text that a deeper function left. No-op where err is NULL. */
void oxv_err_prefix(struct oxv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The name of a status for logs and tests, e.g. "forged". Never NULL. */
const char *oxv_status_name(enum oxv_status status);

/* An impossible state: says where on stderr and aborts. Bad input must never reach this. */
#define oxv_bug(what) oxv_bug_at(__FILE__, __LINE__, (what))
_Noreturn void oxv_bug_at(const char *file, int line, const char *what);

#endif
