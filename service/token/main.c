/*
 * oxvault-token: started by the supervisor, its channel is descriptor 3, with --one-user where all
 * of the service runs as one user; or by the command:
 *   oxvault-token --list --module M
 *   oxvault-token --probe --module M --uri U [--pin-fd N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/sandbox/sandbox.h"
#include "service/token/helper.h"
#include "service/token/modes.h"

#define CHANNEL_FD 3
#define ONE_USER   "--one-user"

static int
complain(const struct oxv_err *err)
{
    (void)fprintf(stderr, "oxvault-token: %s\n", err->text); /* nobody else to tell */
    return 1;
}

static enum oxv_status
prepare(struct oxv_err *err)
{
    struct oxv_sandbox_report report;

    /* A module's OpenSSL would load what the system's configuration names: even another module. */
    if (setenv("OPENSSL_CONF", "/dev/null", 1) != 0) {
        return oxv_fail_errno(err, "environment");
    }
    enum oxv_status st = oxv_process_harden(err);

    if (st == OXV_OK) {
        st = oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, err);
    }
    return st == OXV_OK ? oxv_sandbox_token(&report, err) : st;
}

static int
run(int argc, char **argv)
{
    struct oxv_err err = { 0 };

    if (prepare(&err) != OXV_OK) {
        return complain(&err);
    }
    bool trusts_own = argc == 2 && strcmp(argv[1], ONE_USER) == 0;

    if (argc > 1 && !trusts_own) {
        return oxv_helper_mode(argc, argv);
    }
    return oxv_helper_serve(CHANNEL_FD, trusts_own, &err) == OXV_OK ? 0 : complain(&err);
}

int
main(int argc, char **argv)
{
    if (oxv_sandbox_wants_probe(argc, argv)) {
        return oxv_sandbox_probe("token", NULL, argv[2], stdout);
    }
    int code = run(argc, argv);

    (void)fflush(stdout); /* whoever reads it sees what is missing */
#ifndef OXV_SANITIZED
    /* What modules do in their exit handlers is known to crash; all of ours is done. */
    _exit(code);
#endif
    return code;
}
