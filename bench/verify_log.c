/*
 * For bench/verify. `make FOLDER ENTRIES`: a log as a busy vault writes it, with fixed keys,
 * without waiting for a disk; the key is left in FOLDER/genesis.vkey. `sha THREADS FILE...`: plain
 * SHA-256 of the same bytes, to compare with; prints bytes per second.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/commit.h"
#include "vault/log/entry.h"
#include "vault/log/segments.h"

#define ORIGIN        "oxvault/000102030405060708090a0b0c0d0e0f/101112131415161718191a1b1c1d1e1f"
#define GROUP         50u
#define EPOCH_ENTRIES 60000u
#define OUT_BYTES     1048576u
#define THREADS_MAX   64u

struct maker {
    int log_fd;
    int fd; /* of the segment */
    struct oxv_hasher *hasher;
    struct oxv_tree tree;
    struct oxv_secret *key;
    uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES];
    uint64_t epoch;
    uint64_t time_us;
    struct oxv_writer out;
};

static void
must(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

/* The same keys every time: of epoch n, from a seed that is its number. */
static void
make_key(struct maker *m, uint64_t epoch)
{
    uint8_t seed[crypto_sign_SEEDBYTES] = { 0 };
    struct oxv_writer w = oxv_writer(seed, sizeof seed);

    oxv_write_u64(&w, epoch + 1);
    must(crypto_sign_seed_keypair(m->public_key, oxv_secret_bytes(m->key), seed) == 0, "key");
}

static void
vkey_text(const struct maker *m, char out[OXV_LOG_VKEY_MAX_BYTES])
{
    struct oxv_vkey vkey = { .name = ORIGIN };
    struct oxv_writer w = oxv_writer(out, OXV_LOG_VKEY_MAX_BYTES - 1);

    memcpy(vkey.public_key, m->public_key, sizeof vkey.public_key);
    oxv_vkey_write(&w, &vkey);
    must(!w.failed, "vkey");
    out[w.len] = '\0';
}

static void
flush(struct maker *m)
{
    must(oxv_write_all(m->fd, oxv_view(m->out.data, m->out.len)) == OXV_OK, "write");
    m->out.len = 0;
}

static void
add(struct maker *m, struct oxv_entry *entry)
{
    struct oxv_entry_place place = { .seq = m->tree.size,
                                     .epoch = m->epoch,
                                     .time_us = m->time_us,
                                     .mono_us = m->time_us - 1767323045000000u,
                                     .boot = "00112233445566778899aabbccddeeff" };
    size_t begin = m->out.len;

    oxv_entry_write(&m->out, entry, &place);
    must(!m->out.failed, "entry");
    oxv_tree_add(&m->tree, m->hasher, oxv_view_from(oxv_view(m->out.data, m->out.len), begin));
    oxv_write_u8(&m->out, '\n');
    m->time_us += 250;
}

static void
commit(struct maker *m)
{
    struct oxv_checkpoint checkpoint = { .origin = ORIGIN, .size = m->tree.size };
    struct oxv_commit line = { .epoch = m->epoch, .size = m->tree.size };

    oxv_tree_root(&m->tree, m->hasher, checkpoint.root);
    memcpy(line.root, checkpoint.root, sizeof line.root);
    oxv_checkpoint_sign(&checkpoint, m->key, line.signature);
    oxv_commit_write(&m->out, &line);
    oxv_write_u8(&m->out, '\n');
    flush(m);
}

static void
begin_segment(struct maker *m)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    char path[OXV_SEGMENT_PATH_BYTES];

    if (m->fd >= 0) {
        (void)close(m->fd);
    }
    oxv_segment_name(m->tree.size / OXV_LOG_SEGMENT_ENTRIES, name);
    must(oxv_format(path, sizeof path, "seg/%s", name) == OXV_OK, "name");
    m->fd = openat(m->log_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(m->fd >= 0, path);
}

static void
add_sign(struct maker *m)
{
    char caller[24];
    char request[33];
    struct oxv_entry entry = {
        .type = OXV_ENTRY_SIGN,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = 1001,
        .pid = 4711,
        .ts = m->time_us / 1000000,
        .grant = 3,
        .connection = oxv_view_text("netsuite"),
        .kind = oxv_view_text("oauth1"),
        .method = oxv_view_text("POST"),
        .nonce = oxv_view_text("q7Xk2mPz9LwBvT4sYdNc"),
    };

    must(oxv_format(caller, sizeof caller, "caller-%02u", (unsigned)(m->tree.size % 37)) ==
                 OXV_OK &&
             oxv_format(request, sizeof request, "%032jx", (uintmax_t)m->tree.size) == OXV_OK,
         "text");
    entry.caller = oxv_view_text(caller);
    entry.sig_hash = oxv_view_text(request);
    entry.host = oxv_view_text("1234567.suitetalk.api.netsuite.com");
    entry.path = oxv_view_text("/services/rest/record/v1/salesOrder");
    add(m, &entry);
}

/* Names the next epoch's key, which then signs. */
static void
end_epoch(struct maker *m)
{
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_entry entry = { .type = OXV_ENTRY_LOG_EPOCH, .outcome = OXV_OUTCOME_ALLOWED };

    make_key(m, m->epoch + 1);
    vkey_text(m, vkey);
    make_key(m, m->epoch);
    entry.next_key = oxv_view_text(vkey);
    add(m, &entry);
    commit(m);
    make_key(m, ++m->epoch);
}

static void
write_file(const struct maker *m, const char *name, const char *text)
{
    int fd = openat(m->log_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && dprintf(fd, "%s\n", text) > 0 && close(fd) == 0, name);
}

static int
make(const char *folder, uint64_t entries)
{
    static uint8_t out[OUT_BYTES];
    struct maker m = { .fd = -1, .hasher = oxv_hasher_new(), .time_us = 1767323045678901u };
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_entry genesis = { .type = OXV_ENTRY_LOG_GENESIS,
                                 .outcome = OXV_OUTCOME_ALLOWED,
                                 .origin = oxv_view_text(ORIGIN),
                                 .vault = oxv_view_text("000102030405060708090a0b0c0d0e0f"),
                                 .node = oxv_view_text("101112131415161718191a1b1c1d1e1f") };

    must(mkdir(folder, 0700) == 0, folder);
    m.log_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(m.log_fd >= 0 && mkdirat(m.log_fd, "seg", 0700) == 0, "seg");
    m.key = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);
    must(m.key != NULL && m.hasher != NULL, "memory");
    m.out = oxv_writer(out, sizeof out);
    make_key(&m, 0);
    vkey_text(&m, vkey);
    write_file(&m, "genesis.vkey", vkey);
    write_file(&m, "origin", ORIGIN);
    begin_segment(&m);
    add(&m, &genesis);
    commit(&m);
    for (uint64_t waiting = 0; m.tree.size < entries;) {
        bool is_end = false;

        add_sign(&m);
        waiting++;
        if (m.tree.size % EPOCH_ENTRIES == EPOCH_ENTRIES - 1 &&
            m.tree.size % OXV_LOG_SEGMENT_ENTRIES != 0) {
            end_epoch(&m);
            waiting = 0;
        }
        is_end = m.tree.size % OXV_LOG_SEGMENT_ENTRIES == 0 || m.tree.size == entries;
        if (waiting > 0 && (waiting == GROUP || is_end)) {
            commit(&m);
            waiting = 0;
        }
        if (m.tree.size % OXV_LOG_SEGMENT_ENTRIES == 0 && m.tree.size < entries) {
            begin_segment(&m);
        }
    }
    (void)close(m.fd);
    (void)close(m.log_fd);
    oxv_secret_free(m.key);
    oxv_hasher_free(m.hasher);
    return 0;
}

