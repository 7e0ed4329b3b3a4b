/*
 * Making a vault. A kill at any point leaves OXV_VAULT_UNFINISHED, which open refuses:
 *   1 OXV_VAULT_UNFINISHED, durable    2 the log with entry 0 (counter 1 and its digest)
 *   3 vault.db with all rows       4 OXV_VAULT_UNFINISHED goes
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"
#include "vault/log/log.h"
#include "vault/vault_impl.h"

#define FIRST_CHANGE 1u
#define ID_HEX_SIZE  (2u * OXV_ID_BYTES + 1u)

/* All that is made before the first file. */
struct making {
    struct oxv_keys keys;
    struct oxv_secret *root;
    uint8_t vault_id[OXV_ID_BYTES];
    uint8_t node_id[OXV_ID_BYTES];
    char vault_hex[ID_HEX_SIZE];
    char node_hex[ID_HEX_SIZE];
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    uint64_t created_us;
    struct oxv_manifest manifest;
    struct oxv_row *rows[3]; /* seal, admin, node */
    struct oxv_row_buffers *buffers;
};

static void
making_done(struct making *m)
{
    oxv_keys_done(&m->keys);
    oxv_secret_freep(&m->root);
    for (size_t i = 0; i < sizeof m->rows / sizeof m->rows[0]; i++) {
        oxv_row_free(m->rows[i]);
    }
    free(m->buffers);
}

static enum oxv_status
check_empty(int dir_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OXV_AUTO(oxv_closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        return oxv_fail_errno(err, "cannot read the directory");
    }
    (void)oxv_fd_take(&fd); /* dir owns it now */
    errno = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct oxv_view name = oxv_view_text(entry->d_name);

        if (oxv_view_is(name, OXV_VAULT_UNFINISHED)) {
            return oxv_fail(err, OXV_E_CONFLICT,
                            "an earlier init did not finish here: empty the directory first");
        }
        if (!oxv_view_is(name, ".") && !oxv_view_is(name, "..")) {
            return oxv_fail(err, OXV_E_CONFLICT, "the directory is not empty: it has %.100s",
                            entry->d_name);
        }
    }
    return errno == 0 ? OXV_OK : oxv_fail_errno(err, "cannot read the directory");
}

static void
to_hex(const uint8_t id[OXV_ID_BYTES], char out[ID_HEX_SIZE])
{
    struct oxv_writer w = oxv_writer(out, ID_HEX_SIZE);

    oxv_write_hex(&w, oxv_view(id, OXV_ID_BYTES));
    oxv_write_u8(&w, 0);
}

static enum oxv_status
prepare(struct making *m, struct oxv_err *err)
{
    randombytes_buf(m->vault_id, sizeof m->vault_id);
    randombytes_buf(m->node_id, sizeof m->node_id);
    to_hex(m->vault_id, m->vault_hex);
    to_hex(m->node_id, m->node_hex);
    m->created_us = oxv_clock_wall_us();
    m->manifest.counter = FIRST_CHANGE;
    m->buffers = malloc(sizeof *m->buffers);
    m->root = oxv_secret_random(OXV_ROOT_KEY_BYTES);
    if (m->root == NULL || m->buffers == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the root key");
    }
    if (oxv_format(m->origin, sizeof m->origin, "oxvault/%s/%s", m->vault_hex, m->node_hex) !=
        OXV_OK) {
        oxv_bug("origin");
    }
    return oxv_keys_derive(&m->keys, m->root, err);
}

static struct oxv_vault_binding
binding_of(const struct making *m)
{
    return (struct oxv_vault_binding){ .keys = &m->keys,
                                       .vault_id = m->vault_id,
                                       .root_generation = 1 };
}

static enum oxv_status
keep_row(struct making *m, size_t slot, const struct oxv_store_row *stored, struct oxv_err *err)
{
    enum oxv_status st = oxv_row_new(stored, &m->rows[slot], err);

    if (st == OXV_OK && !oxv_manifest_add(&m->manifest, &m->keys, m->rows[slot])) {
        oxv_bug("a new row without a tag");
    }
    return st;
}

