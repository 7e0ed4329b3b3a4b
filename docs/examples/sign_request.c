/*
 * Asks a running oxvault service for the Authorization header of one request.
 *   cc sign_request.c $(pkg-config --cflags --libs oxvault) -o sign_request
 *   ./sign_request /run/oxvault/sign.sock acme GET https://123456.suitetalk.api.netsuite.com/...
 */
#include <stdio.h>

#include <oxvault/client.h>

int
main(int argc, char **argv)
{
    struct oxv_client *client = NULL;
    struct oxv_client_oauth1 *signature = NULL;
    struct oxv_client_error error;

    if (argc != 5) {
        fprintf(stderr, "usage: sign_request SOCKET CONNECTION METHOD URL\n");
        return 2;
    }
    struct oxv_client_request request = { .connection = argv[2],
                                          .method = argv[3],
                                          .url = argv[4] };
    enum oxv_client_code code = oxv_client_open(argv[1], NULL, &client, &error);

    if (code == OXV_CLIENT_OK) {
        code = oxv_client_sign_oauth1(client, &request, &signature, &error);
    }
    if (code == OXV_CLIENT_OK) {
        printf("Authorization: %s\n", signature->authorization);
    } else {
        fprintf(stderr, "%s: %s\n", oxv_client_code_name(code), error.detail);
    }
    oxv_client_oauth1_free(signature);
    oxv_client_close(client);
    return code == OXV_CLIENT_OK ? 0 : 1;
}
