/* The parts of pkcs11/ that need no token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkcs11/ckr.h"
#include "pkcs11/module.h"
#include "pkcs11/module_file.h"
#include "pkcs11/refused_pin.h"
#include "pkcs11/templates.h"
#include "pkcs11/token.h"
#include "pkcs11/uri.h"

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

static int
set_up_secrets(void **state)
{
    (void)state;
    return oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) == OXV_OK ? 0 : 1;
}

static void
codes_have_the_class_that_their_action_needs(void **state)
{
    static const struct {
        CK_RV ckr;
        enum oxv_p11_ckr_class class;
    } cases[] = {
        { CKR_OK, OXV_P11_CKR_FINE },
        { CKR_OBJECT_HANDLE_INVALID, OXV_P11_CKR_STALE },
        { CKR_KEY_HANDLE_INVALID, OXV_P11_CKR_STALE },
        { CKR_SESSION_HANDLE_INVALID, OXV_P11_CKR_SESSION },
        { CKR_OPERATION_ACTIVE, OXV_P11_CKR_SESSION },
        { CKR_USER_NOT_LOGGED_IN, OXV_P11_CKR_LOGIN },
        { CKR_GENERAL_ERROR, OXV_P11_CKR_DEVICE },
        { CKR_DEVICE_REMOVED, OXV_P11_CKR_DEVICE },
        { CKR_TOKEN_NOT_PRESENT, OXV_P11_CKR_DEVICE },
        { CKR_CRYPTOKI_NOT_INITIALIZED, OXV_P11_CKR_DEVICE },
        { CKR_SESSION_COUNT, OXV_P11_CKR_DEVICE },
        { 0x4711, OXV_P11_CKR_DEVICE },
        { CKR_VENDOR_DEFINED | 1, OXV_P11_CKR_DEVICE },
        { CKR_PIN_INCORRECT, OXV_P11_CKR_CREDENTIAL },
        { CKR_PIN_LOCKED, OXV_P11_CKR_CREDENTIAL },
        { CKR_PIN_LEN_RANGE, OXV_P11_CKR_CREDENTIAL },
        { CKR_MECHANISM_INVALID, OXV_P11_CKR_CONFIGURATION },
        { CKR_TEMPLATE_INCONSISTENT, OXV_P11_CKR_CONFIGURATION },
        { CKR_ATTRIBUTE_TYPE_INVALID, OXV_P11_CKR_CONFIGURATION },
        { CKR_DATA_LEN_RANGE, OXV_P11_CKR_CONFIGURATION },
        { CKR_ENCRYPTED_DATA_INVALID, OXV_P11_CKR_DATA },
        { CKR_WRAPPED_KEY_INVALID, OXV_P11_CKR_DATA },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(oxv_p11_ckr_class(cases[i].ckr), cases[i].class);
    }
}

static void
a_fault_is_one_printable_line_with_its_code(void **state)
{
    struct oxv_p11_fault fault;
    char longer[3 * OXV_P11_FAULT_TEXT_MAX_BYTES];

    (void)state;
    assert_int_equal(oxv_p11_call_failed(&fault, "C_Sign", CKR_DEVICE_ERROR), OXV_TOKEN_ABSENT);
    assert_string_equal(fault.text, "C_Sign: CKR_DEVICE_ERROR");
    assert_int_equal(fault.ckr, CKR_DEVICE_ERROR);
    assert_int_equal(oxv_p11_fault_prefix(&fault, "pair"), OXV_TOKEN_ABSENT);
    assert_string_equal(fault.text, "pair: C_Sign: CKR_DEVICE_ERROR");
    (void)oxv_p11_fault(&fault, OXV_TOKEN_UNFIT, CKR_OK, "a\n\x1b\x80\xc3\xa4%s", "");
    assert_string_equal(fault.text, "a???\xc3\xa4");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    (void)oxv_p11_fault(&fault, OXV_TOKEN_UNFIT, CKR_OK, "%s", longer);
    assert_int_equal(strlen(fault.text), OXV_P11_FAULT_TEXT_MAX_BYTES - 1);
}

/* -1: not there. */
static int
flag_of(const struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type)
{
    int found = -1;

    for (size_t i = 0; i < t->count; i++) {
        if (t->items[i].type == type) {
            assert_int_equal(found, -1);
            assert_int_equal(t->items[i].ulValueLen, 1);
            found = *(const CK_BBOOL *)t->items[i].pValue;
        }
    }
    return found;
}

