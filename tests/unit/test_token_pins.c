/* PINs and which of them were refused, through the keeper's own module. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "service/keeper/token_pins.h"

#define URI "pkcs11:model=m;manufacturer=f;serial=1;token=ci"

static char path[] = "/tmp/oxv-pins-XXXXXX";
static int dir_fd = -1;

static int
set_up(void **state)
{
    (void)state;
    return mkdtemp(path) != NULL && (dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    (void)unlinkat(dir_fd, OXV_TOKEN_PINS_FILE, 0); /* not every test makes it */
    oxv_closep(&dir_fd);
    return rmdir(path);
}

static int
forget_file(void **state)
{
    (void)state;
    (void)unlinkat(dir_fd, OXV_TOKEN_PINS_FILE, 0); /* not every test makes it */
    return 0;
}

static enum oxv_status
add(struct oxv_token_pins *pins, const char *label, struct oxv_view bytes)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(oxv_write_all(ends[1], bytes), OXV_OK);
    oxv_closep(&ends[1]);
    return oxv_token_pins_add_source(pins, oxv_view_text(label), ends[0], NULL);
}

static struct oxv_token_pins *
new_pins(void)
{
    struct oxv_token_pins *pins = NULL;

    assert_int_equal(oxv_token_pins_new(&pins), OXV_OK);
    return pins;
}

static void
assert_pin(const struct oxv_token_pins *pins, const char *uri, const char *label, const char *pin)
{
    const struct oxv_secret *found =
        oxv_token_pins_find(pins, oxv_view_text(uri), oxv_view_text(label), true);

    if (pin == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_true(oxv_secret_equals(found, oxv_view_text(pin)));
    }
}

static void
one_line_ending_goes_and_no_more(void **state)
{
    static const struct {
        const char *bytes, *pin;
    } good[] = { { "1234", "1234" },          { "1234\n", "1234" },   { "1234\r\n", "1234" },
                 { "1234\n\n", "1234\n" },    { "1234\r", "1234\r" }, { " 1234 \n", " 1234 " },
                 { "1234\r\n\n", "1234\r\n" } };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();

        assert_int_equal(add(pins, "", oxv_view_text(good[i].bytes)), OXV_OK);
        assert_pin(pins, URI, "ci", good[i].pin);
    }
}

static void
what_is_no_pin_is_refused(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    uint8_t longest[2048];

    (void)state;
    memset(longest, 'p', sizeof longest);
    assert_int_equal(add(pins, "", oxv_view_text("")), OXV_E_NOT_FOUND);
    assert_int_equal(add(pins, "", oxv_view_text("\n")), OXV_E_NOT_FOUND);
    assert_int_equal(add(pins, "", oxv_view_text("\r\n")), OXV_E_NOT_FOUND);
    assert_int_equal(add(pins, "",
                         oxv_view("12\0"
                                  "34",
                                  5)),
                     OXV_E_USAGE);
    assert_int_equal(add(pins, "", oxv_view(longest, OXV_TOKEN_PIN_MAX_BYTES + 1)), OXV_E_USAGE);
    assert_int_equal(add(pins, "", oxv_view(longest, sizeof longest)), OXV_E_USAGE);
    assert_false(oxv_token_pins_have_source(pins));
    assert_pin(pins, URI, "ci", NULL);
    assert_int_equal(add(pins, "", oxv_view(longest, OXV_TOKEN_PIN_MAX_BYTES)), OXV_OK);
    assert_true(oxv_token_pins_have_source(pins));
}

static void
a_token_that_is_new_gets_no_pin_of_others(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();

    (void)state;
    assert_int_equal(add(pins, "", oxv_view_text("of the vault")), OXV_OK);
    assert_null(oxv_token_pins_find(pins, oxv_view_text(URI), oxv_view_text("ci"), false));
    assert_pin(pins, URI, "ci", "of the vault");
    assert_int_equal(add(pins, "ci", oxv_view_text("labelled")), OXV_OK);
    assert_true(
        oxv_secret_equals(oxv_token_pins_find(pins, oxv_view_text(URI), oxv_view_text("ci"), false),
                          oxv_view_text("labelled")));
    assert_null(oxv_token_pins_find(pins, oxv_view_text(URI), oxv_view_text("other"), false));
}

