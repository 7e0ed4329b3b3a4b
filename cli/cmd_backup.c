/* backup: the service makes the file, piece by piece; the command only writes it down. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/new_file.h"
#include "cli/progress.h"
#include "vault/backup.h"

struct download {
    int fd;
    uint64_t bytes;
    uint64_t rows;
    uint64_t change;
    char next[OXV_DOOR_PATH_MAX_BYTES]; /* where the next piece is asked for */
    struct oxv_progress progress;
    uint8_t piece[OXV_BACKUP_PIECE_MAX_BYTES];
};

static enum oxv_exit
begin(struct oxv_cli *cli, struct download *d)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char session[64];
    enum oxv_exit code =
        oxv_door_call(cli, "POST", "/v1/admin/backups", oxv_view(NULL, 0), &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&answer), "session", session, sizeof session);
    d->rows = oxv_door_integer(oxv_buffer_view(&answer), "rows", 0);
    d->change = oxv_door_integer(oxv_buffer_view(&answer), "change", 0);
    oxv_progress_begin(&d->progress, "Backing up", d->rows);
    return oxv_door_make_path(cli, d->next, "/v1/admin/backups/", session, "/next");
}

static enum oxv_exit
take_piece(struct oxv_cli *cli, struct download *d, uint64_t number, bool *last)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    struct oxv_view data;
    struct oxv_view flag;
    size_t len = 0;
    enum oxv_exit code = oxv_door_call(cli, "POST", d->next, oxv_view(NULL, 0), &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    struct oxv_view object = oxv_buffer_view(&answer);

    /* base64 has no character that JSON escapes */
    if (!oxv_json_get(object, "data", &data) || data.len < 2 ||
        !oxv_parse_base64(oxv_view_slice(data, 1, data.len - 2), d->piece, sizeof d->piece, &len) ||
        !oxv_json_get(object, "last", &flag) || !oxv_json_boolean(flag, last) ||
        oxv_door_integer(object, "piece", UINT64_MAX) != number) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer is no piece of a backup");
    }
    if (oxv_write_all(d->fd, oxv_view(d->piece, len)) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot write the backup: %s", strerror(errno));
    }
    d->bytes += len;
    oxv_progress_show(&d->progress, oxv_door_integer(object, "rows", 0));
    return OXV_EXIT_DONE;
}

static enum oxv_exit
take_all(struct oxv_cli *cli, struct download *d)
{
    bool last = false;
    enum oxv_exit code = begin(cli, d);

    for (uint64_t number = 0; code == OXV_EXIT_DONE && !last; number++) {
        code = take_piece(cli, d, number, &last);
    }
    oxv_progress_end(&d->progress);
    return code;
}

static enum oxv_exit
check_line(const struct oxv_cli *cli, const char *file)
{
    if (file == NULL) {
        return oxv_cli_usage(cli, "-o FILE is needed: where the backup goes");
    }
    if (!oxv_cli_flag(cli, "force") && access(file, F_OK) == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s is there already: take another name, or --force", file);
    }
    return OXV_EXIT_DONE;
}

static void
print_result(const struct oxv_cli *cli, const char *file, const struct download *d)
{
    if (cli->json) {
        (void)printf("{\"bytes\":%llu,\"change\":%llu,\"rows\":%llu}\n",
                     (unsigned long long)d->bytes, (unsigned long long)d->change,
                     (unsigned long long)d->rows);
        return;
    }
    (void)printf("The backup is in %s: %llu records. Any seal that the vault has now opens it.\n"
                 "The access log is not in it: keep that, or its exports, by themselves.\n"
                 "To use it: oxvault restore FILE --dir NEW\n",
                 file, (unsigned long long)d->rows);
}

enum oxv_exit
oxv_cmd_backup(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    const char *name = oxv_cli_option(cli, "output");
    struct download d = { 0 };
    struct oxv_err err = { 0 };
    enum oxv_exit code = check_line(cli, name);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_new_file_open(name, &file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    d.fd = file.fd;
    code = take_all(cli, &d);
    code = code == OXV_EXIT_DONE ? check_line(cli, name) : code; /* it may have come meanwhile */
    if (code == OXV_EXIT_DONE && oxv_new_file_commit(&file, &err) != OXV_OK) {
        code = oxv_cli_err(cli, &err);
    }
    if (code == OXV_EXIT_DONE) {
        print_result(cli, name, &d);
    }
    return code;
}