static void
no_template_leaves_to_the_token_what_may_leave(void **state)
{
    struct oxv_p11_identity identity = { .id = oxv_view_text("0123456789abcdef"),
                                         .label = oxv_view_text("label"),
                                         .on_token = true };
    struct oxv_p11_template t;

    (void)state;
    oxv_p11_template_hmac(&t, &identity, CKK_SHA256_HMAC);
    static const CK_ATTRIBUTE_TYPE hmac_no[] = { CKA_EXTRACTABLE, CKA_ENCRYPT, CKA_DECRYPT,
                                                 CKA_WRAP,        CKA_UNWRAP,  CKA_DERIVE,
                                                 CKA_MODIFIABLE };

    for (size_t i = 0; i < sizeof hmac_no / sizeof hmac_no[0]; i++) {
        assert_int_equal(flag_of(&t, hmac_no[i]), 0);
    }
    assert_int_equal(flag_of(&t, CKA_SENSITIVE), 1);
    assert_int_equal(flag_of(&t, CKA_PRIVATE), 1);
    assert_int_equal(flag_of(&t, CKA_SIGN), 1);
    assert_int_equal(flag_of(&t, CKA_TOKEN), 1);
    for (int wraps = 0; wraps <= 1; wraps++) {
        oxv_p11_template_aes(&t, &identity, wraps == 1);
        assert_int_equal(flag_of(&t, CKA_WRAP), wraps);
        assert_int_equal(flag_of(&t, CKA_UNWRAP), wraps);
        assert_int_equal(flag_of(&t, CKA_ENCRYPT), !wraps);
        assert_int_equal(flag_of(&t, CKA_DECRYPT), !wraps);
        assert_int_equal(flag_of(&t, CKA_SENSITIVE), 1);
        assert_int_equal(flag_of(&t, CKA_EXTRACTABLE), 0);
    }
    oxv_p11_template_private(&t, &identity, OXV_P11_PAIR_UNWRAP);
    assert_int_equal(flag_of(&t, CKA_DECRYPT), 0);
    assert_int_equal(flag_of(&t, CKA_UNWRAP), 1);
    oxv_p11_template_private(&t, &identity, OXV_P11_PAIR_DECRYPT);
    assert_int_equal(flag_of(&t, CKA_DECRYPT), 1);
    assert_int_equal(flag_of(&t, CKA_UNWRAP), -1);
    assert_int_equal(flag_of(&t, CKA_SENSITIVE), 1);
    assert_int_equal(flag_of(&t, CKA_EXTRACTABLE), 0);
}

static void
the_unwrap_template_says_what_a_key_becomes(void **state)
{
    struct oxv_p11_identity identity = { .on_token = true };
    struct oxv_p11_template t;
    const CK_ATTRIBUTE *nested = NULL;

    (void)state;
    oxv_p11_template_private(&t, &identity, OXV_P11_PAIR_UNWRAP);
    for (size_t i = 0; i < t.count; i++) {
        if (t.items[i].type == CKA_UNWRAP_TEMPLATE) {
            assert_int_equal(t.items[i].ulValueLen, 3 * sizeof *nested);
            nested = t.items[i].pValue;
        }
    }
    assert_non_null(nested);
    assert_int_equal(nested[0].type, CKA_SENSITIVE);
    assert_int_equal(*(const CK_BBOOL *)nested[0].pValue, CK_TRUE);
    assert_int_equal(nested[1].type, CKA_EXTRACTABLE);
    assert_int_equal(*(const CK_BBOOL *)nested[1].pValue, CK_FALSE);
    assert_int_equal(nested[2].type, CKA_DERIVE);
    assert_int_equal(*(const CK_BBOOL *)nested[2].pValue, CK_FALSE);
}

static void
fill_field(unsigned char *field, size_t len, const char *text)
{
    memset(field, ' ', len);
    memcpy(field, text, strlen(text));
}

static CK_TOKEN_INFO
token_info(const char *label)
{
    CK_TOKEN_INFO info = { 0 };

    fill_field(info.label, sizeof info.label, label);
    fill_field(info.manufacturerID, sizeof info.manufacturerID, "M;=/\xc3\xa4");
    fill_field(info.model, sizeof info.model, "mo del");
    fill_field(info.serialNumber, sizeof info.serialNumber, "0123");
    return info;
}