static void
the_nearest_pin_is_taken(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();

    (void)state;
    assert_int_equal(add(pins, "other", oxv_view_text("other")), OXV_OK);
    assert_pin(pins, URI, "ci", NULL);
    assert_int_equal(add(pins, "", oxv_view_text("any")), OXV_OK);
    assert_pin(pins, URI, "ci", "any");
    assert_int_equal(add(pins, "ci", oxv_view_text("of label")), OXV_OK);
    assert_pin(pins, URI, "ci", "of label");
    oxv_token_pins_remember(pins, oxv_view_text(URI), oxv_view_text("typed"));
    oxv_token_pins_remember(pins, oxv_view_text(URI), oxv_view_text("typed anew"));
    assert_pin(pins, URI, "ci", "typed anew");
    assert_pin(pins, "pkcs11:token=2", "ci", "of label");
    assert_pin(pins, "pkcs11:token=2", "other", "other");
    oxv_token_pins_forget_typed(pins);
    assert_pin(pins, URI, "ci", "of label");
}

/* A hash of 32 bytes that ends in `hash`; an empty one stays empty. */
static struct oxv_view
hash_of(const char *hash, uint8_t out[OXV_REFUSED_HASH_BYTES])
{
    size_t len = strlen(hash);

    memset(out, 'h', OXV_REFUSED_HASH_BYTES);
    memcpy(out + OXV_REFUSED_HASH_BYTES - len, hash, len);
    return oxv_view(out, len == 0 ? 0 : OXV_REFUSED_HASH_BYTES);
}

static void
refuse_salted(struct oxv_token_pins *pins, const char *uri, const char *salt, const char *hash)
{
    uint8_t bytes[OXV_REFUSED_HASH_BYTES];
    struct oxv_refused_pin refused = { .token_uri = oxv_view_text(uri),
                                       .salt = oxv_view_text(salt),
                                       .hash = hash_of(hash, bytes),
                                       .when_us = 7 };

    assert_true(oxv_token_pins_refuse(pins, dir_fd, &refused));
}

static void
refuse(struct oxv_token_pins *pins, const char *uri, const char *hash)
{
    refuse_salted(pins, uri, "salt", hash);
}

/* Is this the n-th that is remembered, of so many? */
static void
assert_refused(const struct oxv_token_pins *pins, size_t n, size_t count, const char *hash)
{
    uint8_t bytes[OXV_REFUSED_HASH_BYTES];
    struct oxv_refused_pin refused = oxv_token_pins_refused(pins, oxv_view_text(URI));

    assert_int_equal(refused.hash.len, count * OXV_REFUSED_HASH_BYTES);
    assert_true(oxv_view_equals(oxv_view_slice(refused.hash, n * OXV_REFUSED_HASH_BYTES,
                                               OXV_REFUSED_HASH_BYTES),
                                hash_of(hash, bytes)));
}

