#include "vault/copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"
#include "vault/fresh.h"
#include "vault/node.h"

#define NEW_DIR        "adopt.new"
#define OLD_NAME_BYTES 64u
#define OLD_NAMES_MAX  100u
#define TREE_DEPTH_MAX 8u /* of what a log folder can have in it */

/* A new node for the records of a vault, before it is written anywhere. */
struct renewal {
    struct oxv_new_node node;
    struct oxv_manifest manifest; /* with the node's new row, once that is made */
    struct oxv_vault_binding binding;
    struct oxv_row *row;
};

static void
renewal_done(struct renewal *r)
{
    oxv_row_free(r->row);
}

static void
to_hex(struct oxv_view bytes, char *out, size_t out_size)
{
    struct oxv_writer w = oxv_writer(out, out_size);

    oxv_write_hex(&w, bytes);
    oxv_write_u8(&w, 0);
    if (w.failed) {
        oxv_bug("hex does not fit");
    }
}

/* The new node's log, below log_parent_fd, and its row. */
static enum oxv_status
renew(struct renewal *r, const struct oxv_vault *vault, int log_parent_fd, uint64_t type,
      const struct oxv_copy *copy, struct oxv_err *err)
{
    struct oxv_row *old = oxv_registry_by_id(vault->rows, OXV_TABLE_NODE, OXV_NODE_ID);
    char root[65] = "";
    struct oxv_entry why = {
        .type = type,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = copy->uid_plus1,
        .old_origin = oxv_vault_node(vault)->origin,
        .old_size = copy->old_size,
        .reason = copy->reason,
    };

    if (copy->old_root.len > 0) {
        to_hex(copy->old_root, root, sizeof root);
        why.old_root = oxv_view_text(root);
    }
    oxv_new_node_init(&r->node, vault->id);
    r->binding = oxv_vault_binding(vault);
    r->manifest = vault->manifest;
    r->manifest.counter++;
    enum oxv_status st =
        oxv_new_node_log(&r->node, log_parent_fd, &vault->keys, &r->manifest, &why, err);

    if (st == OXV_OK) {
        st = oxv_new_node_row(&r->node, &r->binding, r->manifest.counter, copy->machine_id, &r->row,
                              err);
    }
    if (st == OXV_OK && (!oxv_manifest_remove(&r->manifest, &vault->keys, old) ||
                         !oxv_manifest_add(&r->manifest, &vault->keys, r->row))) {
        oxv_bug("a node's row without a tag");
    }
    return st;
}

enum oxv_status
oxv_vault_restore(const struct oxv_vault *from, int dir_fd, const struct oxv_copy *copy,
                  struct oxv_err *err)
{
    OXV_AUTO(renewal_done) struct renewal r = { 0 };
    struct oxv_row_list lists[OXV_TABLE_END];
    struct oxv_manifest_row manifest;
    enum oxv_status st = oxv_fresh_begin(dir_fd, err);

