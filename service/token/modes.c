#include "service/token/modes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/token_names.h"
#include "pkcs11/list.h"
#include "pkcs11/probe.h"
#include "service/wire/doc.h"

#define JSON_MAX_BYTES 262144u

/* Exit codes of design 10. */
enum { EXIT_USAGE = 2, EXIT_PIN = 4, EXIT_NO_SUCH = 5, EXIT_TOKEN = 7 };

struct arguments {
    bool is_probe;
    const char *module;
    const char *uri;
    uint64_t pin_fd; /* 0: none */
};

static int
usage(void)
{
    (void)fputs("usage: oxvault-token --list --module M\n"
                "       oxvault-token --probe --module M --uri U [--pin-fd N]\n"
                "(without arguments it is started by oxvaultd, see oxvaultd(8))\n",
                stderr);
    return EXIT_USAGE;
}

static bool
take_option(struct arguments *a, const char *name, const char *value)
{
    if (strcmp(name, "--module") == 0 && a->module == NULL) {
        a->module = value;
        return true;
    }
    if (strcmp(name, "--uri") == 0 && a->uri == NULL && a->is_probe) {
        a->uri = value;
        return true;
    }
    return strcmp(name, "--pin-fd") == 0 && a->pin_fd == 0 && a->is_probe &&
           oxv_parse_decimal(oxv_view_text(value), INT32_MAX, &a->pin_fd) && a->pin_fd > 2;
}

static bool
parse(int argc, char **argv, struct arguments *a)
{
    a->is_probe = strcmp(argv[1], "--probe") == 0;
    if (!a->is_probe && strcmp(argv[1], "--list") != 0) {
        return false;
    }
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc || !take_option(a, argv[i], argv[i + 1])) {
            return false;
        }
    }
    return a->module != NULL && a->is_probe == (a->uri != NULL);
}

static int
complain(const struct oxv_p11_fault *fault)
{
    (void)fprintf(stderr, "oxvault-token: %s\n", fault->text);
    switch (fault->trouble) {
    case OXV_TOKEN_PIN:
    case OXV_TOKEN_NEEDS_PIN:
        return EXIT_PIN;
    case OXV_TOKEN_REFUSED:
    case OXV_TOKEN_AMBIGUOUS:
        return EXIT_USAGE;
    case OXV_TOKEN_NO_KEY:
        return EXIT_NO_SUCH;
    case OXV_TOKEN_ABSENT:
        return EXIT_TOKEN;
    case OXV_TOKEN_FINE:
    case OXV_TOKEN_STALE:
    case OXV_TOKEN_UNFIT:
    case OXV_TOKEN_DATA:
    case OXV_TOKEN_BUSY:
    case OXV_TOKEN_TROUBLE_END:
        break;
    }
    return EXIT_FAILURE;
}

static int
print(const struct oxv_writer *doc)
{
    static uint8_t text[JSON_MAX_BYTES];
    struct oxv_writer json = oxv_writer(text, sizeof text);

    if (doc->failed || oxv_doc_to_json(oxv_view(doc->data, doc->len), &json) != OXV_OK) {
        (void)fputs("oxvault-token: there is more to tell than fits\n", stderr);
        return EXIT_FAILURE;
    }
    oxv_write_u8(&json, '\n');
    return !json.failed && fwrite(text, 1, json.len, stdout) == json.len ? 0 : EXIT_FAILURE;
}

static const char *
pin_word(enum oxv_p11_pin_state state)
{
    static const char *const words[] = { "ok", "count low", "final try", "locked" };

    return words[state];
}

static void
write_token(void *ctx, const struct oxv_p11_listed *token)
{
    struct oxv_writer *doc = ctx;
    const char *flag;

    oxv_doc_object(doc, NULL);
    oxv_doc_cstring(doc, "uri", token->uri);
    oxv_doc_cstring(doc, "label", token->label);
    oxv_doc_cstring(doc, "manufacturer", token->manufacturer);
    oxv_doc_cstring(doc, "model", token->model);
    oxv_doc_cstring(doc, "serial", token->serial);
    oxv_doc_list(doc, "flags");
    for (size_t i = 0; (flag = oxv_p11_flag_name(token->flags, i)) != NULL; i++) {
        oxv_doc_cstring(doc, NULL, flag);
    }
    oxv_doc_end(doc);
    oxv_doc_integer(doc, "mechanisms", token->mechanisms);
    oxv_doc_cstring(doc, "pin", pin_word(token->pin_state));
    oxv_doc_bool(doc, "pin_pad", token->has_pin_pad);
    oxv_doc_end(doc);
}

/* A module may lie below the home of whoever asks. */
static uint64_t
owner(void)
{
    return (uint64_t)geteuid() + 1;
}

static int
list(const struct arguments *a, struct oxv_writer *doc)
{
    struct oxv_p11_fault fault;

    oxv_doc_object(doc, NULL);
    oxv_doc_cstring(doc, "module", a->module);
    oxv_doc_list(doc, "tokens");
    if (oxv_p11_list(oxv_view_text(a->module), owner(), write_token, doc, &fault) !=
        OXV_TOKEN_FINE) {
        return complain(&fault);
    }
    oxv_doc_end(doc);
    oxv_doc_end(doc);
    return print(doc);
}