static void
the_canonical_uri_names_its_token_and_no_other(void **state)
{
    CK_TOKEN_INFO info = token_info("ci");
    CK_TOKEN_INFO other = token_info("ci2");
    OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *uri = NULL;
    struct oxv_p11_fault fault;
    char text[OXV_TOKEN_URI_MAX_BYTES + 1];
    char field[33];

    (void)state;
    assert_string_equal(oxv_p11_uri_of(&info, text),
                        "pkcs11:model=mo%20del;manufacturer=M%3b%3d%2f%c3%a4;serial=0123;token=ci");
    assert_int_equal(oxv_p11_uri_parse(oxv_view_text(text), &uri, &fault), OXV_TOKEN_FINE);
    assert_true(oxv_p11_uri_fits(uri, &info));
    assert_false(oxv_p11_uri_fits(uri, &other));
    fill_field(info.label, sizeof info.label, "");
    assert_string_equal(oxv_p11_uri_of(&info, text),
                        "pkcs11:model=mo%20del;manufacturer=M%3b%3d%2f%c3%a4;serial=0123");
    fill_field(info.label, sizeof info.label, "\x01\xff");
    assert_string_equal(oxv_p11_field(info.label, sizeof info.label, field, sizeof field), "??");
}

static void
a_uri_is_refused_at_every_truncation_that_leaves_something_empty(void **state)
{
    static const char *const bad[] = { "",
                                       "p",
                                       "pkcs11",
                                       "pkcs11:",
                                       "pkcs11:token",
                                       "pkcs11:token=",
                                       "pkcs11:token=a;",
                                       "pkcs11:token=a;serial",
                                       "pkcs11:token=a?",
                                       "pkcs11:?",
                                       "pkcs11:;",
                                       "pkcs11:=" };
    struct oxv_p11_uri *uri = NULL;
    struct oxv_p11_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(oxv_p11_uri_parse(oxv_view_text(bad[i]), &uri, &fault), OXV_TOKEN_REFUSED);
        assert_null(uri);
        assert_true(strlen(fault.text) > 0);
    }
}

static void
a_uri_with_a_control_byte_in_a_value_is_refused(void **state)
{
    static const char *const bad[] = {
        "pkcs11:token=%00",          "pkcs11:token=ci%00",
        "pkcs11:token=%00;serial=1", "pkcs11:serial=%00;token=ci",
        "pkcs11:token=c%0ai",        "pkcs11:manufacturer=%1F;token=ci",
        "pkcs11:token=%7f"
    };
    static const char *const good[] = { "pkcs11:token=%20c%c3%a4%7e", "pkcs11:token=%2500" };
    struct oxv_p11_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oxv_p11_uri *uri = NULL;

        assert_int_equal(oxv_p11_uri_parse(oxv_view_text(bad[i]), &uri, &fault), OXV_TOKEN_REFUSED);
        assert_null(uri);
        assert_string_equal(fault.text, "token URI: a value has a control character");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *uri = NULL;

        assert_int_equal(oxv_p11_uri_parse(oxv_view_text(good[i]), &uri, &fault), OXV_TOKEN_FINE);
    }
}

static void
a_module_file_gives_path_and_init_string(void **state)
{
    struct oxv_p11_module_file file = { .path = "untouched" };
    struct oxv_p11_fault fault;

    (void)state;
    assert_int_equal(oxv_p11_module_text(oxv_view_text("remote: |x\nmodule: /a"), &file, &fault),
                     OXV_TOKEN_REFUSED);
    assert_int_equal(oxv_p11_module_text(oxv_view("module: a\0b", 11), &file, &fault),
                     OXV_TOKEN_REFUSED);
    assert_string_equal(file.path, "untouched");
    assert_int_equal(
        oxv_p11_module_text(
            oxv_view_text(
                "# c\n\nx-init-reserved: configdir='sql:/x' flags=\r\n module :\t/a b.so "),
            &file, &fault),
        OXV_TOKEN_FINE);
    assert_string_equal(file.path, "/a b.so");
    assert_string_equal(file.reserved, "configdir='sql:/x' flags=");
}