    (void)oxv_hook("vault.restore.marked");
    if (st == OXV_OK) {
        st = renew(&r, from, dir_fd, OXV_ENTRY_VAULT_RESTORE, copy, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    (void)oxv_hook("vault.restore.logged");
    memcpy(lists, from->rows->lists, sizeof lists);
    lists[OXV_TABLE_NODE] = (struct oxv_row_list){ .rows = &r.row, .count = 1 };
    oxv_manifest_seal(&r.manifest, &r.binding, &manifest);
    st = oxv_fresh_store(dir_fd, lists, OXV_TABLE_END, &manifest.row, err);
    (void)oxv_hook("vault.restore.stored");
    return st == OXV_OK ? oxv_fresh_end(dir_fd, err) : st;
}

static enum oxv_status remove_tree(int parent_fd, const char *name, unsigned depth,
                                   struct oxv_err *err);

static enum oxv_status
remove_entries(DIR *dir, unsigned depth, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    for (struct dirent *entry = readdir(dir); entry != NULL && st == OXV_OK; entry = readdir(dir)) {
        struct oxv_view name = oxv_view_text(entry->d_name);

        if (!oxv_view_is(name, ".") && !oxv_view_is(name, "..") &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
            st = remove_tree(dirfd(dir), entry->d_name, depth + 1, err);
        }
    }
    return st;
}

/* A directory that this program made, and all in it. */
static enum oxv_status
remove_tree(int parent_fd, const char *name, unsigned depth, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep)
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    OXV_AUTO(oxv_closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL || depth > TREE_DEPTH_MAX) {
        return oxv_fail_errno(err, "cannot remove what an unfinished adopt left: %s", name);
    }
    (void)oxv_fd_take(&fd); /* dir owns it now */
    enum oxv_status st = remove_entries(dir, depth, err);

    if (st == OXV_OK && unlinkat(parent_fd, name, AT_REMOVEDIR) != 0) {
        st = oxv_fail_errno(err, "cannot remove %s", name);
    }
    return st;
}

static bool
exists(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An empty adopt.new. */
static enum oxv_status
make_new_dir(int dir_fd, int *out, struct oxv_err *err)
{
    enum oxv_status st = exists(dir_fd, NEW_DIR) ? remove_tree(dir_fd, NEW_DIR, 0, err) : OXV_OK;

    if (st != OXV_OK) {
        return st;
    }
    if (mkdirat(dir_fd, NEW_DIR, 0700) != 0 || fsync(dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot make %s", NEW_DIR);
    }
    *out = openat(dir_fd, NEW_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *out < 0 ? oxv_fail_errno(err, "cannot open %s", NEW_DIR) : OXV_OK;
}

/* The database names the new node. */
static enum oxv_status
store_node(struct oxv_vault *vault, struct renewal *r, struct oxv_err *err)
{
    struct oxv_store_row node = oxv_row_stored(r->row);
    struct oxv_manifest_row manifest;
    struct oxv_row *old = oxv_registry_by_id(vault->rows, OXV_TABLE_NODE, OXV_NODE_ID);
    enum oxv_status st = vault->ops->begin(vault->store, err);

    oxv_manifest_seal(&r->manifest, &r->binding, &manifest);
    st = st == OXV_OK ? vault->ops->put(vault->store, &node, err) : st;
    st = st == OXV_OK ? vault->ops->put(vault->store, &manifest.row, err) : st;
    st = st == OXV_OK ? oxv_registry_reserve(vault->rows, OXV_TABLE_NODE, 1) : st;
    (void)oxv_hook("vault.adopt.storing");
    st = st == OXV_OK ? vault->ops->commit(vault->store, err) : st;
    if (st != OXV_OK) {
        vault->ops->rollback(vault->store);
        return st;
    }
    oxv_registry_unlink(vault->rows, old);
    oxv_registry_put(vault->rows, oxv_row_take(&r->row)); /* frees the old one */
    vault->manifest = r->manifest;
    return OXV_OK;
}

/* The origin that a log folder names, "" where it names none. */
static void
read_origin(int parent_fd, char *out, size_t out_size)
{
    OXV_AUTO(oxv_closep)
    int fd = openat(parent_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    uint8_t text[OXV_LOG_ORIGIN_MAX_BYTES + 1];
    size_t len = 0;

    out[0] = '\0';
    if (fd < 0 || oxv_read_file_at(fd, "origin", text, sizeof text, &len, NULL) != OXV_OK) {
        return;
    }
    struct oxv_view line = oxv_view(text, len);

    line = oxv_view_slice(line, 0, oxv_view_find(line, '\n'));
    if (oxv_text_copy(line, out, out_size) != OXV_OK) {
        out[0] = '\0';
    }
}

/* A name for the old log that is not taken: "log." and 8 digits of its node's id. */
static enum oxv_status
old_name(int dir_fd, char out[OLD_NAME_BYTES], struct oxv_err *err)
{
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    struct oxv_view node;

    read_origin(dir_fd, origin, sizeof origin);
    node = oxv_view_from(oxv_view_text(origin), strlen("oxvault//") + 2 * OXV_ID_BYTES);
    node = oxv_view_slice(node, 0, 8);
    for (size_t i = 0; i < node.len; i++) {
        if (strchr("0123456789abcdef", node.data[i]) == NULL) {
            node.len = 0;
        }
    }
    for (unsigned i = 0; i < OLD_NAMES_MAX; i++) {
        char number[16] = "";

        if (i > 0 && oxv_format(number, sizeof number, ".%u", i) != OXV_OK) {
            oxv_bug("a number does not fit");
        }
        if (oxv_format(out, OLD_NAME_BYTES, "log.%.*s%s", node.len == 0 ? 3 : (int)node.len,
                       node.len == 0 ? "old" : (const char *)node.data, number) != OXV_OK) {
            oxv_bug("the old log's name does not fit");
        }
        if (!exists(dir_fd, out)) {
            return OXV_OK;
        }
    }
    return oxv_fail(err, OXV_E_LIMIT, "there are too many old logs in the vault's directory");
}

static enum oxv_status
swap_logs(int dir_fd, int new_fd, struct oxv_err *err)
{
    char aside[OLD_NAME_BYTES];
    enum oxv_status st = OXV_OK;

    if (exists(dir_fd, "log")) {
        st = old_name(dir_fd, aside, err);
        if (st == OXV_OK && (renameat(dir_fd, "log", dir_fd, aside) != 0 || fsync(dir_fd) != 0)) {
            st = oxv_fail_errno(err, "cannot put the old log aside");
        }
    }
    (void)oxv_hook("vault.adopt.aside");
    if (st == OXV_OK &&
        (renameat(new_fd, "log", dir_fd, "log") != 0 || fsync(new_fd) != 0 || fsync(dir_fd) != 0)) {
        st = oxv_fail_errno(err, "cannot put the new log in its place");
    }
    (void)oxv_hook("vault.adopt.swapped");
    return st;
}

enum oxv_status
oxv_vault_finish_adopt(const struct oxv_vault *vault, int dir_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep)
    int new_fd = openat(dir_fd, NEW_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    enum oxv_status st = OXV_OK;

    if (new_fd < 0) {
        return errno == ENOENT ? OXV_OK : oxv_fail_errno(err, "cannot open %s", NEW_DIR);
    }
    if (exists(new_fd, "log")) {
        read_origin(new_fd, origin, sizeof origin);
        if (!oxv_view_is(oxv_vault_node(vault)->origin, origin)) {
            return OXV_OK; /* the database never came to name it: the next adopt removes it */
        }
        st = swap_logs(dir_fd, new_fd, err);
    }
    if (st == OXV_OK && (unlinkat(dir_fd, NEW_DIR, AT_REMOVEDIR) != 0 || fsync(dir_fd) != 0)) {
        st = oxv_fail_errno(err, "cannot remove %s", NEW_DIR);
    }
    return st;
}

enum oxv_status
oxv_vault_adopt(struct oxv_vault *vault, int dir_fd, const struct oxv_copy *copy,
                struct oxv_err *err)
{
    OXV_AUTO(renewal_done) struct renewal r = { 0 };
    OXV_AUTO(oxv_closep) int new_fd = -1;
    enum oxv_status st = oxv_vault_finish_adopt(vault, dir_fd, err);

    st = st == OXV_OK ? make_new_dir(dir_fd, &new_fd, err) : st;
    (void)oxv_hook("vault.adopt.begun");
    st = st == OXV_OK ? renew(&r, vault, new_fd, OXV_ENTRY_VAULT_ADOPT, copy, err) : st;
    if (st == OXV_OK && fsync(new_fd) != 0) {
        st = oxv_fail_errno(err, "cannot sync %s", NEW_DIR);
    }
    (void)oxv_hook("vault.adopt.logged");
    st = st == OXV_OK ? store_node(vault, &r, err) : st;
    (void)oxv_hook("vault.adopt.stored");
    return st == OXV_OK ? oxv_vault_finish_adopt(vault, dir_fd, err) : st;
}
