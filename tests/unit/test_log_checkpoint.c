/* Signed notes, cosignatures, checkpoints and proof files from outside; C2SP's and Go's vectors. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "vault/log/proof_file.h"

#define PETER_VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define ENOCH_VKEY "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
#define PETER_TEXT                                                                                 \
    "If you think cryptography is the answer to your problem,\n"                                   \
    "then you don't know what your problem is.\n"
#define PETER_LINE                                                                                 \
    "\u2014 PeterNeumann "                                                                         \
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=" \
    "\n"
#define ENOCH_LINE                                                                                 \
    "\u2014 EnochRoot "                                                                            \
    "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=" \
    "\n"

#define TESSERA_VKEY                                                                               \
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
#define TESSERA_TEXT "example.com/log/testdata\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n"
#define TESSERA_LINE                                                                               \
    "\u2014 example.com/log/testdata "                                                             \
    "M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=" \
    "\n"
#define WITNESS_VKEY "witness.example/w1+e42b2f2c+BDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
#define WITNESS_LINE                                                                               \
    "\u2014 witness.example/w1 "                                                                   \
    "5CsvLAAAAABlU/EA8r88Wo/2TvOtCXXYb5Lkf95BB0B4BX1/zlO4xuG1QBfmDCFAZ72/"                         \
    "RzCpyvG16KWAN4myehmyV9vDxEV6kK2fCg==\n"

static struct oxv_hasher *hasher;

static struct oxv_vkey
log_key(const char *text)
{
    struct oxv_vkey key;

    assert_int_equal(oxv_vkey_parse(oxv_view_text(text), &key, NULL), OXV_OK);
    return key;
}

static struct oxv_vkey
witness_key(void)
{
    struct oxv_vkey key;

    assert_int_equal(oxv_cosigner_parse(oxv_view_text(WITNESS_VKEY), &key, NULL), OXV_OK);
    return key;
}

static struct oxv_note
must_parse(const char *text)
{
    struct oxv_note note = { 0 };

    assert_int_equal(oxv_note_parse(oxv_view_text(text), &note, NULL), OXV_OK);
    return note;
}

static void
notes_of_others_are_opened_with_their_keys(void **state)
{
    struct oxv_vkey peter = log_key(PETER_VKEY);
    struct oxv_vkey enoch = log_key(ENOCH_VKEY);
    struct oxv_vkey foo =
        log_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
    struct oxv_note both = must_parse(PETER_TEXT "\n" PETER_LINE ENOCH_LINE);
    struct oxv_note one = must_parse(PETER_TEXT "\n" PETER_LINE);
    struct oxv_note spec = must_parse("This is an example message.\n\n\u2014 example.com/foo "
                                      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERY"
                                      "NZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n");

    (void)state;
    assert_true(oxv_view_is(both.text, PETER_TEXT));
    assert_int_equal(oxv_note_check(&both, &peter), OXV_OK);
    assert_int_equal(oxv_note_check(&both, &enoch), OXV_OK);
    assert_int_equal(oxv_note_check(&both, &foo), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_note_check(&one, &enoch), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_note_check(&spec, &foo), OXV_OK);
}

static void
a_text_may_hold_empty_lines(void **state)
{
    struct oxv_note note = must_parse("a\n\nb\n\n\n" PETER_LINE);

    (void)state;
    assert_true(oxv_view_is(note.text, "a\n\nb\n\n"));
}

static void
malformed_notes_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "\n\n",
        PETER_TEXT,
        PETER_TEXT "\n",
        PETER_LINE,
        "\n" PETER_LINE,
        "\x01" PETER_TEXT "\n" PETER_LINE,
        "\t" PETER_TEXT "\n" PETER_LINE,
        "\xff" PETER_TEXT "\n" PETER_LINE,
        PETER_TEXT "\n\u2014 Bad Name "
                   "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb"
                   "6KE6RyyBwJnAM=\n",
        PETER_TEXT "\n\u2014 Bad+Name x08go/ZJkuBS9UG/\n",
        PETER_TEXT "\n\u2014  x08go/ZJkuBS9UG/\n",
        PETER_TEXT "\n\u2014 PeterNeumann\n",
        PETER_TEXT "\n\u2014 PeterNeumann \n",
        PETER_TEXT "\n\u2014 PeterNeumann x08gow==\n", /* a key id alone */
        PETER_TEXT "\n\u2014 PeterNeumann x08go/Y=\n" PETER_LINE "\n",
        PETER_TEXT "\n\u2014 PeterNeumann x08go/Z=\n",  /* unused bits */
        PETER_TEXT "\n\u2014 PeterNeumann x08go/Y\n",   /* no padding */
        PETER_TEXT "\n\u2014 PeterNeumann x08go/Y= \n", /* white space */
        PETER_TEXT "\n- PeterNeumann x08go/Y=\n",
        PETER_TEXT "\n" PETER_LINE "Unexpected line.\n",
        PETER_TEXT "\n" PETER_LINE "\n",
    };
    struct oxv_note note = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (oxv_note_parse(oxv_view_text(wrong[i]), &note, NULL) != OXV_E_FORMAT) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
    /* The last newline is missing; a NUL is within. */
    assert_int_equal(oxv_note_parse(oxv_view(PETER_TEXT "\n" PETER_LINE,
                                             sizeof(PETER_TEXT "\n" PETER_LINE) - 2),
                                    &note, NULL),
                     OXV_E_FORMAT);
    assert_int_equal(oxv_note_parse(oxv_view("a\0b\n\n" PETER_LINE, 5 + strlen(PETER_LINE)), &note,
                                    NULL),
                     OXV_E_FORMAT);
    assert_null(note.text.data);
}

