/* C2SP key ids, verifier keys, checkpoints, commit lines and epoch.key. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "vault/log/commit.h"
#include "vault/log/epoch_key.h"
#include "vault/log/note.h"
#include "vault/log/verify.h"

#define TESSERA_VKEY                                                                               \
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"

/* A signature line's payload is the key id and the signature. */
static void
read_payload(const char *base64, uint8_t payload[68])
{
    size_t len = 0;

    assert_true(oxv_parse_base64(oxv_view_text(base64), payload, 68, &len));
    assert_int_equal(len, 68);
}

static void
check_note(const char *vkey_text, const char *text, const char *base64)
{
    struct oxv_vkey vkey;
    uint8_t payload[68];
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];

    assert_int_equal(oxv_vkey_parse(oxv_view_text(vkey_text), &vkey, NULL), OXV_OK);
    read_payload(base64, payload);
    oxv_note_key_id(vkey.name, vkey.public_key, id);
    assert_memory_equal(payload, id, sizeof id);
    assert_int_equal(crypto_sign_verify_detached(payload + 4, (const uint8_t *)text, strlen(text),
                                                 vkey.public_key),
                     0);
}

static void
notes_of_others_verify_under_their_keys(void **state)
{
    static const char peter[] = "If you think cryptography is the answer to your problem,\n"
                                "then you don't know what your problem is.\n";

    (void)state;
    check_note(
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "This is an example message.\n",
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72"
        "IneyaQM=");
    check_note(
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", peter,
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ry"
        "yBwJnAM=");
    check_note(
        "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop", peter,
        "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1"
        "RvMc+QQ=");
}

static void
a_seed_gives_the_published_verifier_key(void **state)
{
    struct oxv_vkey vkey = { .name = "PeterNeumann" };
    uint8_t seed[OXV_NOTE_SEED_BYTES];
    uint8_t secret[OXV_NOTE_SECRET_KEY_BYTES];
    char text[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    (void)state;
    assert_true(oxv_parse_hex(
        oxv_view_text("810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173"), seed,
        sizeof seed));
    assert_int_equal(crypto_sign_seed_keypair(vkey.public_key, secret, seed), 0);
    oxv_vkey_write(&w, &vkey);
    assert_true(oxv_view_is(oxv_view(text, w.len),
                            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"));
}

static const char *const tessera_entries[] = { "one",    "two",   "three",    "four",    "five",
                                               "six",    "seven", "eit",      "nain",    "ten",
                                               "ileven", "twelf", "threeten", "fourten", "fivten" };

static struct oxv_checkpoint
tessera_checkpoint(void)
{
    struct oxv_checkpoint checkpoint = { .origin = "example.com/log/testdata", .size = 15 };
    struct oxv_tree tree = { 0 };
    struct oxv_hasher *hasher = oxv_hasher_new();

    assert_non_null(hasher);
    for (size_t i = 0; i < 15; i++) {
        oxv_tree_add(&tree, hasher, oxv_view_text(tessera_entries[i]));
    }
    oxv_tree_root(&tree, hasher, checkpoint.root);
    oxv_hasher_free(hasher);
    return checkpoint;
}

static void
the_checkpoint_of_tesseras_log_verifies(void **state)
{
    struct oxv_checkpoint checkpoint = tessera_checkpoint();
    char text[OXV_CHECKPOINT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_vkey vkey;
    uint8_t payload[68];

    (void)state;
    oxv_checkpoint_write(&w, &checkpoint);
    assert_true(oxv_view_is(oxv_view(text, w.len),
                            "example.com/log/testdata\n15\n"
                            "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n"));
    read_payload("M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/"
                 "dlPWF74ewI=",
                 payload);
    assert_int_equal(oxv_vkey_parse(oxv_view_text(TESSERA_VKEY "\n"), &vkey, NULL), OXV_OK);
    assert_true(oxv_checkpoint_verify(&checkpoint, vkey.public_key, payload + 4));
    checkpoint.size = 14;
    assert_false(oxv_checkpoint_verify(&checkpoint, vkey.public_key, payload + 4));
}

static void
tesseras_key_makes_the_same_signature(void **state)
{
    struct oxv_checkpoint checkpoint = tessera_checkpoint();
    uint8_t typed_seed[33];
    uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES];
    uint8_t payload[68];
    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES];
    size_t len;
    struct oxv_secret *secret = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);

    (void)state;
    assert_true(oxv_parse_base64(oxv_view_text("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"),
                                 typed_seed, sizeof typed_seed, &len));
    assert_int_equal(crypto_sign_seed_keypair(public_key, oxv_secret_bytes(secret), typed_seed + 1),
                     0);
    oxv_checkpoint_sign(&checkpoint, secret, signature);
    read_payload("M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/"
                 "dlPWF74ewI=",
                 payload);
    assert_memory_equal(signature, payload + 4, sizeof signature);
    oxv_secret_free(secret);
}

static void
a_verifier_key_is_read_in_one_form_only(void **state)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530d903a+",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n\n",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k ",
        "example.com/foo+530d903a+ AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/f oo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo +530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    };
    struct oxv_vkey vkey = { .name = "untouched" };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(oxv_vkey_parse(oxv_view_text(wrong[i]), &vkey, NULL), OXV_E_FORMAT);
        assert_string_equal(vkey.name, "untouched");
    }
}

