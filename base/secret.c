#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

struct oxv_secret {
    uint8_t *bytes; /* ends at a guard page, never moved */
    size_t len;
    size_t alloc_len; /* what was asked for; len can be shortened */
    uint8_t *mapping; /* memfd: guard page, pages, guard page; NULL for sodium */
    size_t mapping_len;
    struct oxv_secret *previous; /* of all live secrets */
    struct oxv_secret *next;
};

/* Set once by oxv_secret_setup(), before a process does anything else. */
static enum oxv_secret_memory memory_used = OXV_SECRET_MEMORY_AUTO;
static bool unlocked_allowed = false;
/* The keeper has no threads, but programs that link liboxvault may: the list is shared by them. */
static struct oxv_secret *live = NULL;
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t
page_len(void)
{
    long len = sysconf(_SC_PAGESIZE);

    return len > 0 ? (size_t)len : 4096u;
}

static bool
map_memfd(struct oxv_secret *s, size_t len)
{
    size_t page = page_len();
    size_t inner = (len + page - 1) / page * page;

    inner = inner == 0 ? page : inner;
    long fd = syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    uint8_t *outer = MAP_FAILED;
    void *pages = MAP_FAILED;

    if (ftruncate((int)fd, (off_t)inner) == 0) {
        outer = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (outer != MAP_FAILED) {
        pages =
            mmap(outer + page, inner, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, (int)fd, 0);
    }
    (void)close((int)fd); /* the mapping keeps the memory */
    if (pages == MAP_FAILED) {
        if (outer != MAP_FAILED) {
            (void)munmap(outer, inner + 2 * page);
        }
        return false;
    }
    s->mapping = outer;
    s->mapping_len = inner + 2 * page;
    s->bytes = outer + page + (inner - len); /* an overrun meets the guard page */
    return true;
}

static bool
map_sodium(struct oxv_secret *s, size_t len)
{
    s->bytes = sodium_malloc(len == 0 ? 1 : len);
    if (s->bytes == NULL) {
        return false;
    }
    /* sodium_malloc() does not tell when its own mlock fails. */
    if (mlock(s->bytes, len == 0 ? 1 : len) != 0 && !unlocked_allowed) {
        sodium_free(s->bytes);
        return false;
    }
    return true;
}

static bool
try_memory(enum oxv_secret_memory memory)
{
    memory_used = memory;
    struct oxv_secret *probe = oxv_secret_new(32);

    if (probe == NULL) {
        memory_used = OXV_SECRET_MEMORY_AUTO;
        return false;
    }
    oxv_secret_free(probe);
    return true;
}

enum oxv_status
oxv_secret_setup(enum oxv_secret_memory wanted, bool allow_unlocked, struct oxv_err *err)
{
    if (sodium_init() < 0) {
        return oxv_fail(err, OXV_E_INTERNAL, "libsodium does not start");
    }
    unlocked_allowed = allow_unlocked;
    if (wanted != OXV_SECRET_MEMORY_SODIUM && try_memory(OXV_SECRET_MEMORY_MEMFD)) {
        return OXV_OK;
    }
    if (wanted == OXV_SECRET_MEMORY_MEMFD) {
        return oxv_fail(err, OXV_E_MEMORY,
                        "this kernel gives no memfd_secret memory (Linux 5.14 and "
                        "secretmem.enable=1, or use --secret-memory auto)");
    }
    if (try_memory(OXV_SECRET_MEMORY_SODIUM)) {
        return OXV_OK;
    }
    return oxv_fail(err, OXV_E_MEMORY,
                    "memory for keys cannot be locked: raise the limit (ulimit -l, LimitMEMLOCK=), "
                    "or accept keys in swap with --allow-unlocked-memory");
}

enum oxv_secret_memory
oxv_secret_memory_used(void)
{
    return memory_used;
}

const char *
oxv_secret_memory_name(enum oxv_secret_memory memory)
{
    switch (memory) {
    case OXV_SECRET_MEMORY_AUTO:
        return "auto";
    case OXV_SECRET_MEMORY_MEMFD:
        return "memfd_secret";
    case OXV_SECRET_MEMORY_SODIUM:
        return "sodium_malloc";
    }
    return "unknown";
}

bool
oxv_secret_memory_parse(struct oxv_view text, enum oxv_secret_memory *out)
{
    if (oxv_view_is(text, "auto")) {
        *out = OXV_SECRET_MEMORY_AUTO;
    } else if (oxv_view_is(text, "memfd")) {
        *out = OXV_SECRET_MEMORY_MEMFD;
    } else if (oxv_view_is(text, "sodium")) {
        *out = OXV_SECRET_MEMORY_SODIUM;
    } else {
        return false;
    }
    return true;
}

static void
lock_live(void)
{
    if (pthread_mutex_lock(&live_lock) != 0) {
        oxv_bug("the list of secrets cannot be locked");
    }
}

static void
unlock_live(void)
{
    if (pthread_mutex_unlock(&live_lock) != 0) {
        oxv_bug("the list of secrets cannot be unlocked");
    }
}

static void
list_live(struct oxv_secret *s)
{
    lock_live();
    s->next = live;
    if (live != NULL) {
        live->previous = s;
    }
    live = s;
    unlock_live();
}

static void
unlist_live(struct oxv_secret *s)
{
    lock_live();
    if (s->previous != NULL) {
        s->previous->next = s->next;
    } else {
        live = s->next;
    }
    if (s->next != NULL) {
        s->next->previous = s->previous;
    }
    unlock_live();
}

struct oxv_secret *
oxv_secret_new(size_t len)
{
    struct oxv_secret *s = calloc(1, sizeof *s);
    bool mapped;

    if (s == NULL || len > SIZE_MAX / 2) {
        free(s);
        return NULL;
    }
    mapped = memory_used == OXV_SECRET_MEMORY_MEMFD ? map_memfd(s, len) : map_sodium(s, len);
    if (!mapped) {
        free(s);
        return NULL;
    }
    s->len = len;
    s->alloc_len = len;
    sodium_memzero(s->bytes, len);
    list_live(s);
    return s;
}

struct oxv_secret *
oxv_secret_copy(struct oxv_view from)
{
    struct oxv_secret *s = oxv_secret_new(from.len);

    if (s != NULL && from.len > 0) {
        memcpy(s->bytes, from.data, from.len);
    }
    return s;
}

struct oxv_secret *
oxv_secret_random(size_t len)
{
    struct oxv_secret *s = oxv_secret_new(len);

    if (s != NULL) {
        randombytes_buf(s->bytes, len);
    }
    return s;
}

void
oxv_secret_free(struct oxv_secret *s)
{
    int saved = errno;

    if (s == NULL) {
        return;
    }
    unlist_live(s);
    sodium_memzero(s->bytes, s->alloc_len);
    if (s->mapping == NULL) {
        sodium_free(s->bytes);
    } else if (munmap(s->mapping, s->mapping_len) != 0) {
        oxv_bug("munmap of a secret failed");
    }
    free(s);
    errno = saved;
}

struct oxv_view
oxv_secret_view(const struct oxv_secret *s)
{
    return oxv_view(s->bytes, s->len);
}

uint8_t *
oxv_secret_bytes(struct oxv_secret *s)
{
    return s->bytes;
}

size_t
oxv_secret_len(const struct oxv_secret *s)
{
    return s->len;
}

void
oxv_secret_shorten(struct oxv_secret *s, size_t len)
{
    if (len > s->len) {
        oxv_bug("a secret cannot grow");
    }
    sodium_memzero(s->bytes + len, s->len - len);
    s->len = len;
}

bool
oxv_secret_equals(const struct oxv_secret *s, struct oxv_view other)
{
    return s->len == other.len && sodium_memcmp(s->bytes, other.data, other.len) == 0;
}

void
oxv_secret_each(oxv_secret_pages_fn fn, void *ctx)
{
    size_t page = page_len();

    lock_live();
    for (const struct oxv_secret *s = live; s != NULL; s = s->next) {
        uintptr_t first = (uintptr_t)s->bytes / page * page;
        uintptr_t last = ((uintptr_t)s->bytes + s->alloc_len + page - 1) / page * page;

        if (s->alloc_len > 0 && !fn(ctx, first, last)) {
            break;
        }
    }
    unlock_live();
}

void
oxv_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}
