#include "cli/material.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/prompt.h"
#include "cli/token_uri.h"

const struct oxv_passphrase_source oxv_vault_passphrase = { "passphrase-file", "passphrase-fd",
                                                            "Passphrase of the vault: ", false };

#define FD_MAX 65535u

/* No core file, and no other process of this user looks in. */
static bool
hide_process(void)
{
#ifdef OXV_SANITIZED
    return true; /* the leak checker looks in */
#else
    const struct rlimit none = { 0 };

    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
}

enum oxv_exit
oxv_material_setup(const struct oxv_cli *cli)
{
    struct oxv_err err = { 0 };
    bool unlocked = oxv_cli_flag(cli, "allow-unlocked-memory");

    if (!hide_process()) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "this process cannot be closed to others: %s",
                            strerror(errno));
    }
    if (oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, unlocked, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_material_open_fd(const struct oxv_cli *cli, const char *text, int *out)
{
    uint64_t number;

    if (!oxv_parse_decimal(oxv_view_text(text), FD_MAX, &number)) {
        return oxv_cli_usage(cli, "this is no descriptor number: %s", text);
    }
    int fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);

    if (fd < 0) {
        return oxv_cli_usage(cli, "descriptor %s is not open: %s", text, strerror(errno));
    }
    *out = fd;
    return OXV_EXIT_DONE;
}

/* Says what is wrong without a word of the secret. */
static enum oxv_exit
read_fd(const struct oxv_cli *cli, int fd, const char *from, const struct oxv_material_kind *kind,
        struct oxv_secret **out)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *secret = NULL;
    struct oxv_err err = { 0 };

    if (oxv_read_secret_fd(fd, kind->max, true, &secret, &err) != OXV_OK) {
        oxv_err_prefix(&err, "%s from %s", kind->name, from);
        return oxv_cli_err(cli, &err);
    }
    struct oxv_view bytes = oxv_secret_view(secret);

    if (kind->has_no_nul && oxv_view_find(bytes, 0) < bytes.len) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s from %s: there is a NUL in it", kind->name,
                            from);
    }
    *out = oxv_secret_take(&secret);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_material_given(const struct oxv_cli *cli, const char *file_option, const char *fd_option,
                   const struct oxv_material_kind *kind, struct oxv_secret **out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    const char *path = oxv_cli_option(cli, file_option);
    const char *number = oxv_cli_option(cli, fd_option);
    struct oxv_err err = { 0 };

    *out = NULL;
    if (path != NULL && number != NULL) {
        return oxv_cli_usage(cli, "--%s and --%s exclude each other", file_option, fd_option);
    }
    if (path != NULL) {
        return oxv_open_secret_file(path, &fd, &err) == OXV_OK ? read_fd(cli, fd, path, kind, out)
                                                               : oxv_cli_err(cli, &err);
    }
    if (number == NULL) {
        return OXV_EXIT_DONE;
    }
    enum oxv_exit code = oxv_material_open_fd(cli, number, &fd);

    return code == OXV_EXIT_DONE ? read_fd(cli, fd, "the descriptor", kind, out) : code;
}

static enum oxv_exit
from_stdin(const struct oxv_cli *cli, const struct oxv_passphrase_source *source,
           struct oxv_secret **out)
{
    struct oxv_err err = { 0 };

    if (oxv_prompt_read_line(STDIN_FILENO, OXV_PASSPHRASE_MAX_BYTES, out, &err) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_USAGE,
                            "a passphrase is needed, and there is no terminal to ask at nor a line "
                            "on standard input: use --%s FILE",
                            source->file_option);
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
from_terminal(const struct oxv_cli *cli, const struct oxv_passphrase_source *source,
              struct oxv_secret **out)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *first = NULL;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *second = NULL;
    struct oxv_err err = { 0 };

