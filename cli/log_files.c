#include "cli/log_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define FILE_MAX_BYTES OXV_PROOF_FILE_MAX_BYTES

void
oxv_log_file_done(struct oxv_log_file *file)
{
    free(file->data);
    *file = (struct oxv_log_file){ 0 };
}

struct oxv_view
oxv_log_file_view(const struct oxv_log_file *file)
{
    return oxv_view(file->data, file->len);
}

static enum oxv_status
read_fd(int fd, struct oxv_log_file *out)
{
    uint8_t *data = malloc(FILE_MAX_BYTES);
    size_t len = 0;

    if (data == NULL) {
        return OXV_E_MEMORY;
    }
    enum oxv_status st = oxv_read_to_end(fd, data, FILE_MAX_BYTES, &len);

    if (st != OXV_OK) {
        free(data);
        return st;
    }
    *out = (struct oxv_log_file){ .data = data, .len = len };
    return OXV_OK;
}

enum oxv_exit
oxv_log_file_read(const struct oxv_cli *cli, const char *path, struct oxv_log_file *out)
{
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_closep)
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open %s", path);
        return oxv_cli_err(cli, &err);
    }
    enum oxv_status st = read_fd(fd, out);

    if (st == OXV_E_LIMIT) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is too long to be a key, checkpoint or proof",
                            path);
    }
    if (st != OXV_OK) {
        (void)oxv_fail_errno(&err, "cannot read %s", path);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_log_file_key(const struct oxv_cli *cli, const char *path, struct oxv_vkey *out)
{
    OXV_AUTO(oxv_log_file_done) struct oxv_log_file file = { 0 };
    enum oxv_exit code = oxv_log_file_read(cli, path, &file);
    struct oxv_view text = oxv_log_file_view(&file);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r')) {
        text.len--;
    }
    if (oxv_vkey_parse(text, out, NULL) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is no key of a log (name+id+key, Ed25519)",
                            path);
    }
    return OXV_EXIT_DONE;
}
