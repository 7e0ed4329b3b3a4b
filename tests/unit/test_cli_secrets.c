/* Secrets on their way in: the secrets file, their shape, import lines, RSA keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "cli/import_line.h"
#include "cli/rsa_pem.h"
#include "cli/secret_lines.h"
#include "cli/secrets.h"
#include "vault/k0.h"
#include "vault/rsa_key.h"

#define HEX64 "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5"
#define GOOD_LINE                                                                                  \
    "{\"name\":\"acme\",\"system\":\"netsuite\",\"account_id\":\"1234567-sb1\","                   \
    "\"consumer_key\":\"ck\",\"token_id\":\"ti\",\"role_id\":\"3\",\"origins\":[\"HTTPS://"        \
    "Other.Example:443/\"],\"consumer_secret\":\"" HEX64 "\",\"token_secret\":\"" HEX64 "\"}"

static int
set_up_memory(void **state)
{
    struct oxv_err err;

    (void)state;
    return oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, &err) == OXV_OK ? 0 : -1;
}

static void
reads_a_secrets_file(void **state)
{
    OXV_AUTO(oxv_secrets_done) struct oxv_secrets s = { 0 };
    struct oxv_err err;

    (void)state;
    assert_int_equal(oxv_secrets_parse(oxv_view_text("{\"token_secret\":\"t\\u00e9\\\"\",\n "
                                                     "\"consumer_secret\":\"c\"}\n"),
                                       &s, &err),
                     OXV_OK);
    assert_true(oxv_view_is(oxv_secret_view(s.consumer), "c"));
    assert_true(oxv_view_is(oxv_secret_view(s.token), "t\xc3\xa9\""));
}

static void
takes_a_connection_without_a_token(void **state)
{
    OXV_AUTO(oxv_secrets_done) struct oxv_secrets s = { 0 };
    struct oxv_err err;

    (void)state;
    assert_int_equal(oxv_secrets_parse(oxv_view_text("{\"consumer_secret\":\"c\"}"), &s, &err),
                     OXV_OK);
    assert_int_equal(oxv_secret_len(s.token), 0);
}

static void
refuses_other_secrets_files_without_repeating_them(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        { "", "not good JSON: cut off at byte 0" },
        { "[]", "no JSON object" },
        { "{}", "consumer_secret is missing" },
        { "{\"token_secret\":\"hunter2\"}", "consumer_secret is missing" },
        { "{\"consumer_secret\":7}", "a secret that is no string" },
        { "{\"consumer_secret\":[\"hunter2\"]}", "a secret that is no string" },
        { "{\"consumer_secret\":\"a\",\"hunter2\":\"b\"}",
          "a member that is neither consumer_secret nor token_secret" },
        { "{\"consumer_secret\":\"a\",\"consumer_secret\":\"b\"}",
          "not good JSON: a name that is there twice at byte 23" },
        { "{\"consumer_secret\":\"hunter2\"} hunter2",
          "not good JSON: bytes after the value at byte 30" },
        { "{\"consumer_secret\":\"hunter2\n\"}", "not good JSON: a control character at byte 27" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oxv_secrets s = { 0 };
        struct oxv_err err = { 0 };

        assert_int_equal(oxv_secrets_parse(oxv_view_text(cases[i].text), &s, &err), OXV_E_FORMAT);
        assert_string_equal(err.text, cases[i].reason);
        assert_null(s.consumer);
        assert_null(s.token);
    }
}

static void
refuses_every_truncation_of_a_secrets_file(void **state)
{
    static const char whole[] = "{\"consumer_secret\":\"abc\",\"token_secret\":\"def\"}";

    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct oxv_secrets s = { 0 };
        struct oxv_err err;

        assert_int_equal(oxv_secrets_parse(oxv_view(whole, n), &s, &err), OXV_E_FORMAT);
        assert_null(s.consumer);
    }
}

static void
refuses_a_secret_that_is_too_long(void **state)
{
    char text[OXV_SECRET_TEXT_MAX_BYTES + 64];
    struct oxv_secrets s = { 0 };
    struct oxv_err err;

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct oxv_writer w = oxv_writer(text, sizeof text);

        oxv_write_text(&w, "{\"consumer_secret\":\"");
        memset(oxv_write_reserve(&w, OXV_SECRET_TEXT_MAX_BYTES + extra), 'a',
               OXV_SECRET_TEXT_MAX_BYTES + extra);
        oxv_write_text(&w, "\"}");
        assert_int_equal(oxv_secrets_parse(oxv_view(w.data, w.len), &s, &err),
                         extra == 0 ? OXV_OK : OXV_E_LIMIT);
        oxv_secrets_done(&s);
    }
}

static enum oxv_secret_oddity
look(const char *text, bool netsuite)
{
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *s = oxv_secret_copy(oxv_view_text(text));
    const struct oxv_secrets_context context = { .consumer_key = oxv_view_text("the key"),
                                                 .token_id = oxv_view_text("the id"),
                                                 .netsuite = netsuite };

    assert_non_null(s);
    return oxv_secret_look(s, &context);
}

static void
tells_what_is_odd_about_a_secret(void **state)
{
    (void)state;
    assert_int_equal(look(HEX64, true), OXV_SECRET_FINE);
    assert_int_equal(look("anything", false), OXV_SECRET_FINE);
    assert_int_equal(look("anything", true), OXV_SECRET_NOT_HEX64);
    assert_int_equal(look(HEX64 "0", true), OXV_SECRET_NOT_HEX64);
    assert_int_equal(look("the id", true), OXV_SECRET_IS_TOKEN_ID);
    assert_int_equal(look("the key", false), OXV_SECRET_IS_CONSUMER_KEY);
    assert_int_equal(look(" " HEX64, true), OXV_SECRET_HAS_SPACE);
    assert_int_equal(look(HEX64 "\t", true), OXV_SECRET_HAS_SPACE);
    assert_int_equal(look("\"" HEX64 "\"", true), OXV_SECRET_HAS_QUOTES);
    assert_int_equal(look("'x'", false), OXV_SECRET_HAS_QUOTES);
    assert_int_equal(look("a\033[200~b", false), OXV_SECRET_HAS_CONTROL);
    for (int oddity = OXV_SECRET_FINE; oddity <= OXV_SECRET_NOT_HEX64; oddity++) {
        assert_int_equal(oxv_secret_oddity_is_refused((enum oxv_secret_oddity)oddity),
                         oddity == OXV_SECRET_IS_CONSUMER_KEY || oddity == OXV_SECRET_IS_TOKEN_ID);
    }
}

/* A line in memory of its own; freed with done_line(). */
static struct oxv_import_line *
new_line(void)
{
    struct oxv_import_line *line = calloc(1, sizeof *line);

    assert_non_null(line);
    return line;
}