struct hashing {
    char **files;
    size_t count, step, from;
    uint64_t bytes;
    pthread_t thread;
};

static void *
hash_files(void *argument)
{
    struct hashing *h = argument;
    uint8_t *buffer = malloc(OUT_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t digest[OXV_HASH_BYTES];

    must(buffer != NULL && ctx != NULL, "memory");
    for (size_t i = h->from; i < h->count; i += h->step) {
        int fd = open(h->files[i], O_RDONLY | O_CLOEXEC);
        ssize_t n;

        must(fd >= 0 && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1, h->files[i]);
        while ((n = read(fd, buffer, OUT_BYTES)) > 0) {
            must(EVP_DigestUpdate(ctx, buffer, (size_t)n) == 1, "hash");
            h->bytes += (uint64_t)n;
        }
        must(n == 0 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1, "read");
        (void)close(fd);
    }
    EVP_MD_CTX_free(ctx);
    free(buffer);
    return NULL;
}

static int
sha(size_t threads, char **files, size_t count)
{
    static struct hashing h[THREADS_MAX];
    struct timespec begin;
    struct timespec end;
    uint64_t bytes = 0;

    must(clock_gettime(CLOCK_MONOTONIC, &begin) == 0, "clock");
    for (size_t i = 0; i < threads; i++) {
        h[i] = (struct hashing){ .files = files, .count = count, .step = threads, .from = i };
        must(pthread_create(&h[i].thread, NULL, hash_files, &h[i]) == 0, "thread");
    }
    for (size_t i = 0; i < threads; i++) {
        must(pthread_join(h[i].thread, NULL) == 0, "thread");
        bytes += h[i].bytes;
    }
    must(clock_gettime(CLOCK_MONOTONIC, &end) == 0, "clock");
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;

    (void)printf("%.0f\n", (double)bytes / seconds);
    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t number = 0;

    must(sodium_init() >= 0, "libsodium");
    if (argc == 4 && strcmp(argv[1], "make") == 0 &&
        oxv_parse_decimal(oxv_view_text(argv[3]), OXV_LOG_INTEGER_MAX, &number)) {
        return make(argv[2], number);
    }
    if (argc > 3 && strcmp(argv[1], "sha") == 0 &&
        oxv_parse_decimal(oxv_view_text(argv[2]), THREADS_MAX, &number) && number > 0) {
        return sha((size_t)number, argv + 3, (size_t)argc - 3);
    }
    (void)fputs("usage: bench_verify_log make FOLDER ENTRIES | sha THREADS FILE...\n", stderr);
    return 2;
}
