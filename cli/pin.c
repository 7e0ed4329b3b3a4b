#include "cli/pin.h"

#include "base/token_terms.h"
#include "cli/command.h"
#include "cli/material.h"
#include "cli/prompt.h"

const struct oxv_pin_source oxv_pin_options = { "pin-file", "pin-fd",
                                                "PIN of the token (empty: it has a PIN pad, or the "
                                                "service has the PIN): " };
const struct oxv_pin_source oxv_pin_options_quiet = { "pin-file", "pin-fd", NULL };

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
    static const struct oxv_material_kind kind = { "PIN", OXV_TOKEN_PIN_MAX_BYTES, true };
    enum oxv_exit code =
        oxv_material_given(cli, source->file_option, source->fd_option, &kind, out);

    if (code != OXV_EXIT_DONE || *out != NULL) {
        return code;
    }
    if (source->question != NULL && oxv_prompt_possible()) {
        return from_terminal(cli, source->question, out);
    }
    *out = oxv_secret_new(0);
    return *out != NULL ? OXV_EXIT_DONE
                        : oxv_cli_fail(cli, OXV_EXIT_FAILED, "no locked memory left for a PIN");
}