static void
done_line(struct oxv_import_line *line)
{
    oxv_import_line_done(line);
    free(line);
}

static void
reads_an_import_line(void **state)
{
    struct oxv_import_line *line = new_line();
    struct oxv_err err = { 0 };
    struct oxv_reader r;
    struct oxv_view origin;

    (void)state;
    if (oxv_import_line_read(oxv_view_text(GOOD_LINE), line, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(oxv_view_is(line->draft.record.name, "acme"));
    assert_true(oxv_view_is(line->draft.record.account_id, "1234567_SB1"));
    assert_true(oxv_view_is(line->draft.record.role_id, "3"));
    assert_int_equal(line->draft.record.system, OXV_SYSTEM_NETSUITE);
    assert_int_equal(line->draft.record.signature_method, OXV_HMAC_SHA256);
    assert_int_equal(oxv_list_count(line->draft.record.origins), 4);
    r = oxv_reader(line->draft.record.origins);
    assert_true(oxv_list_next(&r, &origin) &&
                oxv_view_is(origin, "https://1234567-sb1.suitetalk.api.netsuite.com"));
    assert_true(oxv_list_next(&r, &origin) && oxv_list_next(&r, &origin) &&
                oxv_list_next(&r, &origin) && oxv_view_is(origin, "https://other.example"));
    assert_true(oxv_view_is(oxv_secret_view(line->secrets.consumer), HEX64));
    assert_int_equal(line->oddity, OXV_SECRET_FINE);
    done_line(line);
}

static void
uses_its_memory_again_for_the_next_line(void **state)
{
    struct oxv_import_line *line = new_line();
    struct oxv_err err;
    const struct oxv_secret *before;

    (void)state;
    assert_int_equal(oxv_import_line_read(oxv_view_text(GOOD_LINE), line, &err), OXV_OK);
    before = line->secrets.consumer;
    assert_int_equal(
        oxv_import_line_read(oxv_view_text("{\"name\":\"b\",\"system\":\"oauth1\",\"consumer_key\":"
                                           "\"k\",\"origins\":[\"https://h\"],\"signature_method\":"
                                           "\"HMAC-SHA1\",\"consumer_secret\":\"" HEX64 "\"}"),
                             line, &err),
        OXV_OK);
    assert_ptr_equal(line->secrets.consumer, before);
    assert_int_equal(oxv_secret_len(line->secrets.token), 0); /* not that of the line before */
    assert_int_equal(line->draft.record.account_id.len, 0);
    assert_int_equal(line->draft.record.token_id.len, 0);
    assert_int_equal(oxv_list_count(line->draft.record.origins), 1);
    done_line(line);
}

/* A mapping for each line would cost more than all else of a long import. */
static void
reads_and_encodes_a_line_within_the_memory_that_is_there(void **state)
{
    struct oxv_import_line *line = new_line();
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *chunk = oxv_secret_new(8192);
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *room = oxv_secret_new(OXV_CONNECTION_ROOM_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key_room = oxv_secret_new(OXV_K0_ROOM_BYTES);
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(chunk), oxv_secret_len(chunk));
    struct rlimit before;
    struct rlimit none;
    struct oxv_err err;

    (void)state;
    assert_int_equal(oxv_import_line_read(oxv_view_text(GOOD_LINE), line, &err), OXV_OK);
    const struct oxv_connection_keys keys = { .consumer = line->secrets.consumer,
                                              .token = line->secrets.token,
                                              .room = room,
                                              .key_room = key_room };

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    /* memfd_secret needs a descriptor for each mapping: now there is none. */
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *more = oxv_secret_new(1);
    enum oxv_status read = oxv_import_line_read(oxv_view_text(GOOD_LINE), line, &err);
    enum oxv_status encoded = oxv_connection_encode(&line->draft, &keys, &w, &err);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(more == NULL, oxv_secret_memory_used() == OXV_SECRET_MEMORY_MEMFD);
    assert_int_equal(read, OXV_OK);
    assert_int_equal(encoded, OXV_OK);
    done_line(line);
}

static void
refuses_bad_import_lines_without_repeating_them(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        { "{\"name\":\"a\"", "not good JSON: cut off at byte 11" },
        { "[]", "no JSON object" },
        { "{\"name\":\"a\",\"hunter2\":1}", "member 2 of the object is not known" },
        { "{\"name\":7}", "name: not a string" },
        { "{\"consumer_secret\":7}", "consumer_secret: not a string" },
        { "{\"origins\":\"https://h\"}", "origins: not an array of strings" },
        { "{\"origins\":[7]}", "origins: not an array of strings" },
        { "{\"name\":\"a\"}", "consumer_secret: missing" },
        { "{\"name\":\"a\",\"consumer_secret\":\"s\"}", "system: netsuite or oauth1 is wanted" },
        { "{\"system\":\"netsuite\",\"consumer_key\":\"k\",\"consumer_secret\":\"s\","
          "\"token_id\":\"t\",\"account_id\":\"12 3\"}",
          NULL },
        { "{\"name\":\"a\",\"system\":\"netsuite\",\"consumer_key\":\"k\",\"consumer_secret\":\"s\""
          ",\"token_id\":\"t\",\"account_id\":\"123\"}",
          "token_secret: missing" },
        { "{\"name\":\"a\",\"system\":\"netsuite\",\"consumer_key\":\"k\",\"consumer_secret\":\"s\""
          ",\"token_id\":\"t\",\"account_id\":\"123\",\"token_secret\":\"t\"}",
          "the token secret is the token id: paste the secret that is shown beside it" },
        { "{\"name\":\"a\",\"system\":\"netsuite\",\"consumer_key\":\"k\",\"consumer_secret\":\"k\""
          ",\"token_id\":\"t\",\"account_id\":\"123\",\"token_secret\":\"s\"}",
          "the consumer secret is the consumer key: paste the secret that is shown beside it" },
        { "{\"name\":\"a\",\"system\":\"oauth1\",\"consumer_key\":\"k\",\"consumer_secret\":\"s\"}",
          "origin: at least one is needed, https://host[:port]" },
        { "{\"name\":\"a\",\"system\":\"oauth1\",\"consumer_key\":\"k\",\"consumer_secret\":\"s\","
          "\"origins\":[\"https://h\"],\"signature_method\":\"RSA-SHA256\"}",
          "signature_method: RSA keys are added one by one, with connection add" },
        { "{\"name\":\"a\",\"system\":\"oauth1\",\"consumer_key\":\"k\",\"consumer_secret\":\"s\","
          "\"origins\":[\"https://h\"],\"signature_method\":\"PLAINTEXT\"}",
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oxv_import_line *line = new_line();
        struct oxv_err err = { 0 };

        assert_int_not_equal(oxv_import_line_read(oxv_view_text(cases[i].text), line, &err),
                             OXV_OK);
        if (cases[i].reason != NULL) {
            assert_string_equal(err.text, cases[i].reason);
        }
        assert_null(strstr(err.text, "hunter2"));
        done_line(line);
    }
}

static void
refuses_every_truncation_of_an_import_line(void **state)
{
    struct oxv_import_line *line = new_line();
    struct oxv_err err;

    (void)state;
    for (size_t n = 0; n < sizeof GOOD_LINE - 1; n++) {
        assert_int_equal(oxv_import_line_read(oxv_view(GOOD_LINE, n), line, &err), OXV_E_FORMAT);
    }
    done_line(line);
}

static void
notes_a_secret_of_an_odd_shape(void **state)
{
    struct oxv_import_line *line = new_line();
    struct oxv_err err;

    (void)state;
    assert_int_equal(oxv_import_line_read(
                         oxv_view_text(
                             "{\"name\":\"a\",\"system\":\"netsuite\",\"consumer_key\":\"k\","
                             "\"consumer_secret\":\"" HEX64 "\",\"token_id\":\"t\",\"account_id\":"
                             "\"123\",\"token_secret\":\"short\"}"),
                         line, &err),
                     OXV_OK);
    assert_int_equal(line->oddity, OXV_SECRET_NOT_HEX64);
    done_line(line);
}

/* A pipe that holds `text`. */
static int
pipe_with(const char *text)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(ends[1]), 0);
    return ends[0];
}