static void
a_refused_pin_is_known_again_only_with_its_token(void **state)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = oxv_secret_copy(oxv_view_text("1234"));
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *other = oxv_secret_copy(oxv_view_text("1235"));
    struct oxv_p11_refused_pin refused;
    struct oxv_p11_refused_pin none = { 0 };
    bool is = false;

    (void)state;
    assert_int_equal(oxv_p11_refused_pin_make(pin, "pkcs11:token=a", NULL, &refused), OXV_OK);
    assert_int_equal(oxv_p11_refused_pin_is(&refused, pin, "pkcs11:token=a", &is), OXV_OK);
    assert_true(is);
    assert_int_equal(oxv_p11_refused_pin_is(&refused, other, "pkcs11:token=a", &is), OXV_OK);
    assert_false(is);
    is = true;
    assert_int_equal(oxv_p11_refused_pin_is(&refused, pin, "pkcs11:token=b", &is), OXV_OK);
    assert_false(is);
    is = true;
    assert_int_equal(oxv_p11_refused_pin_is(&none, pin, "pkcs11:token=a", &is), OXV_OK);
    assert_false(is);
}

static void
of_several_refused_pins_each_is_known_again(void **state)
{
    static const char *const texts[] = { "1234", "1235", "1236" };
    struct oxv_p11_refused_pins known = { 0 };
    struct oxv_p11_refused_pin found = { 0 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        OXV_AUTO(oxv_secret_freep)
        struct oxv_secret *pin = oxv_secret_copy(oxv_view_text(texts[i]));
        struct oxv_p11_refused_pin made = { 0 };

        assert_int_equal(oxv_p11_refused_pin_find(&known, pin, "pkcs11:token=a", &found), OXV_OK);
        assert_false(found.is_set);
        assert_int_equal(oxv_p11_refused_pin_make(pin, "pkcs11:token=a", i == 0 ? NULL : known.salt,
                                                  &made),
                         OXV_OK);
        memcpy(known.salt, made.salt, sizeof known.salt);
        memcpy(known.hashes[known.count++], made.hash, sizeof made.hash);
        assert_int_equal(oxv_p11_refused_pin_find(&known, pin, "pkcs11:token=a", &found), OXV_OK);
        assert_true(found.is_set);
        assert_memory_equal(found.hash, made.hash, sizeof made.hash);
    }
}

/* What a child of the process that loaded the module may do: nothing. */
static int
try_everything(struct oxv_p11_token *token)
{
    struct oxv_p11_login login = { .again = true };
    struct oxv_p11_fault fault;
    bool all_refused = oxv_p11_token_open(token, &fault) == OXV_TOKEN_REFUSED &&
                       oxv_p11_token_login(token, &login, &fault) == OXV_TOKEN_REFUSED;

    oxv_p11_token_try_again(token);
    return all_refused ? 42 : 1;
}

static void
a_forked_child_is_refused_without_touching_the_module(void **state)
{
    struct oxv_p11_open wanted = { .module = oxv_view_text(SOFTHSM),
                                   .uri = oxv_view_text("pkcs11:token=ci") };
    OXV_AUTO(oxv_p11_token_freep) struct oxv_p11_token *token = NULL;
    struct oxv_p11_fault fault;
    int status = 0;

    (void)state;
    if (access(SOFTHSM, R_OK) != 0) {
        skip();
    }
    assert_int_equal(oxv_p11_token_new(&wanted, &token, &fault), OXV_TOKEN_FINE);
    pid_t child = fork();

    if (child == 0) {
        _exit(try_everything(token));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_the_class_that_their_action_needs),
        cmocka_unit_test(a_fault_is_one_printable_line_with_its_code),
        cmocka_unit_test(no_template_leaves_to_the_token_what_may_leave),
        cmocka_unit_test(the_unwrap_template_says_what_a_key_becomes),
        cmocka_unit_test(the_canonical_uri_names_its_token_and_no_other),
        cmocka_unit_test(a_uri_is_refused_at_every_truncation_that_leaves_something_empty),
        cmocka_unit_test(a_uri_with_a_control_byte_in_a_value_is_refused),
        cmocka_unit_test(a_module_file_gives_path_and_init_string),
        cmocka_unit_test(a_refused_pin_is_known_again_only_with_its_token),
        cmocka_unit_test(of_several_refused_pins_each_is_known_again),
        cmocka_unit_test(a_forked_child_is_refused_without_touching_the_module),
    };

    return cmocka_run_group_tests(tests, set_up_secrets, NULL);
}
