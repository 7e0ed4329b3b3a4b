#include "cli/sealed_box.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"

#define BODY_MAX_BYTES 65536u
#define SERVICE_USER   "oxvault" /* that packaging makes */

/* Whose keys count. */
struct owners {
    uid_t uids[4];
    size_t count;
};

/* Root, this user, the service's user, and the one that --service-uid names. */
static enum oxv_exit
find_owners(const struct oxv_cli *cli, struct owners *out)
{
    const char *named = oxv_cli_option(cli, "service-uid");
    const struct passwd *user = getpwnam(SERVICE_USER);
    uint64_t uid;

    *out = (struct owners){ .uids = { 0, geteuid() }, .count = 2 };
    if (user != NULL) {
        out->uids[out->count++] = user->pw_uid;
    }
    if (named == NULL) {
        return OXV_EXIT_DONE;
    }
    if (!oxv_parse_decimal(oxv_view_text(named), UINT32_MAX - 1, &uid)) {
        return oxv_cli_usage(cli, "this is no uid: %s", named);
    }
    out->uids[out->count++] = (uid_t)uid;
    return OXV_EXIT_DONE;
}

/* OXV_EXIT_DONE where nobody but these owners can have put there what `st` is of. */
static enum oxv_exit
check_trust(const struct oxv_cli *cli, const struct owners *owners, const struct stat *st,
            const char *path)
{
    bool owned = false;

    for (size_t i = 0; i < owners->count; i++) {
        owned = owned || st->st_uid == owners->uids[i];
    }
    if (!owned) {
        return oxv_cli_fail(
            cli, OXV_EXIT_FAILED,
            "%s belongs to uid %u, which is neither root nor you nor the user " SERVICE_USER
            ": no secret goes to a key from there. If the service "
            "runs as that user, say so: --service-uid %u",
            path, (unsigned)st->st_uid, (unsigned)st->st_uid);
    }
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "others can write to %s (mode %04o): no secret goes to a key from "
                            "there",
                            path, (unsigned)(st->st_mode & 07777));
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
open_run(const struct oxv_cli *cli, const struct owners *owners, int *out)
{
    OXV_AUTO(oxv_closep)
    int dir = open(cli->run, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (dir < 0 && errno == ENOTDIR) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s is a symbolic link, or no directory: name the run directory itself",
                            cli->run);
    }
    if (dir < 0 || fstat(dir, &st) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_UNREACHABLE,
                            "there is no run directory %s: the service does not run, or elsewhere "
                            "(--run, OXVAULT_RUN)",
                            cli->run);
    }
    enum oxv_exit code = check_trust(cli, owners, &st, cli->run);

    if (code == OXV_EXIT_DONE) {
        *out = oxv_fd_take(&dir);
    }
    return code;
}

static enum oxv_exit
open_pub(const struct oxv_cli *cli, int *out)
{
    OXV_AUTO(oxv_closep) int dir = -1;
    OXV_AUTO(oxv_closep) int fd = -1;
    struct owners owners;
    struct stat st;
    char path[PATH_MAX];
    enum oxv_exit code = find_owners(cli, &owners);

    code = code == OXV_EXIT_DONE ? open_run(cli, &owners, &dir) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_format(path, sizeof path, "%s/vault.pub", cli->run) != OXV_OK) {
        return oxv_cli_usage(cli, "the path of the run directory is too long");
    }
    fd = openat(dir, "vault.pub", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s is a symbolic link: no secret goes to that key", path);
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_UNREACHABLE,
                            "there is no readable %s: the service does not run", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is not a regular file", path);
    }
    code = check_trust(cli, &owners, &st, path);
    if (code == OXV_EXIT_DONE) {
        *out = oxv_fd_take(&fd);
    }
    return code;
}