static void
gives_line_after_line_with_its_number(void **state)
{
    OXV_AUTO(oxv_secret_lines_done) struct oxv_secret_lines lines = { 0 };
    int fd = pipe_with("first\n\n  \t\r\nfourth\nlast");
    struct oxv_view line;
    struct oxv_err err;
    bool more = false;

    (void)state;
    assert_int_equal(oxv_secret_lines_init(&lines, fd, &err), OXV_OK);
    assert_int_equal(oxv_secret_lines_next(&lines, &line, &more, &err), OXV_OK);
    assert_true(more && oxv_view_is(line, "first") && lines.number == 1);
    assert_int_equal(oxv_secret_lines_next(&lines, &line, &more, &err), OXV_OK);
    assert_true(more && oxv_view_is(line, "fourth") && lines.number == 4);
    assert_int_equal(oxv_secret_lines_next(&lines, &line, &more, &err), OXV_OK);
    assert_true(more && oxv_view_is(line, "last") && lines.number == 5);
    assert_int_equal(oxv_secret_lines_next(&lines, &line, &more, &err), OXV_OK);
    assert_false(more);
    assert_int_equal(close(fd), 0);
}

static void
gives_lines_of_every_length_up_to_the_limit(void **state)
{
    char name[] = "/tmp/oxv-lines-XXXXXX";
    int fd = mkstemp(name);
    static char text[OXV_SECRET_LINE_MAX_BYTES + 2];
    static const size_t lengths[] = { OXV_SECRET_LINE_MAX_BYTES, 1, OXV_SECRET_LINE_MAX_BYTES - 1,
                                      OXV_SECRET_LINE_MAX_BYTES, 77 };
    OXV_AUTO(oxv_secret_lines_done) struct oxv_secret_lines lines = { 0 };
    struct oxv_view line;
    struct oxv_err err;
    bool more;

    (void)state;
    assert_true(fd >= 0 && unlink(name) == 0);
    for (size_t round = 0; round < 8; round++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            memset(text, 'a' + (int)i, lengths[i]);
            text[lengths[i]] = '\n';
            assert_int_equal(write(fd, text, lengths[i] + 1), (ssize_t)lengths[i] + 1);
        }
    }
    memset(text, 'z', sizeof text);
    assert_int_equal(write(fd, text, sizeof text), (ssize_t)sizeof text);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(oxv_secret_lines_init(&lines, fd, &err), OXV_OK);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(oxv_secret_lines_next(&lines, &line, &more, &err), OXV_OK);
        assert_true(more && line.len == lengths[i % 5]);
        assert_int_equal(line.data[0], 'a' + (int)(i % 5));
        assert_int_equal(line.data[line.len - 1], 'a' + (int)(i % 5));
    }
    assert_int_equal(oxv_secret_lines_next(&lines, &line, &more, &err), OXV_E_LIMIT);
    assert_int_equal(lines.number, 41);
    assert_int_equal(close(fd), 0);
}

