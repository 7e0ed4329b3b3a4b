/* problem: the closed list of codes (design.md 8), their status, and their document (RFC 9457). */
#ifndef OXV_SERVICE_FRONTEND_PROBLEM_H
#define OXV_SERVICE_FRONTEND_PROBLEM_H

#include "base/bytes.h"

/* As they stand in `code`. */
#define OXV_CODE_BAD_REQUEST            "bad_request"
#define OXV_CODE_NOT_FOUND              "not_found"
#define OXV_CODE_METHOD_NOT_ALLOWED     "method_not_allowed"
#define OXV_CODE_PAYLOAD_TOO_LARGE      "payload_too_large"
#define OXV_CODE_UNSUPPORTED_MEDIA_TYPE "unsupported_media_type"
#define OXV_CODE_BUSY                   "busy"
#define OXV_CODE_INTERNAL               "internal"

struct oxv_problem {
    const char *code; /* static */
    const char *title;
    unsigned status; /* of HTTP */
};

/* NULL for a code that is not in the list. */
const struct oxv_problem *oxv_problem_find(struct oxv_view code);
/* "400 Bad Request" and the like; NULL for a status that is not in the list. */
const char *oxv_problem_status_text(unsigned status);

/* The document; of `detail` bytes that are not UTF-8 become '?', what exceeds 1 KiB is cut. */
void oxv_problem_write(struct oxv_writer *w, const struct oxv_problem *problem,
                       struct oxv_view detail);

#endif
