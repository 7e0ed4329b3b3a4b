/* Secrets: locked, guarded, wiped. */
#include "test_base_support.h"

#include <signal.h>

#include "base/secret.h"

/* The memory that main() was told to use. */
static enum oxv_secret_memory wanted_memory;

static void
setup_picks_the_memory_that_was_asked_for(void **state)
{
    enum oxv_secret_memory used = oxv_secret_memory_used();

    (void)state;
    assert_int_not_equal(used, OXV_SECRET_MEMORY_AUTO);
    if (wanted_memory != OXV_SECRET_MEMORY_AUTO) {
        assert_int_equal(used, wanted_memory);
    }
}

static void
names_of_memories_are_parsed_back(void **state)
{
    enum oxv_secret_memory memory = OXV_SECRET_MEMORY_SODIUM;

    (void)state;
    assert_string_equal(oxv_secret_memory_name(OXV_SECRET_MEMORY_MEMFD), "memfd_secret");
    assert_string_equal(oxv_secret_memory_name(OXV_SECRET_MEMORY_SODIUM), "sodium_malloc");
    assert_true(oxv_secret_memory_parse(oxv_view_text("memfd"), &memory));
    assert_int_equal(memory, OXV_SECRET_MEMORY_MEMFD);
    assert_true(oxv_secret_memory_parse(oxv_view_text("auto"), &memory));
    assert_int_equal(memory, OXV_SECRET_MEMORY_AUTO);
    assert_true(oxv_secret_memory_parse(oxv_view_text("sodium"), &memory));
    assert_false(oxv_secret_memory_parse(oxv_view_text("heap"), &memory));
    assert_int_equal(memory, OXV_SECRET_MEMORY_SODIUM);
}

static void
a_new_secret_is_zero_and_of_its_length(void **state)
{
    static const uint8_t zeros[5000];

    (void)state;
    for (size_t len = 0; len <= sizeof zeros; len += 1 + len / 3) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *s = oxv_secret_new(len);

        assert_non_null(s);
        assert_int_equal(oxv_secret_len(s), len);
        assert_int_equal(oxv_secret_view(s).len, len);
        assert_memory_equal(oxv_secret_bytes(s), zeros, len);
    }
    assert_null(oxv_secret_new(SIZE_MAX));
}

static void
copies_and_random_secrets_compare(void **state)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *copy = oxv_secret_copy(oxv_view_text("secret"));
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *first = oxv_secret_random(32);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *second = oxv_secret_random(32);

    (void)state;
    assert_true(oxv_secret_equals(copy, oxv_view_text("secret")));
    assert_false(oxv_secret_equals(copy, oxv_view_text("secreT")));
    assert_false(oxv_secret_equals(copy, oxv_view_text("secre")));
    assert_false(oxv_secret_equals(first, oxv_secret_view(second)));
    struct oxv_secret *moved = oxv_secret_take(&first);

    assert_null(first);
    oxv_secret_free(moved);
    oxv_secret_free(NULL);
}

static void
shortening_wipes_the_rest(void **state)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *s = oxv_secret_copy(oxv_view_text("secret"));
    const uint8_t *bytes = oxv_secret_bytes(s);

    (void)state;
    oxv_secret_shorten(s, 2);
    assert_int_equal(oxv_secret_len(s), 2);
    assert_memory_equal(bytes, "se\0\0\0\0", 6);
    oxv_secret_shorten(s, 0);
    assert_int_equal(bytes[0], 0);
}

/* A child that touches a byte and must die of it. */
static void
check_guarded(const volatile uint8_t *at)
{
    pid_t child = fork();

    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        _exit(*at == 0 ? 0 : 1);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void
an_overrun_meets_a_guard_page(void **state)
{
    static const size_t lens[] = { 1, 32, 4095, 4096, 4097 };

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *s = oxv_secret_new(lens[i]);

        check_guarded(oxv_secret_bytes(s) + lens[i]);
    }
}

struct search {
    uintptr_t at;
    bool found;
    size_t count;
};

static bool
look_for(void *ctx, uintptr_t begin, uintptr_t end)
{
    struct search *search = ctx;

    search->count++;
    search->found = search->found || (begin <= search->at && search->at < end);
    return true;
}

static bool
stop_at_once(void *ctx, uintptr_t begin, uintptr_t end)
{
    size_t *calls = ctx;

    (void)begin;
    (void)end;
    (*calls)++;
    return false;
}

