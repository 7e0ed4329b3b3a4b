/*
 * secret: the one type that holds key material. Locked, guarded by inaccessible pages, never in a
 * core file, wiped when freed (design.md 5.4). There is no function that prints one.
 */
#ifndef OXV_BASE_SECRET_H
#define OXV_BASE_SECRET_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/status.h"

enum oxv_secret_memory {
    OXV_SECRET_MEMORY_AUTO,   /* memfd_secret where the kernel has it, else sodium */
    OXV_SECRET_MEMORY_MEMFD,  /* memfd_secret(2): the kernel itself cannot map it */
    OXV_SECRET_MEMORY_SODIUM, /* sodium_malloc(3) and mlock(2) */
};

struct oxv_secret;

/*
 * Once per process, before the first secret: initialises libsodium and picks the memory.
 * With `allow_unlocked` a failing mlock is accepted, to be shown by status.
 *   OXV_E_MEMORY  the memory asked for is not there, or mlock fails: *err says what to do
 */
OXV_MUST_USE enum oxv_status oxv_secret_setup(enum oxv_secret_memory wanted, bool allow_unlocked,
                                              struct oxv_err *err);
/* What setup picked, never AUTO afterwards. */
enum oxv_secret_memory oxv_secret_memory_used(void);
/* "memfd_secret" or "sodium_malloc". */
const char *oxv_secret_memory_name(enum oxv_secret_memory memory);
OXV_MUST_USE bool oxv_secret_memory_parse(struct oxv_view text, enum oxv_secret_memory *out);

/* All zero, of `len` bytes (0 is fine). NULL where no locked memory is left. */
OXV_MUST_USE struct oxv_secret *oxv_secret_new(size_t len);
OXV_MUST_USE struct oxv_secret *oxv_secret_copy(struct oxv_view from);
/* From the kernel's generator. */
OXV_MUST_USE struct oxv_secret *oxv_secret_random(size_t len);
/* Wipes. NULL is fine. */
void oxv_secret_free(struct oxv_secret *s);

/* Borrowed until the owner is freed. */
struct oxv_view oxv_secret_view(const struct oxv_secret *s);
uint8_t *oxv_secret_bytes(struct oxv_secret *s);
size_t oxv_secret_len(const struct oxv_secret *s);
/* Drops the bytes beyond `len`, wiping them. A longer `len` is a bug. */
void oxv_secret_shorten(struct oxv_secret *s, size_t len);

/* Constant time for equal lengths; the length itself is not hidden. */
bool oxv_secret_equals(const struct oxv_secret *s, struct oxv_view other);

/*
 * Calls fn for the memory pages of each live secret, until it returns false; for doctor, which asks
 * the kernel about them. Gives addresses, never contents.
 */
typedef bool (*oxv_secret_pages_fn)(void *ctx, uintptr_t begin, uintptr_t end);
void oxv_secret_each(oxv_secret_pages_fn fn, void *ctx);

/* Wipes `len` bytes in a way the compiler keeps. Does not touch errno. */
void oxv_wipe(void *bytes, size_t len);

OXV_DEFINE_OWNER(oxv_secret);

#endif
