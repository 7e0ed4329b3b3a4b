/* What people are told of a token in trouble. */
#include <string.h>

#include "base/text.h"
#include "service/keeper/tokens.h"

enum oxv_status
oxv_token_status(uint64_t trouble)
{
    switch (trouble) {
    case OXV_TOKEN_PIN:
    case OXV_TOKEN_NEEDS_PIN:
        return OXV_E_LOCKED;
    case OXV_TOKEN_UNFIT:
    case OXV_TOKEN_REFUSED:
        return OXV_E_USAGE;
    case OXV_TOKEN_DATA:
        return OXV_E_FORGED;
    case OXV_TOKEN_NO_KEY:
        return OXV_E_NOT_FOUND;
    case OXV_TOKEN_AMBIGUOUS:
        return OXV_E_CONFLICT;
    case OXV_TOKEN_BUSY:
        return OXV_E_BUSY;
    default:
        return OXV_E_TOKEN;
    }
}

/* What happened, where the helper did not say it. */
static const char *
trouble_text(uint64_t trouble)
{
    static const char *const texts[OXV_TOKEN_TROUBLE_END] = {
        [OXV_TOKEN_FINE] = "it works",
        [OXV_TOKEN_ABSENT] = "it does not answer",
        [OXV_TOKEN_STALE] = "it has lost its keys",
        [OXV_TOKEN_PIN] = "it refused the PIN",
        [OXV_TOKEN_NEEDS_PIN] = "the service has no PIN for it",
        [OXV_TOKEN_UNFIT] = "it cannot do this",
        [OXV_TOKEN_DATA] = "a key is not what it was",
        [OXV_TOKEN_NO_KEY] = "it does not have the key",
        [OXV_TOKEN_AMBIGUOUS] = "the URI or the key fits several",
        [OXV_TOKEN_REFUSED] = "the module or the request breaks a rule",
        [OXV_TOKEN_BUSY] = "too much is under way",
    };

    return trouble < OXV_TOKEN_TROUBLE_END ? texts[trouble] : "it does not work";
}

/* What to do about it. */
static const char *
advice(const struct oxv_helper *h, uint64_t trouble)
{
    bool is_named = h->row_id != 0 || h->seal_id != 0;

    if (!is_named && (trouble == OXV_TOKEN_PIN || trouble == OXV_TOKEN_NEEDS_PIN)) {
        return "; give its PIN with the command: --pin-file FILE, or type it";
    }
    if (h->was_sealed && (trouble == OXV_TOKEN_PIN || trouble == OXV_TOKEN_NEEDS_PIN)) {
        return "; type it at `oxvault unseal`, with oxvaultd started without --pin-file";
    }
    switch (trouble) {
    case OXV_TOKEN_ABSENT:
        return "; connect it or start its service: it is tried again by itself";
    case OXV_TOKEN_PIN:
        return "; it is not tried again: run `oxvault token login` with the right one";
    case OXV_TOKEN_NEEDS_PIN:
        return "; run `oxvault token login`, or start oxvaultd with --pin-file";
    case OXV_TOKEN_DATA:
    case OXV_TOKEN_NO_KEY:
        return "; see docs/tokens.md, or import the connection again";
    case OXV_TOKEN_AMBIGUOUS: /* of the tokens; else of the keys in it */
        return h->is_opened ? "" : "; name it by all attributes of its URI";
    case OXV_TOKEN_BUSY:
        return "; try again";
    default:
        return "";
    }
}

/* A token that was not seen since the start has told no label: its URI ends in it. */
static const char *
name_of(const struct oxv_helper *h)
{
    const char *label = strstr(h->uri, "token=");

    if (h->label[0] != '\0') {
        return h->label;
    }
    return label == NULL ? h->uri : label + strlen("token=");
}

enum oxv_status
oxv_token_fail(const struct oxv_helper *h, uint64_t trouble, struct oxv_view text,
               struct oxv_err *err)
{
    char said[OXV_HELPER_TEXT_BYTES];
    struct oxv_view cut = oxv_view_slice(text, 0, sizeof said - 1);
    const char *name = name_of(h);

    cut = oxv_view_slice(cut, 0, oxv_utf8_prefix_len(cut));
    if (h->phase == OXV_HELPER_READY && text.len == 0 && trouble == OXV_TOKEN_PIN) {
        return oxv_fail(err, OXV_E_LOCKED, "token %.64s: that is not the PIN it is logged in with",
                        name);
    }
    if (h->phase == OXV_HELPER_READY && text.len == 0 && trouble == OXV_TOKEN_NEEDS_PIN) {
        return oxv_fail(err, OXV_E_LOCKED, "token %.64s: its PIN is asked for again: give it",
                        name);
    }
    if (cut.len == 0 || oxv_text_copy(cut, said, sizeof said) != OXV_OK) {
        return oxv_fail(err, oxv_token_status(trouble), "token %.64s: %s%s", name,
                        trouble_text(trouble), advice(h, trouble));
    }
    return oxv_fail(err, oxv_token_status(trouble), "token %.64s: %s%s", name, said,
                    advice(h, trouble));
}

enum oxv_status
oxv_token_fail_now(const struct oxv_helper *h, struct oxv_err *err)
{
    return oxv_token_fail(h, h->trouble != OXV_TOKEN_FINE ? h->trouble : (uint64_t)OXV_TOKEN_ABSENT,
                          oxv_view_text(h->text), err);
}
