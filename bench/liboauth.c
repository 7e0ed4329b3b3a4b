/*
 * liboauth: how many headers Debian's liboauth signs in its own process (HMAC-SHA1: it has no
 * SHA-256).
 *
 *   bench_liboauth SECONDS URL CONSUMER_KEY TOKEN    the two secrets on stdin, a line each
 */
#include <stddef.h> /* oauth.h needs it and does not say so */

#include <err.h>
#include <oauth.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECRET_MAX 256

static double
now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
read_secret(char secret[SECRET_MAX])
{
    if (fgets(secret, SECRET_MAX, stdin) == NULL) {
        errx(2, "two secrets are expected on stdin");
    }
    secret[strcspn(secret, "\n")] = '\0';
}

/* What a caller needs for one request: the parameters signed, as a header. */
static void
sign_once(char **argv, const char *consumer_secret, const char *token_secret)
{
    static char separator[] = ", ";
    int count = 0;
    char **parameters = NULL;

    count = oauth_split_url_parameters(argv[2], &parameters);
    oauth_sign_array2_process(&count, &parameters, NULL, OA_HMAC, "GET", argv[3], consumer_secret,
                              argv[4], token_secret);
    char *header = oauth_serialize_url_sep(count, 1, parameters, separator, 6);

    if (header == NULL || strstr(header, "oauth_signature=") == NULL) {
        errx(1, "liboauth did not sign");
    }
    oauth_free_array(&count, &parameters);
    free(header);
}

int
main(int argc, char **argv)
{
    char consumer_secret[SECRET_MAX];
    char token_secret[SECRET_MAX];
    uint64_t done = 0;

    if (argc != 5) {
        errx(2, "usage: bench_liboauth SECONDS URL CONSUMER_KEY TOKEN");
    }
    read_secret(consumer_secret);
    read_secret(token_secret);

    double start = now_s();
    double end = start + strtod(argv[1], NULL);
    double now;

    do {
        for (int i = 0; i < 100; i++) {
            sign_once(argv, consumer_secret, token_secret);
        }
        done += 100;
        now = now_s();
    } while (now < end);
    printf("%.0f\n", (double)done / (now - start));
    return 0;
}