static void
what_was_refused_outlives_a_restart(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *again = new_pins();
    struct stat st;

    (void)state;
    refuse(pins, URI, "first");
    refuse(pins, "pkcs11:token=2", "second");
    refuse(pins, URI, "third");
    assert_int_equal(fstatat(dir_fd, OXV_TOKEN_PINS_FILE, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    oxv_token_pins_load(again, dir_fd);
    struct oxv_refused_pin refused = oxv_token_pins_refused(again, oxv_view_text(URI));

    assert_true(oxv_view_is(refused.salt, "salt"));
    assert_refused(again, 0, 2, "first");
    assert_refused(again, 1, 2, "third");
    assert_int_equal(refused.when_us, 7);
    assert_int_equal(oxv_token_pins_refused(again, oxv_view_text("pkcs11:token=3")).hash.len, 0);
    oxv_token_pins_clear(again, dir_fd, oxv_view_text(URI));
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(oxv_token_pins_refused(pins, oxv_view_text(URI)).hash.len, 0);
    assert_int_not_equal(oxv_token_pins_refused(pins, oxv_view_text("pkcs11:token=2")).hash.len, 0);
}

/* The PIN file's, and those that people typed: none of them is offered again. */
static void
all_that_was_refused_is_remembered_up_to_a_bound(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    char hash[8];

    (void)state;
    for (unsigned i = 0; i < OXV_REFUSED_OF_ONE; i++) {
        (void)snprintf(hash, sizeof hash, "%u", i);
        refuse(pins, URI, hash);
        refuse(pins, URI, hash); /* it was tried again: still one */
    }
    oxv_token_pins_load(pins, dir_fd);
    assert_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
    assert_refused(pins, 0, OXV_REFUSED_OF_ONE, "0");
    assert_refused(pins, OXV_REFUSED_OF_ONE - 1, OXV_REFUSED_OF_ONE, "7");
    refuse(pins, URI, "8");
    for (int i = 0; i < 2; i++) {
        assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
        refuse(pins, URI, "9"); /* does not make the first ones unknown */
        oxv_token_pins_load(pins, dir_fd);
    }
    oxv_token_pins_clear(pins, dir_fd, oxv_view_text(URI));
    assert_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
    refuse(pins, URI, "first");
    refuse_salted(pins, URI, "other", "second");
    assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
}

static uint64_t
tried(const struct oxv_token_pins *pins)
{
    return oxv_token_pins_refused(pins, oxv_view_text(URI)).tried_us;
}

static void
a_login_without_an_end_outlives_a_restart(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    struct oxv_view uri = oxv_view_text(URI);

    (void)state;
    assert_true(oxv_token_pins_tried(pins, dir_fd, uri, 0));
    assert_int_equal(faccessat(dir_fd, OXV_TOKEN_PINS_FILE, F_OK, 0), -1); /* nothing to say */
    assert_true(oxv_token_pins_tried(pins, dir_fd, uri, 5));
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(tried(pins), 5);
    assert_null(oxv_token_pins_hindrance(pins, uri));
    assert_true(oxv_token_pins_tried(pins, dir_fd, uri, 0));
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(tried(pins), 0);
    refuse(pins, URI, "first");
    assert_true(oxv_token_pins_tried(pins, dir_fd, uri, 6)); /* beside what was refused */
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(tried(pins), 6);
    assert_refused(pins, 0, 1, "first");
    refuse(pins, URI, "second"); /* an end */
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(tried(pins), 0);
    assert_refused(pins, 1, 2, "second");
    assert_true(oxv_token_pins_tried(pins, dir_fd, uri, 7));
    oxv_token_pins_clear(pins, dir_fd, uri);
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(tried(pins), 0);
    assert_int_equal(oxv_token_pins_refused(pins, uri).hash.len, 0);
}

/* After damage a login that only began is no sign that a person was there. */
static void
a_login_without_an_end_says_nothing_of_a_damaged_file(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();

    (void)state;
    assert_int_equal(oxv_replace_file_at(dir_fd, OXV_TOKEN_PINS_FILE, 0600,
                                         oxv_view_text("damaged"), NULL),
                     OXV_OK);
    oxv_token_pins_load(pins, dir_fd);
    assert_true(oxv_token_pins_tried(pins, dir_fd, oxv_view_text(URI), 5));
    oxv_token_pins_load(pins, dir_fd);
    assert_int_equal(tried(pins), 5);
    assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
}

static void
what_cannot_be_kept_is_told(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    const struct oxv_refused_pin refused = { .token_uri = oxv_view_text(URI), .when_us = 7 };
    int read_end[2];

    (void)state;
    assert_int_equal(pipe(read_end), 0); /* no directory */
    assert_false(oxv_token_pins_refuse(pins, read_end[0], &refused));
    assert_true(oxv_token_pins_refuse(pins, -1, &refused)); /* a vault that is being made */
    assert_int_equal(close(read_end[0]), 0);
    assert_int_equal(close(read_end[1]), 0);
}

static void
more_tokens_than_fit_push_out_one(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    char uri[32];

    (void)state;
    for (unsigned i = 0; i <= OXV_REFUSED_PINS_MAX; i++) {
        (void)snprintf(uri, sizeof uri, "pkcs11:token=%u", i);
        refuse(pins, uri, "hash");
    }
    oxv_token_pins_load(pins, dir_fd);
    assert_null(oxv_token_pins_hindrance(pins, oxv_view_text("pkcs11:token=none")));
    assert_int_not_equal(oxv_token_pins_refused(pins, oxv_view_text(uri)).hash.len, 0);
    assert_int_equal(oxv_token_pins_refused(pins, oxv_view_text("pkcs11:token=0")).hash.len, 0);
}

static void
a_damaged_file_is_noticed_at_every_length(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();
    uint8_t bytes[512];
    size_t len = 0;

    (void)state;
    refuse(pins, URI, "hash");
    assert_int_equal(oxv_read_file_at(dir_fd, OXV_TOKEN_PINS_FILE, bytes, sizeof bytes - 1, &len,
                                      NULL),
                     OXV_OK);
    for (size_t n = 0; n <= len + 1; n++) {
        size_t count = 99;
        enum oxv_status st;

        bytes[len] = 0;
        st = oxv_token_pins_parse(oxv_view(bytes, n), &count, NULL);
        if (n == len) {
            assert_int_equal(st, OXV_OK);
            assert_int_equal(count, 1);
        } else if (n != 13) { /* up to there it is a file without any */
            assert_int_equal(st, OXV_E_FORMAT);
            assert_int_equal(count, 99);
        }
    }
    assert_int_equal(oxv_replace_file_at(dir_fd, OXV_TOKEN_PINS_FILE, 0600,
                                         oxv_view(bytes, len - 1), NULL),
                     OXV_OK);
    oxv_token_pins_load(pins, dir_fd);
    assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
}

static void
after_damage_each_token_is_unknown_until_its_own_login(void **state)
{
    static const char *const other = "pkcs11:token=2";
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();

    (void)state;
    assert_int_equal(oxv_replace_file_at(dir_fd, OXV_TOKEN_PINS_FILE, 0600,
                                         oxv_view_text("damaged"), NULL),
                     OXV_OK);
    oxv_token_pins_load(pins, dir_fd);
    refuse(pins, "pkcs11:token=3", "hash");
    oxv_token_pins_clear(pins, dir_fd, oxv_view_text(URI));
    oxv_token_pins_clear(pins, dir_fd, oxv_view_text(URI));
    for (int i = 0; i < 2; i++) {
        assert_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
        assert_null(oxv_token_pins_hindrance(pins, oxv_view_text("pkcs11:token=3")));
        assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(other)));
        oxv_token_pins_load(pins, dir_fd);
    }
    refuse(pins, URI, "hash");
    oxv_token_pins_load(pins, dir_fd);
    assert_int_not_equal(oxv_token_pins_refused(pins, oxv_view_text(URI)).hash.len, 0);
    assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(other)));
}

