/* What the tests of base share. */
#ifndef OXV_TESTS_UNIT_TEST_BASE_SUPPORT_H
#define OXV_TESTS_UNIT_TEST_BASE_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

/* Bytes that end right before a page nobody can read: an overrun is a crash, in every build. */
struct exact {
    uint8_t *mapping;
    size_t mapping_len;
    struct oxv_view view;
};

static inline void
exact_done(struct exact *e)
{
    (void)munmap(e->mapping, e->mapping_len);
}

static inline struct exact
exact_copy(const void *bytes, size_t len)
{
    size_t page = 4096;
    size_t pages = len / page + 1;
    struct exact e = { .mapping_len = (pages + 1) * page };
    void *mapping =
        mmap(NULL, e.mapping_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(mapping, MAP_FAILED);
    e.mapping = mapping;
    assert_int_equal(mprotect(e.mapping + pages * page, page, PROT_NONE), 0);
    uint8_t *start = e.mapping + pages * page - len;

    if (len > 0) {
        memcpy(start, bytes, len);
    }
    e.view = oxv_view(start, len);
    return e;
}

#endif