static struct oxv_view
make_pem(EVP_PKEY *key, bool encrypted, BIO **bio)
{
    char *data;
    long len;

    *bio = BIO_new(BIO_s_mem());
    assert_non_null(*bio);
    assert_int_equal(PEM_write_bio_PrivateKey(*bio, key, encrypted ? EVP_aes_128_cbc() : NULL, NULL,
                                              0, NULL, encrypted ? (void *)(intptr_t) "pw" : NULL),
                     1);
    len = BIO_get_mem_data(*bio, &data);
    return oxv_view(data, (size_t)len);
}

static void
turns_an_rsa_key_into_the_der_that_the_vault_takes(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *der = NULL;
    struct oxv_err err;
    BIO *bio;

    (void)state;
    assert_true(key != NULL && other != NULL);
    assert_int_equal(oxv_rsa_pem_convert(make_pem(key, false, &bio), &der, &err), OXV_OK);
    BIO_free(bio);
    assert_int_equal(oxv_rsa_key_check(oxv_secret_view(der), &err), OXV_OK);
    oxv_secret_freep(&der);
    assert_int_equal(oxv_rsa_pem_convert(make_pem(key, true, &bio), &der, &err), OXV_E_FORMAT);
    BIO_free(bio);
    assert_int_equal(oxv_rsa_pem_convert(make_pem(other, false, &bio), &der, &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "not an RSA key");
    BIO_free(bio);
    assert_int_equal(oxv_rsa_pem_convert(oxv_view_text("nonsense"), &der, &err), OXV_E_FORMAT);
    assert_null(der);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_secrets_file),
        cmocka_unit_test(takes_a_connection_without_a_token),
        cmocka_unit_test(refuses_other_secrets_files_without_repeating_them),
        cmocka_unit_test(refuses_every_truncation_of_a_secrets_file),
        cmocka_unit_test(refuses_a_secret_that_is_too_long),
        cmocka_unit_test(tells_what_is_odd_about_a_secret),
        cmocka_unit_test(reads_an_import_line),
        cmocka_unit_test(uses_its_memory_again_for_the_next_line),
        cmocka_unit_test(refuses_bad_import_lines_without_repeating_them),
        cmocka_unit_test(reads_and_encodes_a_line_within_the_memory_that_is_there),
        cmocka_unit_test(refuses_every_truncation_of_an_import_line),
        cmocka_unit_test(notes_a_secret_of_an_odd_shape),
        cmocka_unit_test(gives_line_after_line_with_its_number),
        cmocka_unit_test(gives_lines_of_every_length_up_to_the_limit),
        cmocka_unit_test(turns_an_rsa_key_into_the_der_that_the_vault_takes),
    };

    return cmocka_run_group_tests(tests, set_up_memory, NULL);
}