/* All of the file, in memory that lasts until the next call; the command is one thread. */
static enum oxv_exit
read_pub(const struct oxv_cli *cli, struct oxv_view *out)
{
    static uint8_t text[OXV_VAULT_PUB_MAX_BYTES];
    OXV_AUTO(oxv_closep) int fd = -1;
    size_t len = 0;
    enum oxv_exit code = open_pub(cli, &fd);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_read_to_end(fd, text, sizeof text, &len) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot read %s/vault.pub", cli->run);
    }
    *out = oxv_view(text, len);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_vault_pub_load(const struct oxv_cli *cli, struct oxv_vault_pub *out)
{
    struct oxv_err err = { 0 };
    struct oxv_view text;
    enum oxv_exit code = read_pub(cli, &text);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_vault_pub_parse(text, out->vault_id, out->key, &err) != OXV_OK) {
        oxv_err_prefix(&err, "%s/vault.pub", cli->run);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_vault_pub_token(const struct oxv_cli *cli, uint64_t id, struct oxv_pub_token *out, bool *found)
{
    struct oxv_err err = { 0 };
    struct oxv_view text;
    enum oxv_exit code = read_pub(cli, &text);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    enum oxv_status st = oxv_vault_pub_find_token(text, id, out, &err);

    *found = st == OXV_OK;
    if (st != OXV_OK && st != OXV_E_NOT_FOUND) {
        oxv_err_prefix(&err, "%s/vault.pub", cli->run);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_box_read_challenge(const struct oxv_cli *cli, struct oxv_view answer,
                       uint8_t out[OXV_CHALLENGE_BYTES])
{
    char text[64];
    size_t len = 0;

    oxv_door_text(answer, "challenge", text, sizeof text);
    if (!oxv_parse_base64(oxv_view_text(text), out, OXV_CHALLENGE_BYTES, &len) ||
        len != OXV_CHALLENGE_BYTES) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no good challenge");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_box_challenge(struct oxv_cli *cli, const struct oxv_vault_pub *pub,
                  uint8_t out[OXV_CHALLENGE_BYTES])
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    uint8_t vault_id[OXV_ID_BYTES];
    char text[64];
    enum oxv_exit code =
        oxv_door_call(cli, "POST", "/v1/admin/challenge", oxv_view_text("{}"), &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&answer), "vault_id", text, sizeof text);
    if (!oxv_parse_hex(oxv_view_text(text), vault_id, sizeof vault_id) ||
        memcmp(vault_id, pub->vault_id, sizeof vault_id) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s/vault.pub belongs to another vault than the service there: restart "
                            "the service",
                            cli->run);
    }
    return oxv_box_read_challenge(cli, oxv_buffer_view(&answer), out);
}

enum oxv_exit
oxv_box_write(const struct oxv_cli *cli, const struct oxv_vault_pub *pub,
              const uint8_t challenge[OXV_CHALLENGE_BYTES], const struct oxv_box_content *content,
              struct oxv_writer *json)
{
    static uint8_t sealed[OXV_BOX_MAX_BYTES]; /* ciphertext; the command is one thread */
    struct oxv_writer w = oxv_writer(sealed, sizeof sealed);
    const struct oxv_box head = {
        .purpose = content->purpose,
        .vault_id = oxv_view(pub->vault_id, sizeof pub->vault_id),
        .challenge = oxv_view(challenge, OXV_CHALLENGE_BYTES),
    };
    struct oxv_err err = { 0 };
    struct oxv_view box;

    if (oxv_box_seal(&w, pub->key, &head, content->shape, content->payload, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (oxv_writer_finish(&w, &box) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "this is too long for the service");
    }
    oxv_write_text(json, "\"box\":\"");
    oxv_write_base64(json, box);
    oxv_write_u8(json, '"');
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_box_post(struct oxv_cli *cli, const struct oxv_box_content *content, struct oxv_buffer *answer,
             struct oxv_client_error *error)
{
    static uint8_t body[BODY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(body, sizeof body);
    struct oxv_vault_pub pub;
    uint8_t challenge[OXV_CHALLENGE_BYTES];
    struct oxv_http_request request = { .method = "POST", .path = content->path };
    struct oxv_http_answer got = { .body = *answer };
    enum oxv_exit code = oxv_vault_pub_load(cli, &pub);

    *error = (struct oxv_client_error){ 0 };
    code = code == OXV_EXIT_DONE ? oxv_box_challenge(cli, &pub, challenge) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_write_u8(&w, '{');
    if (content->name != NULL) {
        oxv_write_text(&w, "\"name\":");
        oxv_write_json_string(&w, oxv_view_text(content->name));
        oxv_write_u8(&w, ',');
    }
    code = oxv_box_write(cli, &pub, challenge, content, &w);
    oxv_write_u8(&w, '}');
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_writer_finish(&w, &request.body) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "this is too long for the service");
    }
    (void)oxv_door_try(cli, OXV_CLI_ADMIN, &request, &got, error); /* its code is in *error */
    *answer = got.body;
    return OXV_EXIT_DONE;
}
