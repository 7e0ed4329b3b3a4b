/*
 * oxvault-keeper: parses options and wires parts together. Started by oxvaultd, or once by `oxvault
 * init`, `restore` and `adopt`.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/token_names.h"
#include "service/keeper/init.h"
#include "service/keeper/loop.h"
#include "service/keeper/start.h"

#define CONTROL_FD        3 /* from the supervisor; in --init mode the secret's source */
#define CONTROL_QUEUE_MAX 256u
#define EXIT_USAGE        2

struct arguments {
    const char *dir;
    bool allow_unlocked;
    enum oxv_secret_memory memory;
    struct oxv_init_options init_options;
};

static bool
take_key_id(const char *hex, struct oxv_init_options *out)
{
    out->key_id_len = strlen(hex) / 2;
    return out->key_id_len > 0 && out->key_id_len <= sizeof out->key_id &&
           oxv_parse_hex(oxv_view_text(hex), out->key_id, out->key_id_len);
}

/* How a seal of kind token is made. */
static bool
take_token_option(int option, const char *value, struct oxv_init_options *out)
{
    switch (option) {
    case 'M':
        out->module = value;
        return true;
    case 'U':
        out->token_uri = value;
        return true;
    case 'G':
        out->generate = true;
        return true;
    case 'K':
        return take_key_id(value, out);
    case 'W':
        return oxv_token_mechanism_parse(oxv_view_text(value), &out->mechanism);
    case 'I':
        return oxv_token_gcm_iv_parse(oxv_view_text(value), &out->gcm_iv);
    case '1':
        out->allow_oaep_sha1 = true;
        return true;
    case 'P':
        out->allow_pkcs1 = true;
        return true;
    default:
        return false;
    }
}

static bool
take_option(int option, const char *value, struct arguments *args)
{
    switch (option) {
    case 'd':
        args->dir = value;
        return true;
    case 'i':
        args->init_options.mode = OXV_MODE_INIT;
        return true;
    case 'r':
        args->init_options.mode = OXV_MODE_RESTORE;
        return true;
    case 'A':
        args->init_options.mode = OXV_MODE_ADOPT;
        return true;
    case 'S':
        return oxv_parse_decimal(oxv_view_text(value), INT64_MAX, &args->init_options.seal_id);
    case 'u':
        args->allow_unlocked = true;
        return true;
    case 'm':
        return oxv_secret_memory_parse(oxv_view_text(value), &args->memory);
    case 'a':
        return oxv_parse_decimal(oxv_view_text(value), UINT32_MAX - 1,
                                 &args->init_options.admin_uid);
    case 's':
        args->init_options.seal = strcmp(value, "passphrase") == 0 ? OXV_SEAL_PASSPHRASE
                                  : strcmp(value, "keyfile") == 0  ? OXV_SEAL_KEYFILE
                                  : strcmp(value, "token") == 0    ? OXV_SEAL_TOKEN
                                                                   : 0;
        return args->init_options.seal != 0;
    default:
        return take_token_option(option, value, &args->init_options);
    }
}

static bool
parse_arguments(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        { "dir", required_argument, NULL, 'd' },
        { "init", no_argument, NULL, 'i' },
        { "restore", no_argument, NULL, 'r' },
        { "adopt", no_argument, NULL, 'A' },
        { "seal-id", required_argument, NULL, 'S' },
        { "seal", required_argument, NULL, 's' },
        { "admin-uid", required_argument, NULL, 'a' },
        { "secret-memory", required_argument, NULL, 'm' },
        { "allow-unlocked-memory", no_argument, NULL, 'u' },
        { "module", required_argument, NULL, 'M' },
        { "token-uri", required_argument, NULL, 'U' },
        { "generate", no_argument, NULL, 'G' },
        { "key-id", required_argument, NULL, 'K' },
        { "mechanism", required_argument, NULL, 'W' },
        { "gcm-iv", required_argument, NULL, 'I' },
        { "allow-oaep-sha1", no_argument, NULL, '1' },
        { "allow-pkcs1", no_argument, NULL, 'P' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(option, optarg, args)) {
            return false;
        }
    }
    const struct oxv_init_options *init = &args->init_options;

    bool names_token = init->module != NULL && init->token_uri != NULL;

    return optind == argc && args->dir != NULL &&
           (init->mode == OXV_MODE_NONE || init->seal != 0) &&
           names_token == (init->mode == OXV_MODE_INIT && init->seal == OXV_SEAL_TOKEN);
}

static int
run_service(const struct arguments *args)
{
    struct oxv_keeper k = { .dir_fd = -1, .epoll_fd = -1, .smaps_fd = -1, .lock_fd = -1 };
    struct oxv_err err = { 0 };
    int code = 1;

    for (enum oxv_door door = 0; door < OXV_DOOR_END; door++) {
        k.door_fds[door] = -1;
    }
    if (oxv_channel_new(CONTROL_FD, CONTROL_QUEUE_MAX, &k.control, &err) == OXV_OK &&
        oxv_keeper_prepare(&k, args->dir, &err) == OXV_OK) {
        code = oxv_keeper_run(&k);
    } else {
        (void)fprintf(stderr, "oxvault-keeper: %s\n", err.text);
    }
    oxv_keeper_done(&k);
    return code;
}

int
main(int argc, char **argv)
{
    struct arguments args = { .memory = OXV_SECRET_MEMORY_AUTO };
    struct oxv_err err = { 0 };

    if (oxv_sandbox_wants_probe(argc, argv)) {
        const char *dir = argc > 2 ? argv[2] : NULL;

        return oxv_sandbox_probe("keeper", dir, argc > 3 ? argv[3] : NULL, stdout);
    }
    if (!parse_arguments(argc, argv, &args)) {
        (void)fprintf(stderr, "oxvault-keeper is started by oxvaultd and by `oxvault init`, "
                              "`restore` and `adopt`\n");
        return EXIT_USAGE;
    }
    if (oxv_process_harden(&err) != OXV_OK ||
        oxv_secret_setup(args.memory, args.allow_unlocked, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: %s\n", err.text);
        return 1;
    }
    args.init_options.dir_path = args.dir;
    return args.init_options.mode != OXV_MODE_NONE ? oxv_keeper_init(&args.init_options, CONTROL_FD)
                                                   : run_service(&args);
}
