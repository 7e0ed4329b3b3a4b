#include "cli/pin.h"

#include <string.h>

#include "base/io.h"
#include "base/token_terms.h"
#include "cli/command.h"
#include "cli/material.h"
#include "cli/prompt.h"

const struct oxv_pin_source oxv_pin_options = { "pin-file", "pin-fd",
                                                "PIN of the token (empty: it has a PIN pad, or the "
                                                "service has the PIN): " };
const struct oxv_pin_source oxv_pin_options_quiet = { "pin-file", "pin-fd", NULL };

/* Says what is wrong without a word of the PIN. */
static enum oxv_exit
read_fd(const struct oxv_cli *cli, int fd, const char *from, struct oxv_secret **out)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    struct oxv_err err = { 0 };

    if (oxv_read_secret_fd(fd, OXV_TOKEN_PIN_MAX_BYTES, true, &pin, &err) != OXV_OK) {
        oxv_err_prefix(&err, "PIN from %s", from);
        return oxv_cli_err(cli, &err);
    }
    struct oxv_view bytes = oxv_secret_view(pin);

    if (oxv_view_find(bytes, 0) < bytes.len) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "PIN from %s: there is a NUL in it", from);
    }
    *out = oxv_secret_take(&pin);
    return OXV_EXIT_DONE;
}

static enum oxv_exit
from_file(const struct oxv_cli *cli, const char *path, struct oxv_secret **out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    struct oxv_err err = { 0 };

    if (oxv_open_secret_file(path, &fd, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    return read_fd(cli, fd, path, out);
}

static enum oxv_exit
from_fd(const struct oxv_cli *cli, const char *number, struct oxv_secret **out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    enum oxv_exit code = oxv_material_open_fd(cli, number, &fd);

    return code == OXV_EXIT_DONE ? read_fd(cli, fd, "the descriptor", out) : code;
}

static enum oxv_exit
from_terminal(const struct oxv_cli *cli, const char *question, struct oxv_secret **out)
{
    struct oxv_err err = { 0 };

    return oxv_prompt_optional(question, OXV_TOKEN_PIN_MAX_BYTES, out, &err) == OXV_OK
               ? OXV_EXIT_DONE
               : oxv_cli_err(cli, &err);
}

bool
oxv_pin_is_given(const struct oxv_cli *cli, const struct oxv_pin_source *source)
{
    return oxv_cli_flag(cli, source->file_option) || oxv_cli_flag(cli, source->fd_option);
}

enum oxv_exit
oxv_pin_read(const struct oxv_cli *cli, const struct oxv_pin_source *source,
             struct oxv_secret **out)
{
    const char *file = oxv_cli_option(cli, source->file_option);
    const char *fd = oxv_cli_option(cli, source->fd_option);

    if (file != NULL && fd != NULL) {
        return oxv_cli_usage(cli, "--%s and --%s exclude each other", source->file_option,
                             source->fd_option);
    }
    if (file != NULL) {
        return from_file(cli, file, out);
    }
    if (fd != NULL) {
        return from_fd(cli, fd, out);
    }
    if (source->question != NULL && oxv_prompt_possible()) {
        return from_terminal(cli, source->question, out);
    }
    *out = oxv_secret_new(0);
    return *out != NULL ? OXV_EXIT_DONE
                        : oxv_cli_fail(cli, OXV_EXIT_FAILED, "no locked memory left for a PIN");
}