static void
a_refusal_without_a_hash_stands_for_any_pin(void **state)
{
    OXV_AUTO(oxv_token_pins_freep) struct oxv_token_pins *pins = new_pins();

    (void)state;
    refuse(pins, URI, "hash");
    refuse(pins, URI, "");
    assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
    oxv_token_pins_load(pins, dir_fd);
    assert_non_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
    assert_int_equal(oxv_token_pins_refused(pins, oxv_view_text(URI)).hash.len, 0);
    oxv_token_pins_clear(pins, dir_fd, oxv_view_text(URI));
    oxv_token_pins_load(pins, dir_fd);
    assert_null(oxv_token_pins_hindrance(pins, oxv_view_text(URI)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_ending_goes_and_no_more),
        cmocka_unit_test(what_is_no_pin_is_refused),
        cmocka_unit_test(a_token_that_is_new_gets_no_pin_of_others),
        cmocka_unit_test(what_cannot_be_kept_is_told),
        cmocka_unit_test(the_nearest_pin_is_taken),
        cmocka_unit_test_teardown(what_was_refused_outlives_a_restart, forget_file),
        cmocka_unit_test_teardown(all_that_was_refused_is_remembered_up_to_a_bound, forget_file),
        cmocka_unit_test_teardown(a_login_without_an_end_outlives_a_restart, forget_file),
        cmocka_unit_test_teardown(a_login_without_an_end_says_nothing_of_a_damaged_file,
                                  forget_file),
        cmocka_unit_test_teardown(more_tokens_than_fit_push_out_one, forget_file),
        cmocka_unit_test_teardown(a_damaged_file_is_noticed_at_every_length, forget_file),
        cmocka_unit_test_teardown(after_damage_each_token_is_unknown_until_its_own_login,
                                  forget_file),
        cmocka_unit_test_teardown(a_refusal_without_a_hash_stands_for_any_pin, forget_file),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
