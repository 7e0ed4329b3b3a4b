/* What the tests of the log share: a vault directory with a log, whole files, and copies. */
#ifndef OXV_TESTS_UNIT_TEST_LOG_SUPPORT_H
#define OXV_TESTS_UNIT_TEST_LOG_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/log.h"
#include "vault/log/ratchet.h"
#include "vault/log/verify.h"
#include "vault/log/writer.h"

#define TEST_VAULT   "000102030405060708090a0b0c0d0e0f"
#define TEST_NODE    "101112131415161718191a1b1c1d1e1f"
#define TEST_ORIGIN  "oxvault/" TEST_VAULT "/" TEST_NODE
#define TEST_SEGMENT "log/seg/000000000000.jsonl"

struct log_fixture {
    char path[64];
    int fd;
    struct oxv_secret *wrap_key;
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
};

/* Bytes of a file, on the heap. */
struct file_bytes {
    uint8_t *data;
    size_t len;
};

static inline void
file_bytes_done(struct file_bytes *file)
{
    free(file->data);
    *file = (struct file_bytes){ 0 };
}

static inline struct file_bytes
read_whole(int dir_fd, const char *name)
{
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    struct file_bytes file = { 0 };

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    file.data = malloc((size_t)st.st_size + 1);
    assert_non_null(file.data);
    assert_int_equal(oxv_read_to_end(fd, file.data, (size_t)st.st_size, &file.len), OXV_OK);
    (void)close(fd);
    return file;
}

/* The lines of a segment, without the zeros that a writer puts there ahead. */
static inline struct file_bytes
read_lines(int dir_fd, const char *name)
{
    struct file_bytes file = read_whole(dir_fd, name);

    while (file.len > 0 && file.data[file.len - 1] == 0) {
        file.len--;
    }
    return file;
}

static inline uint64_t
file_length(int dir_fd, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return (uint64_t)st.st_size;
}

static inline void
write_whole(int dir_fd, const char *name, struct oxv_view bytes)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(oxv_write_all(fd, bytes), OXV_OK);
    (void)close(fd);
}

static inline bool
is_there(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void
remove_tree(const char *path)
{
    char command[192];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline struct oxv_entry
genesis_entry(void)
{
    return (struct oxv_entry){
        .type = OXV_ENTRY_LOG_GENESIS,
        .outcome = OXV_OUTCOME_ALLOWED,
        .origin = oxv_view_text(TEST_ORIGIN),
        .vault = oxv_view_text(TEST_VAULT),
        .node = oxv_view_text(TEST_NODE),
    };
}

static inline struct oxv_entry
sign_entry(void)
{
    return (struct oxv_entry){
        .type = OXV_ENTRY_SIGN,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = 1002,
        .caller = oxv_view_text("order-exchange"),
        .connection = oxv_view_text("acme"),
    };
}

static inline int
make_log(void **state)
{
    struct log_fixture *f = calloc(1, sizeof *f);
    struct oxv_entry first = genesis_entry();
    struct oxv_err err = { 0 };

    assert_non_null(f);
    (void)snprintf(f->path, sizeof f->path, "/tmp/oxv-log-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->wrap_key = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);
    assert_int_equal(oxv_log_create(f->fd, &first, f->wrap_key, f->vkey, &err), OXV_OK);
    *state = f;
    return 0;
}

static inline int
remove_log(void **state)
{
    struct log_fixture *f = *state;

    remove_tree(f->path);
    (void)close(f->fd);
    oxv_secret_free(f->wrap_key);
    free(f);
    return 0;
}

static inline struct oxv_log *
open_log(const struct log_fixture *f, struct oxv_log_opened *opened)
{
    struct oxv_log *log = NULL;
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, opened, &err);

    if (st != OXV_OK) {
        print_message("%s\n", err.text);
    }
    assert_int_equal(st, OXV_OK);
    return log;
}

/* For tests of whole segments: their entries end no epoch. */
static inline struct oxv_log *
open_log_of_one_epoch(const struct log_fixture *f, struct oxv_log_opened *opened)
{
    struct oxv_log *log = open_log(f, opened);

    log->epoch_max_entries = UINT64_MAX;
    return log;
}

static inline enum oxv_status
try_open(const struct log_fixture *f, struct oxv_err *err)
{
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened;
    enum oxv_status st = oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, err);

    oxv_log_free(log);
    return st;
}

static inline uint64_t
append(struct oxv_log *log, const struct oxv_entry *entry)
{
    uint64_t index = UINT64_MAX;

    assert_int_equal(oxv_log_append(log, entry, &index), OXV_OK);
    return index;
}

static inline void
commit_signs(struct oxv_log *log, size_t count)
{
    struct oxv_entry entry = sign_entry();
    struct oxv_err err = { 0 };

    for (size_t i = 0; i < count; i++) {
        (void)append(log, &entry);
    }
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
}

/* The findings of one verification: how many, and the first. */
struct findings {
    size_t count;
    char code[32];
    char file[64];
    uint64_t entry;
    uint64_t offset;
    char reason[192];
    struct oxv_log_verdict verdict;
};

static inline void
keep_first(void *ctx, const struct oxv_log_finding *finding)
{
    struct findings *found = ctx;

    if (found->count++ == 0) {
        (void)snprintf(found->code, sizeof found->code, "%s", finding->code);
        (void)snprintf(found->file, sizeof found->file, "%s", finding->file);
        (void)snprintf(found->reason, sizeof found->reason, "%s", finding->reason);
        found->entry = finding->entry;
        found->offset = finding->offset;
    }
}

static inline enum oxv_status
verify_with(const char *vault_path, const char *vkey, struct findings *found)
{
    char path[96];
    struct oxv_err err = { 0 };

    *found = (struct findings){ 0 };
    (void)snprintf(path, sizeof path, "%s/log", vault_path);
    return oxv_log_verify(path, oxv_view_text(vkey), keep_first, found, &found->verdict, &err);
}

static inline enum oxv_status
verify(const struct log_fixture *f, struct findings *found)
{
    return verify_with(f->path, f->vkey, found);
}

static inline void
must_verify(const struct log_fixture *f)
{
    struct findings found;
    enum oxv_status st = verify(f, &found);

    if (st != OXV_OK) {
        print_message("%s %s entry %ju byte %ju: %s\n", found.code, found.file,
                      (uintmax_t)found.entry, (uintmax_t)found.offset, found.reason);
    }
    assert_int_equal(st, OXV_OK);
}

static inline void
forget_torn(const struct log_fixture *f)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s/log/torn", f->path);
    if (is_there(f->fd, "log/torn")) {
        remove_tree(path);
    }
}

static inline void
put_segment(const struct log_fixture *f, const uint8_t *bytes, size_t len)
{
    write_whole(f->fd, TEST_SEGMENT, oxv_view(bytes, len));
    forget_torn(f);
}

/* Offsets just after each commit line of a segment; returns how many. */
static inline size_t
commit_ends(const struct file_bytes *segment, size_t ends[], size_t max)
{
    size_t count = 0;
    size_t begin = 0;

    for (size_t i = 0; i < segment->len; i++) {
        if (segment->data[i] == '\n') {
            if (oxv_view_has_prefix(oxv_view(segment->data + begin, i - begin), "{\"commit\"")) {
                assert_true(count < max);
                ends[count++] = i + 1;
            }
            begin = i + 1;
        }
    }
    return count;
}

#endif