static void
a_hundred_signatures_are_taken_and_one_more_is_not(void **state)
{
    char text[16384] = PETER_TEXT "\n";
    struct oxv_vkey peter = log_key(PETER_VKEY);
    struct oxv_note note;

    (void)state;
    for (size_t i = 0; i < OXV_NOTE_SIGNATURES_MAX; i++) {
        size_t len = strlen(text);

        (void)snprintf(text + len, sizeof text - len, "%s", PETER_LINE);
    }
    assert_int_equal(oxv_note_parse(oxv_view_text(text), &note, NULL), OXV_OK);
    assert_int_equal(oxv_note_check(&note, &peter), OXV_OK);
    size_t len = strlen(text);

    (void)snprintf(text + len, sizeof text - len, "%s", ENOCH_LINE);
    assert_int_equal(oxv_note_parse(oxv_view_text(text), &note, NULL), OXV_E_FORMAT);
}

static void
a_note_with_any_bit_flipped_is_no_longer_the_signers(void **state)
{
    char bytes[] = PETER_TEXT "\n" PETER_LINE;
    struct oxv_vkey peter = log_key(PETER_VKEY);
    size_t len = strlen(bytes);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct oxv_note note;

            bytes[i] = (char)(bytes[i] ^ (1 << bit));
            if (oxv_note_parse(oxv_view(bytes, len), &note, NULL) == OXV_OK &&
                oxv_note_check(&note, &peter) == OXV_OK) {
                fail_msg("byte %zu bit %u", i, bit);
            }
            bytes[i] = (char)(bytes[i] ^ (1 << bit));
        }
    }
}

/* One good line does not make up for a bad one of the same key. */
static void
a_bad_signature_of_a_known_key_is_not_overlooked(void **state)
{
    struct oxv_vkey peter = log_key(PETER_VKEY);
    struct oxv_note note = must_parse(PETER_TEXT "\n" PETER_LINE "\u2014 PeterNeumann x08go/Y=\n");
    struct oxv_note other = must_parse(PETER_TEXT "\n\u2014 PeterNeumann AAAAAAY=\n" PETER_LINE);
    struct oxv_note text = must_parse("x" PETER_TEXT "\n" PETER_LINE);

    (void)state;
    assert_int_equal(oxv_note_check(&note, &peter), OXV_E_FORGED);
    assert_int_equal(oxv_note_check(&other, &peter), OXV_OK); /* another key of that name */
    assert_int_equal(oxv_note_check(&text, &peter), OXV_E_FORGED);
}