static enum oxv_status
make_seal_row(struct making *m, const struct oxv_vault_new *options, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_seal_record record = *options->seal_record;
    struct oxv_seal_new seal = { .record = &record, .input = options->seal, .root = m->root };
    struct oxv_store_row stored = { .table = OXV_TABLE_SEAL, .id = 1, .version = FIRST_CHANGE };

    record.created_us = m->created_us;
    enum oxv_status st = oxv_row_make_seal(&binding, &seal, m->buffers, &stored, err);

    return st == OXV_OK ? keep_row(m, 0, &stored, err) : st;
}

static enum oxv_status
make_admin_row(struct making *m, uint64_t uid, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_admin_record record = { .uid_plus1 = uid + 1, .created_us = m->created_us };
    struct oxv_store_row stored = { .table = OXV_TABLE_ADMIN, .id = 1, .version = FIRST_CHANGE };
    enum oxv_status st = oxv_row_encode(&record, m->buffers, &stored, err);

    if (st == OXV_OK) {
        st = oxv_row_seal(&binding, oxv_view(NULL, 0), m->buffers, &stored, err);
    }
    return st == OXV_OK ? keep_row(m, 1, &stored, err) : st;
}

/* Last, because it holds the log's key. */
static enum oxv_status
make_node_row(struct making *m, struct oxv_view machine_id, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_node_record record = {
        .vault_id = oxv_view(m->vault_id, sizeof m->vault_id),
        .node_id = oxv_view(m->node_id, sizeof m->node_id),
        .origin = oxv_view_text(m->origin),
        .genesis_vkey = oxv_view_text(m->vkey),
        .created_us = m->created_us,
        .root_generation = 1,
    };
    struct oxv_store_row stored = { .table = OXV_TABLE_NODE,
                                    .id = OXV_NODE_ID,
                                    .version = FIRST_CHANGE };
    struct oxv_node_secret secret = { 0 };
    uint8_t hash[32];
    uint8_t encoded[64];
    struct oxv_writer w = oxv_writer(encoded, sizeof encoded);

    if (oxv_vault_machine_hash(&binding, machine_id, hash)) {
        secret.machine_hash = oxv_view(hash, sizeof hash);
    }
    oxv_fields_encode(&w, &oxv_node_secret_shape, &secret);
    enum oxv_status st = oxv_row_encode(&record, m->buffers, &stored, err);

    if (st == OXV_OK) {
        st = oxv_row_seal(&binding, oxv_view(encoded, w.len), m->buffers, &stored, err);
    }
    return st == OXV_OK ? keep_row(m, 2, &stored, err) : st;
}

static enum oxv_status
make_log(struct making *m, int dir_fd, struct oxv_err *err)
{
    char digest[65];
    struct oxv_manifest logged = m->manifest;

    logged.rows++; /* the node's row, whose sum is not in the digest */
    logged.last_id[OXV_TABLE_NODE] = OXV_NODE_ID;
    oxv_manifest_digest_hex(&logged, &m->keys, digest);
    struct oxv_entry first = {
        .type = OXV_ENTRY_LOG_GENESIS,
        .outcome = OXV_OUTCOME_ALLOWED,
        .cfg = FIRST_CHANGE,
        .cfg_digest = oxv_view_text(digest),
        .vault = oxv_view_text(m->vault_hex),
        .node = oxv_view_text(m->node_hex),
        .origin = oxv_view_text(m->origin),
    };

    return oxv_log_create(dir_fd, &first, m->keys.subkeys[OXV_SUBKEY_LOG_WRAP], m->vkey, err);
}

static enum oxv_status
put_rows(struct making *m, struct oxv_store *store, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_manifest_row manifest;
    enum oxv_status st = oxv_store_sqlite.begin(store, err);

    for (size_t i = 0; i < sizeof m->rows / sizeof m->rows[0] && st == OXV_OK; i++) {
        struct oxv_store_row stored = oxv_row_stored(m->rows[i]);

        st = oxv_store_sqlite.put(store, &stored, err);
    }
    if (st == OXV_OK) {
        oxv_manifest_seal(&m->manifest, &binding, &manifest);
        st = oxv_store_sqlite.put(store, &manifest.row, err);
    }
    return st == OXV_OK ? oxv_store_sqlite.commit(store, err) : st;
}

