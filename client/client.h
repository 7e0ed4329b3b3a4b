/* client: what is behind the opaque struct of include/oxvault/client.h. */
#ifndef OXV_CLIENT_CLIENT_H
#define OXV_CLIENT_CLIENT_H

#include "client/http.h"

struct oxv_client {
    struct oxv_http *http;
};

#endif