static void
a_cosignature_is_checked_with_its_time(void **state)
{
    struct oxv_vkey witness = witness_key();
    struct oxv_vkey tessera = log_key(TESSERA_VKEY);
    struct oxv_note note = must_parse(TESSERA_TEXT "\n" TESSERA_LINE WITNESS_LINE);
    struct oxv_note alone = must_parse(TESSERA_TEXT "\n" TESSERA_LINE);
    struct oxv_note moved = must_parse("x" TESSERA_TEXT "\n" TESSERA_LINE WITNESS_LINE);
    uint64_t time_s = 5;

    (void)state;
    assert_int_equal(oxv_note_check(&note, &tessera), OXV_OK);
    assert_int_equal(oxv_note_check_cosigner(&alone, &witness, &time_s), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_note_check_cosigner(&moved, &witness, &time_s), OXV_E_FORGED);
    assert_int_equal(time_s, 5);
    assert_int_equal(oxv_note_check_cosigner(&note, &witness, &time_s), OXV_OK);
    assert_int_equal(time_s, 1700000000);
    /* The same key as one of a log is another key. */
    assert_int_equal(oxv_vkey_parse(oxv_view_text(WITNESS_VKEY), &witness, NULL), OXV_E_FORMAT);
    assert_int_equal(oxv_cosigner_parse(oxv_view_text(ENOCH_VKEY), &witness, NULL), OXV_E_FORMAT);
}

static void
a_witness_with_the_zero_seed_writes_the_known_line(void **state)
{
    struct oxv_vkey witness = { .name = "witness.example/w1" };
    uint8_t seed[OXV_NOTE_SEED_BYTES] = { 0 };
    uint8_t cosignature[OXV_COSIGNATURE_BYTES];
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];
    char text[512];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_secret *secret = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);

    (void)state;
    assert_int_equal(crypto_sign_seed_keypair(witness.public_key, oxv_secret_bytes(secret), seed),
                     0);
    oxv_cosign(oxv_view_text(TESSERA_TEXT), secret, 1700000000, cosignature);
    oxv_cosigner_key_id(&witness, id);
    oxv_note_write_signature(&w, witness.name, id, oxv_view(cosignature, sizeof cosignature));
    assert_true(oxv_view_is(oxv_view(text, w.len), WITNESS_LINE));
    w.len = 0;
    oxv_cosigner_write(&w, &witness);
    assert_true(oxv_view_is(oxv_view(text, w.len), WITNESS_VKEY));
    oxv_secret_free(secret);
}

