#include "client/client.h"

#include <stdlib.h>

enum oxv_client_code
oxv_client_open(const char *path, const struct oxv_client_options *options, struct oxv_client **out,
                struct oxv_client_error *error)
{
    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    *out = NULL;
    struct oxv_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    enum oxv_client_code code = oxv_http_open(path, options, &client->http, error);

    if (code != OXV_CLIENT_OK) {
        free(client);
        return code;
    }
    if (error != NULL) {
        *error = (struct oxv_client_error){ .code = OXV_CLIENT_OK };
    }
    *out = client;
    return OXV_CLIENT_OK;
}

void
oxv_client_close(struct oxv_client *client)
{
    if (client == NULL) {
        return;
    }
    oxv_http_free(client->http);
    free(client);
}

const char *
oxv_client_version(void)
{
    return OXV_VERSION;
}