static void
live_secrets_are_listed_and_freed_ones_are_not(void **state)
{
    struct oxv_secret *first = oxv_secret_new(10);
    struct oxv_secret *second = oxv_secret_new(10);
    struct search search = { .at = (uintptr_t)oxv_secret_bytes(first) };
    size_t calls = 0;

    (void)state;
    oxv_secret_each(look_for, &search);
    assert_true(search.found);
    size_t count = search.count;

    oxv_secret_each(stop_at_once, &calls);
    assert_int_equal(calls, 1);
    oxv_secret_free(first);
    search.count = 0;
    search.at = (uintptr_t)oxv_secret_bytes(second);
    search.found = false;
    oxv_secret_each(look_for, &search);
    assert_true(search.found);
    assert_int_equal(search.count, count - 1);
    oxv_secret_free(second);
}

/* The flags of the mapping that holds `at`, from smaps. */
static void
flags_of(uintptr_t at, char flags[128])
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    char line[512];
    bool inside = false;

    assert_non_null(smaps);
    flags[0] = '\0';
    while (fgets(line, sizeof line, smaps) != NULL) {
        char *rest = NULL;
        uintptr_t begin = (uintptr_t)strtoull(line, &rest, 16);

        if (*rest == '-') {
            uintptr_t end = (uintptr_t)strtoull(rest + 1, &rest, 16);

            inside = begin <= at && at < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            assert_true(snprintf(flags, 128, "%s", line) < 128);
        }
    }
    (void)fclose(smaps);
}

static void
secrets_are_locked_and_stay_out_of_core_files(void **state)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *s = oxv_secret_new(32);
    char flags[128];

    (void)state;
    flags_of((uintptr_t)oxv_secret_bytes(s), flags);
#ifdef OXV_SANITIZED
    /* AddressSanitizer makes mlock() do nothing. */
    if (oxv_secret_memory_used() == OXV_SECRET_MEMORY_MEMFD) {
        assert_non_null(strstr(flags, " lo"));
    }
#else
    assert_non_null(strstr(flags, " lo"));
#endif
    assert_non_null(strstr(flags, " dd"));
}

static void
a_wipe_wipes(void **state)
{
    uint8_t bytes[64];
    static const uint8_t zeros[64];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    oxv_wipe(bytes, sizeof bytes);
    assert_memory_equal(bytes, zeros, sizeof bytes);
}

static int
setup_memory(void **state)
{
    struct oxv_err err = { 0 };

    (void)state;
    if (oxv_secret_setup(wanted_memory, false, &err) != OXV_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}

/* In a process of its own, because the memory is picked once. */
static int
run_with(enum oxv_secret_memory memory)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_picks_the_memory_that_was_asked_for),
        cmocka_unit_test(names_of_memories_are_parsed_back),
        cmocka_unit_test(a_new_secret_is_zero_and_of_its_length),
        cmocka_unit_test(copies_and_random_secrets_compare),
        cmocka_unit_test(shortening_wipes_the_rest),
        cmocka_unit_test(an_overrun_meets_a_guard_page),
        cmocka_unit_test(live_secrets_are_listed_and_freed_ones_are_not),
        cmocka_unit_test(secrets_are_locked_and_stay_out_of_core_files),
        cmocka_unit_test(a_wipe_wipes),
    };
    pid_t child = fork();

    if (child == 0) {
        wanted_memory = memory;
        exit(cmocka_run_group_tests(tests, setup_memory, NULL) == 0 ? 0 : 1);
    }
    int status = 1;

    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

static bool
kernel_has_memfd_secret(void)
{
    pid_t child = fork();

    if (child == 0) {
        _exit(oxv_secret_setup(OXV_SECRET_MEMORY_MEMFD, false, NULL) == OXV_OK ? 0 : 1);
    }
    int status = 1;

    return waitpid(child, &status, 0) == child && status == 0;
}

int
main(void)
{
    int failed = run_with(OXV_SECRET_MEMORY_AUTO) + run_with(OXV_SECRET_MEMORY_SODIUM);

    if (kernel_has_memfd_secret()) {
        failed += run_with(OXV_SECRET_MEMORY_MEMFD);
    } else {
        (void)printf("no memfd_secret in this kernel: not tested\n");
    }
    return failed;
}