static void
a_name_has_no_space_of_any_kind_and_no_plus(void **state)
{
    (void)state;
    assert_true(oxv_note_is_name(oxv_view_text("oxvault/00/11")));
    assert_true(oxv_note_is_name(oxv_view_text("caf\xc3\xa9")));
    assert_false(oxv_note_is_name(oxv_view_text("")));
    assert_false(oxv_note_is_name(oxv_view_text("a b")));
    assert_false(oxv_note_is_name(oxv_view_text("a+b")));
    assert_false(oxv_note_is_name(oxv_view_text("a\nb")));
    assert_false(oxv_note_is_name(oxv_view_text("a\xc2\xa0"
                                                "b")));
    assert_false(oxv_note_is_name(oxv_view_text("a\xe3\x80\x80")));
    assert_false(oxv_note_is_name(oxv_view_text("\xff")));
}

static void
the_fingerprint_is_that_of_the_keys_text(void **state)
{
    char with_newline[OXV_LOG_FINGERPRINT_BYTES];
    char without[OXV_LOG_FINGERPRINT_BYTES];
    char small[OXV_LOG_FINGERPRINT_BYTES - 1];

    (void)state;
    assert_int_equal(oxv_log_vkey_fingerprint(oxv_view_text(TESSERA_VKEY "\n"), with_newline,
                                              sizeof with_newline),
                     OXV_OK);
    assert_int_equal(oxv_log_vkey_fingerprint(oxv_view_text(TESSERA_VKEY), without, sizeof without),
                     OXV_OK);
    assert_string_equal(with_newline, without);
    /* printf %s KEY | openssl sha256 -binary | base64 */
    assert_string_equal(without, "SHA256:PqqCgrZVgHPa2ONloCIcVuWpihbVzcPgVbwn9lqZOXk");
    assert_int_equal(oxv_log_vkey_fingerprint(oxv_view_text(TESSERA_VKEY), small, sizeof small),
                     OXV_E_LIMIT);
    assert_int_equal(oxv_log_vkey_fingerprint(oxv_view_text("x"), without, sizeof without),
                     OXV_E_FORMAT);
}