/* An empty vault.db of mode 0600, and its path. SQLite gives vault.db-wal the same mode. */
static enum oxv_status
make_file(int dir_fd, char *path, size_t path_size, struct oxv_err *err)
{
    char link[64];
    char dir[PATH_MAX];
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, OXV_VAULT_DB, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, 0600) != 0) {
        return oxv_fail_errno(err, "cannot create %s", OXV_VAULT_DB);
    }
    if (oxv_format(link, sizeof link, "/proc/self/fd/%d", dir_fd) != OXV_OK ||
        realpath(link, dir) == NULL ||
        oxv_format(path, path_size, "%s/%s", dir, OXV_VAULT_DB) != OXV_OK) {
        return oxv_fail_errno(err, "cannot tell the path of the vault");
    }
    return OXV_OK;
}

static enum oxv_status
make_store(struct making *m, int dir_fd, struct oxv_err *err)
{
    char path[PATH_MAX];
    struct oxv_store *store = NULL;
    enum oxv_status st = make_file(dir_fd, path, sizeof path, err);

    if (st == OXV_OK) {
        st = oxv_store_sqlite.create(path, &store, err);
    }
    if (st == OXV_OK) {
        st = put_rows(m, store, err);
    }
    oxv_store_sqlite.close(store);
    if (st == OXV_OK && fsync(dir_fd) != 0) {
        st = oxv_fail_errno(err, "cannot sync the vault's directory");
    }
    return st;
}

/* The mark has its name from the first moment: a kill leaves it, empty or not, and nothing else. */
static enum oxv_status
begin_init(int dir_fd, struct oxv_err *err)
{
    static const char text[] = "oxvault init did not finish here. Empty the directory, run it "
                               "again.\n";
    enum oxv_status st = check_empty(dir_fd, err);

    if (st != OXV_OK) {
        return st;
    }
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, OXV_VAULT_UNFINISHED,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    (void)oxv_hook("vault.create.marking");
    if (fd < 0 || oxv_write_all(fd, oxv_view_text(text)) != OXV_OK || fsync(fd) != 0 ||
        fsync(dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot write %s", OXV_VAULT_UNFINISHED);
    }
    return OXV_OK;
}

static enum oxv_status
end_init(int dir_fd, struct oxv_err *err)
{
    if (unlinkat(dir_fd, OXV_VAULT_UNFINISHED, 0) != 0 || fsync(dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot finish init");
    }
    return OXV_OK;
}

static enum oxv_status
make_files(struct making *m, int dir_fd, const struct oxv_vault_new *options, struct oxv_err *err)
{
    enum oxv_status st = begin_init(dir_fd, err);

    (void)oxv_hook("vault.create.marked");
    if (st == OXV_OK) {
        st = make_log(m, dir_fd, err);
    }
    (void)oxv_hook("vault.create.logged");
    if (st == OXV_OK) {
        st = make_node_row(m, options->machine_id, err);
    }
    if (st == OXV_OK) {
        st = make_store(m, dir_fd, err);
    }
    (void)oxv_hook("vault.create.stored");
    return st == OXV_OK ? end_init(dir_fd, err) : st;
}

enum oxv_status
oxv_vault_create(int dir_fd, const struct oxv_vault_new *options, char *vkey, size_t vkey_size,
                 struct oxv_err *err)
{
    OXV_AUTO(making_done) struct making m = { 0 };
    enum oxv_status st = check_empty(dir_fd, err);

    if (st == OXV_OK) {
        st = prepare(&m, err);
    }
    if (st == OXV_OK) {
        st = make_seal_row(&m, options, err);
    }
    if (st == OXV_OK) {
        st = make_admin_row(&m, options->admin_uid, err);
    }
    if (st == OXV_OK && vkey_size < sizeof m.vkey) {
        st = oxv_fail(err, OXV_E_LIMIT, "no room for the log's key");
    }
    if (st == OXV_OK) {
        st = make_files(&m, dir_fd, options, err);
    }
    return st == OXV_OK ? oxv_text_copy(oxv_view_text(m.vkey), vkey, vkey_size) : st;
}
