#include "include/oxvault/verify.h"

#include "base/text.h"
#include "vault/log/verify.h"

_Static_assert(OXV_VERIFY_ORIGIN_MAX_BYTES == OXV_LOG_ORIGIN_MAX_BYTES, "an origin must fit");
_Static_assert(OXV_VERIFY_DETAIL_MAX_BYTES == OXV_ERR_TEXT_MAX_BYTES, "an error text must fit");

/* The listener of this library, called from the one inside. */
struct listener {
    oxv_verify_finding_fn found;
    void *context;
};

static void
pass_on(void *context, const struct oxv_log_finding *inner)
{
    const struct listener *listener = context;
    const struct oxv_verify_finding finding = {
        .code = inner->code,
        .file = inner->file,
        .entry = inner->entry,
        .offset = inner->offset,
        .reason = inner->reason,
    };

    if (listener->found != NULL) {
        listener->found(listener->context, &finding);
    }
}

static enum oxv_verify_code
code_of(enum oxv_status status)
{
    switch (status) {
    case OXV_OK:
        return OXV_VERIFY_OK;
    case OXV_E_FORGED:
        return OXV_VERIFY_FOUND;
    case OXV_E_FORMAT:
        return OXV_VERIFY_BAD_KEY;
    case OXV_E_NOT_FOUND:
        return OXV_VERIFY_NOT_FOUND;
    case OXV_E_IO:
    case OXV_E_DENIED:
    case OXV_E_LIMIT:
        return OXV_VERIFY_UNREADABLE;
    case OXV_E_USAGE:
    case OXV_E_LOCKED:
    case OXV_E_CONFLICT:
    case OXV_E_BUSY:
    case OXV_E_TOKEN:
    case OXV_E_STORE:
    case OXV_E_MEMORY:
    case OXV_E_INTERNAL:
        return OXV_VERIFY_FAILED;
    }
    return OXV_VERIFY_FAILED;
}

enum oxv_verify_code
oxv_verify_log(const char *log_path, const char *vkey, oxv_verify_finding_fn found, void *context,
               struct oxv_verify_verdict *verdict)
{
    struct listener listener = { .found = found, .context = context };
    struct oxv_log_verdict inner = { 0 };
    struct oxv_err err = { 0 };
    enum oxv_status st =
        oxv_log_verify(log_path, oxv_view_text(vkey), pass_on, &listener, &inner, &err);

    *verdict = (struct oxv_verify_verdict){
        .entries = inner.entries,
        .commits = inner.commits,
        .epochs = inner.epochs,
        .findings = inner.findings,
        .first_time_us = inner.first_time_us,
        .last_time_us = inner.last_time_us,
        .writer_active = inner.writer_active,
    };
    memcpy(verdict->origin, inner.origin, sizeof verdict->origin);
    memcpy(verdict->root, inner.root, sizeof verdict->root);
    memcpy(verdict->detail, err.text, sizeof verdict->detail);
    return code_of(st);
}

enum oxv_verify_code
oxv_verify_fingerprint(const char *vkey, char *out, size_t out_size)
{
    return code_of(oxv_log_vkey_fingerprint(oxv_view_text(vkey), out, out_size));
}