static size_t
make_commit(char line[OXV_COMMIT_MAX_BYTES])
{
    struct oxv_commit commit = { .epoch = 3, .size = 70000 };
    struct oxv_writer w = oxv_writer(line, OXV_COMMIT_MAX_BYTES);

    for (size_t i = 0; i < sizeof commit.root; i++) {
        commit.root[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof commit.signature; i++) {
        commit.signature[i] = (uint8_t)(255 - i);
    }
    oxv_commit_write(&w, &commit);
    assert_false(w.failed);
    return w.len;
}

static void
a_commit_line_is_written_as_documented(void **state)
{
    char line[OXV_COMMIT_MAX_BYTES];
    size_t len = make_commit(line);
    struct oxv_commit commit;

    (void)state;
    assert_true(oxv_view_is(
        oxv_view(line, len),
        "{\"commit\":{\"epoch\":3,\"root\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","
        "\"sig\":\"//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eDf3t3c29rZ2NfW1dTT0tHQz87NzMvKycjHx"
        "sXEw8LBwA==\",\"size\":70000}}"));
    assert_true(oxv_commit_is_line(oxv_view(line, len)));
    assert_true(oxv_commit_parse(oxv_view(line, len), &commit));
    assert_int_equal(commit.epoch, 3);
    assert_int_equal(commit.size, 70000);
    assert_int_equal(commit.root[31], 31);
    assert_int_equal(commit.signature[63], 192);
}

static void
a_commit_line_that_parses_is_written_the_same_again(void **state)
{
    char line[OXV_COMMIT_MAX_BYTES];
    size_t len = make_commit(line);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char changed[OXV_COMMIT_MAX_BYTES];
            char again[OXV_COMMIT_MAX_BYTES];
            struct oxv_writer w = oxv_writer(again, sizeof again);
            struct oxv_commit commit;

            memcpy(changed, line, len);
            changed[i] = (char)byte;
            if (oxv_commit_parse(oxv_view(changed, len), &commit)) {
                oxv_commit_write(&w, &commit);
                assert_int_equal(w.len, len);
                assert_memory_equal(again, changed, len);
            }
        }
    }
}

static void
a_commit_line_in_another_form_is_refused(void **state)
{
    static const char *const wrong[] = {
        "{\"commit\": {\"epoch\":0",
        "{\"commit\":{\"epoch\":00",
        "{\"commit\":{\"epoch\":+0",
        "{\"commit\":{\"epoch\":-0",
        "{\"commit\":{\"epoch\":0.0",
        "{\"commit\":{\"epoch\":1e0",
        "{\"commit\":{\"epoch\":9007199254740992",
        "{\"commit\":{\"epoch\":\"0\"",
        "{ \"commit\":{\"epoch\":0",
        " {\"commit\":{\"epoch\":0",
    };
    char line[OXV_COMMIT_MAX_BYTES];
    size_t len = make_commit(line);
    struct oxv_commit commit = { .size = 7 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char changed[2 * OXV_COMMIT_MAX_BYTES];
        int n = snprintf(changed, sizeof changed, "%s%.*s", wrong[i],
                         (int)(len - strlen("{\"commit\":{\"epoch\":3")),
                         line + strlen("{\"commit\":{\"epoch\":3"));

        assert_false(oxv_commit_parse(oxv_view(changed, (size_t)n), &commit));
    }
    for (size_t n = 0; n < len; n++) {
        assert_false(oxv_commit_parse(oxv_view(line, n), &commit));
        assert_false(oxv_commit_ends_line(oxv_view(line, n)));
    }
    line[len] = ' ';
    assert_false(oxv_commit_parse(oxv_view(line, len + 1), &commit));
    assert_int_equal(commit.size, 7);
}

static void
a_commit_line_is_found_at_the_end_of_a_damaged_line(void **state)
{
    char line[OXV_COMMIT_MAX_BYTES];
    size_t len = make_commit(line);
    char longer[400];
    int n = snprintf(longer, sizeof longer, "{\"boot\":\"00\"}\x0b%.*s", (int)len, line);

    (void)state;
    assert_true(oxv_commit_ends_line(oxv_view(line, len)));
    assert_true(oxv_commit_ends_line(oxv_view(longer, (size_t)n)));
    assert_false(oxv_commit_ends_line(oxv_view(longer, (size_t)n - 1)));
}