static void
write_finding(struct oxv_writer *doc, const struct oxv_p11_finding *f)
{
    char name[OXV_CKR_NAME_MAX_BYTES];

    oxv_doc_bool(doc, "works", f->works);
    if (!f->works) {
        oxv_doc_cstring(doc, "reason", f->reason);
    }
    if (f->ckr != CKR_OK) {
        oxv_doc_cstring(doc, "ckr", oxv_ckr_name(f->ckr, name));
    }
}

static void
write_seals(struct oxv_writer *doc, const struct oxv_p11_probe *probe)
{
    oxv_doc_list(doc, "seal");
    for (uint64_t m = 1; m < OXV_TOKEN_MECHANISM_END; m++) {
        oxv_doc_object(doc, NULL);
        oxv_doc_integer(doc, "step", m);
        oxv_doc_cstring(doc, "mechanism", oxv_token_mechanism_name(m));
        write_finding(doc, &probe->seal[m]);
        oxv_doc_end(doc);
    }
    oxv_doc_end(doc);
}

static void
write_signs(struct oxv_writer *doc, const struct oxv_p11_probe *probe)
{
    static const char *const grades[] = { "none", "leaky", "good" };

    oxv_doc_object(doc, "sign");
    oxv_doc_cstring(doc, "grade", grades[probe->grade]);
    oxv_doc_list(doc, "forms");
    for (uint64_t form = OXV_KEY_UNWRAP; form < OXV_KEY_FORM_END; form++) {
        oxv_doc_object(doc, NULL);
        oxv_doc_cstring(doc, "form", oxv_key_form_name(form));
        if (form == OXV_KEY_UNWRAP && probe->forms[form].works) {
            oxv_doc_cstring(doc, "oaep", oxv_token_oaep_name(probe->oaep));
        }
        write_finding(doc, &probe->forms[form]);
        oxv_doc_end(doc);
    }
    oxv_doc_end(doc);
    oxv_doc_list(doc, "hashes");
    for (uint64_t hash = OXV_TOKEN_SHA256; hash <= OXV_TOKEN_SHA1; hash++) {
        if (probe->hashes[hash]) {
            oxv_doc_cstring(doc, NULL, oxv_token_hash_name(hash));
        }
    }
    oxv_doc_end(doc);
    oxv_doc_integer(doc, "message_max_bytes", probe->message_max_bytes);
    oxv_doc_end(doc);
}

static void
write_probe(struct oxv_writer *doc, const struct oxv_p11_status *status,
            const struct oxv_p11_probe *probe)
{
    oxv_doc_object(doc, NULL);
    oxv_doc_object(doc, "token");
    oxv_doc_cstring(doc, "uri", status->uri);
    oxv_doc_cstring(doc, "label", status->label);
    oxv_doc_cstring(doc, "pin", pin_word(status->pin_state));
    oxv_doc_bool(doc, "pin_pad", status->has_pin_pad);
    oxv_doc_integer(doc, "sessions", status->workers);
    oxv_doc_end(doc);
    write_seals(doc, probe);
    write_signs(doc, probe);
    oxv_doc_list(doc, "notes");
    for (size_t i = 0; i < probe->note_count; i++) {
        oxv_doc_cstring(doc, NULL, probe->notes[i]);
    }
    oxv_doc_end(doc);
    oxv_doc_end(doc);
}

/* One C_Login at most, and only with what was given. */
static enum oxv_token_trouble
open_and_login(const struct arguments *a, struct oxv_p11_token **out, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    OXV_AUTO(oxv_p11_token_freep) struct oxv_p11_token *token = NULL;
    struct oxv_p11_open wanted = { .module = oxv_view_text(a->module),
                                   .uri = oxv_view_text(a->uri),
                                   .owner_uid_plus1 = owner() };
    struct oxv_err err = { 0 };

    if (a->pin_fd != 0 &&
        oxv_read_secret_fd((int)a->pin_fd, OXV_TOKEN_PIN_MAX_BYTES, true, &pin, &err) != OXV_OK) {
        return oxv_p11_fault(fault, OXV_TOKEN_NEEDS_PIN, CKR_OK, "PIN: %s", err.text);
    }
    enum oxv_token_trouble t = oxv_p11_token_new(&wanted, &token, fault);

    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_token_open(token, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        struct oxv_p11_login login = { .pin = pin };

        t = oxv_p11_token_login(token, &login, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        *out = oxv_p11_token_take(&token);
    }
    return t;
}

static int
probe(const struct arguments *a, struct oxv_writer *doc)
{
    OXV_AUTO(oxv_p11_token_freep) struct oxv_p11_token *token = NULL;
    struct oxv_p11_status status;
    struct oxv_p11_probe found;
    struct oxv_p11_fault fault;

    if (open_and_login(a, &token, &fault) != OXV_TOKEN_FINE ||
        oxv_p11_probe(token, &found, &fault) != OXV_TOKEN_FINE) {
        return complain(&fault);
    }
    oxv_p11_token_status(token, &status);
    write_probe(doc, &status, &found);
    return print(doc);
}

int
oxv_helper_mode(int argc, char **argv)
{
    static uint8_t bytes[JSON_MAX_BYTES];
    struct oxv_writer doc = oxv_writer(bytes, sizeof bytes);
    struct arguments a = { 0 };

    if (argc < 2 || !parse(argc, argv, &a)) {
        return usage();
    }
    return a.is_probe ? probe(&a, &doc) : list(&a, &doc);
}