    if (oxv_prompt_secret(source->question, OXV_PASSPHRASE_MAX_BYTES, &first, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (source->twice) {
        if (oxv_prompt_secret("The same again: ", OXV_PASSPHRASE_MAX_BYTES, &second, &err) !=
            OXV_OK) {
            return oxv_cli_err(cli, &err);
        }
        if (!oxv_secret_equals(first, oxv_secret_view(second))) {
            return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the two passphrases are not the same");
        }
    }
    *out = oxv_secret_take(&first);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_material_passphrase(const struct oxv_cli *cli, const struct oxv_passphrase_source *source,
                        struct oxv_secret **out)
{
    static const struct oxv_material_kind kind = { "passphrase", OXV_PASSPHRASE_MAX_BYTES, false };
    enum oxv_exit code =
        oxv_material_given(cli, source->file_option, source->fd_option, &kind, out);

    if (code != OXV_EXIT_DONE || *out != NULL) {
        return code;
    }
    return oxv_prompt_possible() ? from_terminal(cli, source, out) : from_stdin(cli, source, out);
}

enum oxv_exit
oxv_material_pipe(const struct oxv_cli *cli, const struct oxv_secret *secret, int *out)
{
    int ends[2];
    struct oxv_err err = { 0 };

    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)oxv_fail_errno(&err, "cannot make a pipe");
        return oxv_cli_err(cli, &err);
    }
    enum oxv_status st = oxv_write_all(ends[1], oxv_secret_view(secret));

    oxv_closep(&ends[1]);
    if (st != OXV_OK) {
        oxv_closep(&ends[0]);
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot pass the secret on");
    }
    *out = ends[0];
    return OXV_EXIT_DONE;
}

static enum oxv_exit
create_keyfile(const struct oxv_cli *cli, const char *path, bool *created)
{
    OXV_AUTO(oxv_closep)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint8_t bytes[OXV_KEYFILE_BYTES];
    struct oxv_err err = { 0 };

    if (fd < 0 && errno == EEXIST) {
        return OXV_EXIT_DONE; /* it is used as it is */
    }
    if (fd < 0) {
        (void)oxv_fail_errno(&err, "cannot make the key file %s", path);
        return oxv_cli_err(cli, &err);
    }
    randombytes_buf(bytes, sizeof bytes);
    bool good = fchmod(fd, 0600) == 0 &&
                oxv_write_all(fd, oxv_view(bytes, sizeof bytes)) == OXV_OK && fsync(fd) == 0 &&
                oxv_sync_parent(path, NULL) == OXV_OK;

    oxv_wipe(bytes, sizeof bytes);
    if (!good) {
        (void)oxv_fail_errno(&err, "cannot write the key file %s", path);
        (void)unlink(path); /* the error stands */
        return oxv_cli_err(cli, &err);
    }
    *created = true;
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_material_open_keyfile(const struct oxv_cli *cli, const char *path, bool create, bool *created,
                          int *out_fd)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    struct oxv_err err = { 0 };
    struct stat st;
    enum oxv_exit code = create ? create_keyfile(cli, path, created) : OXV_EXIT_DONE;

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_open_secret_file(path, &fd, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (fstat(fd, &st) != 0 || st.st_size != OXV_KEYFILE_BYTES) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is no key file: one has exactly %u bytes",
                            path, OXV_KEYFILE_BYTES);
    }
    *out_fd = oxv_fd_take(&fd);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_material_keyfile(const struct oxv_cli *cli, const char *path, bool create,
                     struct oxv_secret **out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *bytes = NULL;
    struct oxv_err err = { 0 };
    bool created = false;
    enum oxv_exit code = oxv_material_open_keyfile(cli, path, create, &created, &fd);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_read_secret_fd(fd, OXV_KEYFILE_BYTES, false, &bytes, &err) != OXV_OK) {
        oxv_err_prefix(&err, "%s", path);
        return oxv_cli_err(cli, &err);
    }
    if (oxv_secret_len(bytes) != OXV_KEYFILE_BYTES) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is no key file: one has exactly %u bytes",
                            path, OXV_KEYFILE_BYTES);
    }
    *out = oxv_secret_take(&bytes);
    return OXV_EXIT_DONE;
}

void
oxv_seal_info_label(struct oxv_view object, char *out, size_t out_size)
{
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];

    oxv_door_text(object, "token_uri", uri, sizeof uri);
    oxv_token_uri_label(oxv_view_text(uri), out, out_size);
}

bool
oxv_seal_info_read(struct oxv_view object, struct oxv_seal_info *out)
{
    char kind[32];
    char salt[64];
    size_t salt_len = 0;

    *out = (struct oxv_seal_info){ .id = oxv_door_integer(object, "id", 0) };
    oxv_door_text(object, "kind", kind, sizeof kind);
    if (out->id == 0) {
        return false;
    }
    if (strcmp(kind, "keyfile") == 0) {
        out->record.kind = OXV_SEAL_KEYFILE;
        return true;
    }
    if (strcmp(kind, "token") == 0) {
        out->record.kind = OXV_SEAL_TOKEN;
        return true;
    }
    oxv_door_text(object, "kdf_salt", salt, sizeof salt);
    if (strcmp(kind, "passphrase") != 0 ||
        !oxv_parse_base64(oxv_view_text(salt), out->salt, sizeof out->salt, &salt_len) ||
        salt_len != sizeof out->salt) {
        return false;
    }
    out->record.kind = OXV_SEAL_PASSPHRASE;
    out->record.kdf_ops = oxv_door_integer(object, "kdf_ops", 0);
    out->record.kdf_memory_bytes = oxv_door_integer(object, "kdf_memory_bytes", 0);
    out->record.kdf_salt = oxv_view(out->salt, sizeof out->salt);
    return true;
}

bool
oxv_seal_info_next(struct oxv_view answer, size_t *at, struct oxv_seal_info *out)
{
    struct oxv_view list;
    struct oxv_view name;
    struct oxv_view item;

    if (!oxv_json_get(answer, "seals", &list)) {
        return false;
    }
    struct oxv_json_items items = oxv_json_items(list);

    for (size_t i = 0; oxv_json_next(&items, &name, &item); i++) {
        if (i >= *at && oxv_seal_info_read(item, out)) {
            *at = i + 1;
            return true;
        }
    }
    return false;
}

size_t
oxv_seal_info_count(struct oxv_view answer, enum oxv_seal_kind kind)
{
    struct oxv_seal_info info;
    size_t count = 0;
    size_t at = 0;

    while (oxv_seal_info_next(answer, &at, &info)) {
        count += info.record.kind == kind ? 1 : 0;
    }
    return count;
}

bool
oxv_seal_info_has(struct oxv_view answer, enum oxv_seal_kind kind, uint64_t id)
{
    struct oxv_seal_info info;
    size_t at = 0;

    while (oxv_seal_info_next(answer, &at, &info)) {
        if (info.record.kind == kind && (id == 0 || info.id == id)) {
            return true;
        }
    }
    return false;
}