/* Wraps a new key; the file's bytes are left in `file`. */
static struct oxv_secret *
make_key_file(uint8_t file[OXV_EPOCH_KEY_FILE_BYTES], struct oxv_epoch_key *key)
{
    static const uint8_t root[OXV_HASH_BYTES] = { 1, 2, 3 };
    struct oxv_writer w = oxv_writer(file, OXV_EPOCH_KEY_FILE_BYTES);
    struct oxv_secret *wrap_key = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);

    assert_non_null(wrap_key);
    assert_int_equal(oxv_epoch_key_init(key, 5, 77, root), OXV_OK);
    assert_int_equal(oxv_epoch_key_wrap(key, wrap_key, &w), OXV_OK);
    assert_int_equal(w.len, OXV_EPOCH_KEY_FILE_BYTES);
    return wrap_key;
}

static void
an_epoch_key_opens_again_under_its_wrap_key_only(void **state)
{
    uint8_t file[OXV_EPOCH_KEY_FILE_BYTES];
    struct oxv_epoch_key key;
    struct oxv_epoch_key again = { 0 };
    struct oxv_secret *wrap_key = make_key_file(file, &key);
    struct oxv_secret *other = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);

    (void)state;
    assert_int_equal(oxv_epoch_key_unwrap(oxv_view(file, sizeof file), other, &again, NULL),
                     OXV_E_FORGED);
    assert_null(again.secret_key);
    assert_int_equal(oxv_epoch_key_unwrap(oxv_view(file, sizeof file), wrap_key, &again, NULL),
                     OXV_OK);
    assert_int_equal(again.epoch, 5);
    assert_int_equal(again.begin_size, 77);
    assert_memory_equal(again.begin_root, key.begin_root, sizeof key.begin_root);
    assert_memory_equal(again.public_key, key.public_key, sizeof key.public_key);
    assert_true(oxv_secret_equals(again.secret_key, oxv_secret_view(key.secret_key)));
    oxv_epoch_key_done(&key);
    oxv_epoch_key_done(&again);
    oxv_secret_free(wrap_key);
    oxv_secret_free(other);
}

static void
an_epoch_key_file_with_any_bit_flipped_or_another_length_is_refused(void **state)
{
    uint8_t file[OXV_EPOCH_KEY_FILE_BYTES + 1] = { 0 };
    struct oxv_epoch_key key;
    struct oxv_epoch_key out = { .epoch = 9 };
    struct oxv_secret *wrap_key = make_key_file(file, &key);

    (void)state;
    for (size_t i = 0; i < OXV_EPOCH_KEY_FILE_BYTES; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file[i] ^= (uint8_t)(1u << bit);
            enum oxv_status st = oxv_epoch_key_unwrap(oxv_view(file, OXV_EPOCH_KEY_FILE_BYTES),
                                                      wrap_key, &out, NULL);

            assert_int_equal(st, i < 9 ? OXV_E_FORMAT : OXV_E_FORGED);
            file[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t n = 0; n <= sizeof file; n++) {
        if (n != OXV_EPOCH_KEY_FILE_BYTES) {
            assert_int_equal(oxv_epoch_key_unwrap(oxv_view(file, n), wrap_key, &out, NULL),
                             OXV_E_FORMAT);
        }
    }
    assert_int_equal(out.epoch, 9);
    oxv_epoch_key_done(&key);
    oxv_secret_free(wrap_key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_of_others_verify_under_their_keys),
        cmocka_unit_test(a_seed_gives_the_published_verifier_key),
        cmocka_unit_test(the_checkpoint_of_tesseras_log_verifies),
        cmocka_unit_test(tesseras_key_makes_the_same_signature),
        cmocka_unit_test(a_verifier_key_is_read_in_one_form_only),
        cmocka_unit_test(a_name_has_no_space_of_any_kind_and_no_plus),
        cmocka_unit_test(the_fingerprint_is_that_of_the_keys_text),
        cmocka_unit_test(a_commit_line_is_written_as_documented),
        cmocka_unit_test(a_commit_line_that_parses_is_written_the_same_again),
        cmocka_unit_test(a_commit_line_in_another_form_is_refused),
        cmocka_unit_test(a_commit_line_is_found_at_the_end_of_a_damaged_line),
        cmocka_unit_test(an_epoch_key_opens_again_under_its_wrap_key_only),
        cmocka_unit_test(an_epoch_key_file_with_any_bit_flipped_or_another_length_is_refused),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log notes", tests, NULL, NULL);
}