static void
a_checkpoint_is_written_as_a_note_of_one_key(void **state)
{
    struct oxv_vkey tessera = log_key(TESSERA_VKEY);
    struct oxv_checkpoint checkpoint = { .origin = tessera.name, .size = 15 };
    struct oxv_saved_head head;
    uint8_t payload[68];
    size_t len;
    char text[OXV_CHECKPOINT_NOTE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    (void)state;
    assert_int_equal(oxv_checkpoint_parse(oxv_view_text(TESSERA_TEXT), &head, NULL), OXV_OK);
    memcpy(checkpoint.root, head.head.root, sizeof checkpoint.root);
    assert_true(oxv_parse_base64(oxv_view_text(
                                     "M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/"
                                     "uEWP6zdkdIQzd/fmwlM/dlPWF74ewI="),
                                 payload, sizeof payload, &len));
    oxv_checkpoint_write_note(&w, &checkpoint, tessera.public_key, payload + 4);
    assert_false(w.failed);
    assert_true(oxv_view_is(oxv_view(text, w.len), TESSERA_TEXT "\n" TESSERA_LINE));
}

static void
a_checkpoint_is_read_in_one_form_only(void **state)
{
#define ROOT "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="
    static const char *const wrong[] = {
        "",
        "o\n15\n",
        "o\n15\n" ROOT,
        "\n15\n" ROOT "\n",
        "o\n\n" ROOT "\n",
        "o\n+5\n" ROOT "\n",
        "o\n-5\n" ROOT "\n",
        "o\n 5\n" ROOT "\n",
        "o\n05\n" ROOT "\n",
        "o\n5_0\n" ROOT "\n",
        "o\n0x0f\n" ROOT "\n",
        "o\n5 \n" ROOT "\n",
        "o\n9223372036854775808\n" ROOT "\n",
        "o\n18446744073709551616\n" ROOT "\n",
        "o\n15\n\n",
        "o\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383ct=\n", /* unused bits */
        "o\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs\n",
        "o\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v38\n",
        "o\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383csAAAA=\n",
        "o\n15\n" ROOT "\n\n",
        "o\n15\n" ROOT "\next",
        "o\n15\n" ROOT "\next\n\nmore\n",
        "o\r\n15\n" ROOT "\n",
    };
    struct oxv_saved_head head = { .head = { .size = 7 } };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (oxv_checkpoint_parse(oxv_view_text(wrong[i]), &head, NULL) != OXV_E_FORMAT) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
    assert_int_equal(head.head.size, 7);
    assert_int_equal(oxv_checkpoint_parse(oxv_view_text("o\n0\n" ROOT "\n"), &head, NULL), OXV_OK);
    assert_int_equal(head.head.size, 0);
    assert_int_equal(oxv_checkpoint_parse(oxv_view_text("o o\n9223372036854775807\n" ROOT
                                                        "\nmore\nand more\n"),
                                          &head, NULL),
                     OXV_OK);
    assert_int_equal(head.head.size, OXV_PROOF_SIZE_MAX);
    assert_string_equal(head.origin, "o o");
}

#define TESSERA_PROOF                                                                              \
    "c2sp.org/tlog-proof@v1\n"                                                                     \
    "index 3\n"                                                                                    \
    "Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q=\n"                                               \
    "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=\n"                                               \
    "g0ZoeYWtIV8Q8i+4CmgqPnBvH2il107lyCgTQsyB7H4=\n"                                               \
    "5jLpqTgjsBDSEX6SgZiRnbTMdTuRd8bQ5tSsAOxe0Ks=\n"                                               \
    "\n" TESSERA_TEXT "\n" TESSERA_LINE WITNESS_LINE
#define TESSERA_GROWTH                                                                             \
    "old 7\n"                                                                                      \
    "2Q0P5jSR+TdkwdXWyx+GbBWX0KZbNZkWzCjyTPSozsw=\n"                                               \
    "ThcgoV2DYcK+VCxBUDWAlNxmLy2r7dq7dK7+OlgQKWs=\n"                                               \
    "ycRkkNklus5eMVRUvkD1pK321vMrA+jjOiZKU8aOcY4=\n"                                               \
    "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=\n"                                               \
    "5jLpqTgjsBDSEX6SgZiRnbTMdTuRd8bQ5tSsAOxe0Ks=\n"                                               \
    "\n" TESSERA_TEXT "\n" TESSERA_LINE

static void
writes_the_same_again(const struct oxv_proof_file *file, const char *text)
{
    char again[4096];
    struct oxv_writer w = oxv_writer(again, sizeof again);

    oxv_proof_file_write(&w, file);
    assert_false(w.failed);
    assert_true(oxv_view_is(oxv_view(again, w.len), text));
}

static void
a_proof_of_an_entry_is_read_and_holds(void **state)
{
    struct oxv_proof_file file;
    struct oxv_saved_head head;
    struct oxv_note note;
    uint8_t leaf[OXV_HASH_BYTES];

    (void)state;
    assert_int_equal(oxv_proof_file_parse(oxv_view_text(TESSERA_PROOF), &file, NULL), OXV_OK);
    assert_int_equal(file.kind, OXV_PROOF_OF_ENTRY);
    assert_int_equal(file.number, 3);
    assert_int_equal(file.extra_len, 0);
    assert_int_equal(oxv_note_parse(file.note, &note, NULL), OXV_OK);
    assert_int_equal(oxv_checkpoint_parse(note.text, &head, NULL), OXV_OK);
    oxv_hash_leaf(hasher, oxv_view_text("four"), leaf);
    assert_true(oxv_proof_has_leaf(hasher, &file.proof, 3, leaf, &head.head));
    oxv_hash_leaf(hasher, oxv_view_text("five"), leaf);
    assert_false(oxv_proof_has_leaf(hasher, &file.proof, 3, leaf, &head.head));
    writes_the_same_again(&file, TESSERA_PROOF);
}

static void
a_proof_of_growth_is_read_and_holds(void **state)
{
    struct oxv_proof_file file;
    struct oxv_saved_head old;
    struct oxv_saved_head head;
    struct oxv_note note;

    (void)state;
    assert_int_equal(oxv_proof_file_parse(oxv_view_text(TESSERA_GROWTH), &file, NULL), OXV_OK);
    assert_int_equal(file.kind, OXV_PROOF_OF_GROWTH);
    assert_int_equal(oxv_note_parse(file.note, &note, NULL), OXV_OK);
    assert_int_equal(oxv_checkpoint_parse(note.text, &head, NULL), OXV_OK);
    assert_int_equal(
        oxv_checkpoint_parse(oxv_view_text("o\n7\nIrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=\n"),
                             &old, NULL),
        OXV_OK);
    assert_true(oxv_proof_extends(hasher, &file.proof, &old.head, &head.head));
    old.head.size = 8;
    assert_false(oxv_proof_extends(hasher, &file.proof, &old.head, &head.head));
    writes_the_same_again(&file, TESSERA_GROWTH);
}

static void
what_goes_with_a_proof_is_read_back(void **state)
{
    static const char text[] = "c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n"
                               "\ncheckpoint data\n";
    struct oxv_proof_file file;

    (void)state;
    assert_int_equal(oxv_proof_file_parse(oxv_view_text(text), &file, NULL), OXV_OK);
    assert_true(oxv_view_is(oxv_view(file.extra, file.extra_len), "extra information"));
    assert_int_equal(file.number, 10);
    assert_int_equal(file.proof.count, 0);
    assert_true(oxv_view_is(file.note, "checkpoint data\n"));
    writes_the_same_again(&file, text);
}

static void
malformed_proof_files_are_refused(void **state)
{
#define HEADER "c2sp.org/tlog-proof@v1\n"
#define HASH   "Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q="
    static const char *const wrong[] = {
        "",
        "wrong-header\nindex 0\n\ncheckpoint\n",
        HEADER "extra !!notbase64!!\nindex 0\n\ncheckpoint\n",
        HEADER "extra \nindex 0\n\ncheckpoint\n",
        HEADER "extra ZXh0cmE=\nextra ZXh0cmE=\nindex 0\n\ncheckpoint\n",
        HEADER "\n\ncheckpoint\n",
        HEADER "index notanumber\n\ncheckpoint\n",
        HEADER "index -5\n\ncheckpoint\n",
        HEADER "index 05\n\ncheckpoint\n",
        HEADER "index\n\ncheckpoint\n",
        HEADER "index \n\ncheckpoint\n",
        HEADER "index 9223372036854775808\n\ncheckpoint\n",
        HEADER "indexes 0\n\ncheckpoint\n",
        HEADER "index 0\n!!notbase64!!\n\ncheckpoint\n",
        HEADER "index 0\n" HASH HASH "\n\ncheckpoint\n",
        HEADER "index 0\nZXh0cmE=\n\ncheckpoint\n",
        HEADER "index 0\n" HASH "\n",
        HEADER "index 0\n" HASH "\n\n",
        HEADER "index 0\n" HASH "\ncheckpoint\n",
        HEADER "old 0\n\ncheckpoint\n",
        "old x\n\ncheckpoint\n",
        "old 7\n" HASH "=\n\ncheckpoint\n",
        "older 7\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\ncheckpoint\n",
    };
    static char many[8192] = HEADER "index 0\n";
    struct oxv_proof_file file;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (oxv_proof_file_parse(oxv_view_text(wrong[i]), &file, NULL) != OXV_E_FORMAT) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
    for (size_t i = 0; i < OXV_PROOF_MAX_HASHES + 1; i++) {
        size_t len = strlen(many);

        (void)snprintf(many + len, sizeof many - len, "%s", HASH "\n");
    }
    size_t len = strlen(many);

    (void)snprintf(many + len, sizeof many - len, "%s", "\ncheckpoint\n");
    assert_int_equal(oxv_proof_file_parse(oxv_view_text(many), &file, NULL), OXV_E_FORMAT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_of_others_are_opened_with_their_keys),
        cmocka_unit_test(a_text_may_hold_empty_lines),
        cmocka_unit_test(malformed_notes_are_refused),
        cmocka_unit_test(a_hundred_signatures_are_taken_and_one_more_is_not),
        cmocka_unit_test(a_note_with_any_bit_flipped_is_no_longer_the_signers),
        cmocka_unit_test(a_bad_signature_of_a_known_key_is_not_overlooked),
        cmocka_unit_test(a_cosignature_is_checked_with_its_time),
        cmocka_unit_test(a_witness_with_the_zero_seed_writes_the_known_line),
        cmocka_unit_test(a_checkpoint_is_written_as_a_note_of_one_key),
        cmocka_unit_test(a_checkpoint_is_read_in_one_form_only),
        cmocka_unit_test(a_proof_of_an_entry_is_read_and_holds),
        cmocka_unit_test(a_proof_of_growth_is_read_and_holds),
        cmocka_unit_test(what_goes_with_a_proof_is_read_back),
        cmocka_unit_test(malformed_proof_files_are_refused),
    };

    hasher = oxv_hasher_new();
    if (hasher == NULL || oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    int failed = cmocka_run_group_tests_name("log checkpoints", tests, NULL, NULL);

    oxv_hasher_free(hasher);
    return failed;
}
