/* media_type: is what a request says about its body JSON in UTF-8? (RFC 9110 8.3) */
#ifndef OXV_SERVICE_FRONTEND_MEDIA_TYPE_H
#define OXV_SERVICE_FRONTEND_MEDIA_TYPE_H

#include "base/bytes.h"

/*
 * `application/json` in any case, with parameters or without; a charset must be utf-8. False also
 * where the value is malformed.
 */
bool oxv_media_type_is_json(struct oxv_view value);

#endif
