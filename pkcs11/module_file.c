#include "pkcs11/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"

#define MODULE_TEXT_MAX_BYTES 16384u
#define PATH_BUFFER_BYTES     (OXV_TOKEN_MODULE_MAX_BYTES + 1)

/* The system's first: what an administrator wrote wins over what a package brought. */
static const char *const directories[] = { OXV_P11_SYSTEM_MODULES, OXV_P11_PACKAGE_MODULES };

static enum oxv_token_trouble
refuse(struct oxv_p11_fault *fault, const char *path, const char *reason)
{
    return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "module %s: %s", path, reason);
}

static bool
is_trusted_owner(const struct stat *st, uint64_t owner_uid_plus1)
{
    return st->st_uid == 0 || (owner_uid_plus1 != 0 && (uint64_t)st->st_uid + 1 == owner_uid_plus1);
}

/*
 * In a sticky directory nobody can replace what is another's: /tmp is fine where what lies in it
 * belongs to somebody trusted, which is checked one step below.
 */
static bool
is_safe_directory(const struct stat *st, uint64_t owner_uid_plus1)
{
    if (!S_ISDIR(st->st_mode) || !is_trusted_owner(st, owner_uid_plus1)) {
        return false;
    }
    return (st->st_mode & (S_IWGRP | S_IWOTH)) == 0 || (st->st_mode & S_ISVTX) != 0;
}

/* Every directory above `path`, which is absolute and has no symlinks in it. */
static enum oxv_token_trouble
check_directories(const char *path, uint64_t owner_uid_plus1, struct oxv_p11_fault *fault)
{
    char part[PATH_BUFFER_BYTES];
    struct stat st;

    for (size_t i = 0; path[i] != '\0'; i++) {
        if (path[i] != '/') {
            continue;
        }
        if (oxv_text_copy(oxv_view(path, i == 0 ? 1 : i), part, sizeof part) != OXV_OK) {
            return refuse(fault, path, "the path is too long");
        }
        if (lstat(part, &st) != 0 || !is_safe_directory(&st, owner_uid_plus1)) {
            return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                                 "module %s: the directory %s must belong to root%s and be "
                                 "writable by its owner only",
                                 path, part,
                                 owner_uid_plus1 == 0 ? "" : " or to the service's user");
        }
    }
    return OXV_TOKEN_FINE;
}

/* Follows symlinks and checks what is at the end; out has PATH_BUFFER_BYTES. */
static enum oxv_token_trouble
check_file(const char *path, uint64_t owner_uid_plus1, char *out, struct oxv_p11_fault *fault)
{
    char real[PATH_MAX];
    struct stat st;

    if (realpath(path, real) == NULL || lstat(real, &st) != 0) {
        return refuse(fault, path, "there is no such file, or it cannot be reached");
    }
    if (!S_ISREG(st.st_mode)) {
        return refuse(fault, path, "it is no regular file");
    }
    if (!is_trusted_owner(&st, owner_uid_plus1)) {
        return refuse(fault, path,
                      owner_uid_plus1 == 0 ? "it must belong to root (chown root)"
                                           : "it must belong to root or to the service's user "
                                             "(chown)");
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return refuse(fault, path, "it must be writable by its owner only (chmod go-w)");
    }
    enum oxv_token_trouble t = check_directories(real, owner_uid_plus1, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    return oxv_text_copy(oxv_view_text(real), out, PATH_BUFFER_BYTES) == OXV_OK
               ? OXV_TOKEN_FINE
               : refuse(fault, path, "the path is too long");
}

static struct oxv_view
trim(struct oxv_view text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = oxv_view_from(text, 1);
    }
    while (text.len > 0 && memchr(" \t\r", text.data[text.len - 1], 3) != NULL) {
        text = oxv_view_slice(text, 0, text.len - 1);
    }
    return text;
}

static enum oxv_token_trouble
take_line(struct oxv_view line, struct oxv_p11_module_file *out, struct oxv_p11_fault *fault)
{
    size_t colon = oxv_view_find(line, ':');
    struct oxv_view name = trim(oxv_view_slice(line, 0, colon));
    struct oxv_view value = trim(oxv_view_from(line, colon + 1));
    enum oxv_status st = OXV_OK;

    if (oxv_view_is(name, "remote")) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "a remote module hides most mechanisms: name the module itself, or "
                             "p11-kit-client.so");
    }
    if (oxv_view_is(name, "module")) {
        st = oxv_text_copy(value, out->path, sizeof out->path);
    } else if (oxv_view_is(name, "x-init-reserved")) {
        st = oxv_text_copy(value, out->reserved, sizeof out->reserved);
    }
    return st == OXV_OK ? OXV_TOKEN_FINE
                        : oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                                        "a value of the module file is too long or holds a NUL");
}

enum oxv_token_trouble
oxv_p11_module_text(struct oxv_view text, struct oxv_p11_module_file *out,
                    struct oxv_p11_fault *fault)
{
    struct oxv_p11_module_file file = { 0 };

    while (text.len > 0) {
        size_t end = oxv_view_find(text, '\n');
        struct oxv_view line = trim(oxv_view_slice(text, 0, end));

        if (line.len > 0 && line.data[0] != '#') {
            enum oxv_token_trouble t = take_line(line, &file, fault);

            if (t != OXV_TOKEN_FINE) {
                return t;
            }
        }
        text = oxv_view_from(text, end + 1);
    }
    if (file.path[0] == '\0') {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "the module file names no module");
    }
    *out = file;
    return OXV_TOKEN_FINE;
}

/* A checked module file; then the shared object that it names. */
static enum oxv_token_trouble
read_module_file(const char *path, uint64_t owner_uid_plus1, struct oxv_p11_module_file *out,
                 struct oxv_p11_fault *fault)
{
    char buffer[MODULE_TEXT_MAX_BYTES];
    struct oxv_p11_module_file file;
    char object[2 * PATH_BUFFER_BYTES];
    struct oxv_err err = { 0 };
    size_t len;
    enum oxv_token_trouble t = check_file(path, owner_uid_plus1, out->path, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (oxv_read_file_at(AT_FDCWD, out->path, buffer, sizeof buffer, &len, &err) != OXV_OK) {
        return refuse(fault, path, err.text);
    }
    t = oxv_p11_module_text(oxv_view(buffer, len), &file, fault);
    if (t != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, path);
    }
    if (oxv_format(object, sizeof object, "%s%s",
                   file.path[0] == '/' ? "" : OXV_P11_MODULE_PATH "/", file.path) != OXV_OK) {
        return refuse(fault, path, "the path is too long");
    }
    memcpy(out->reserved, file.reserved, sizeof out->reserved);
    return check_file(object, owner_uid_plus1, out->path, fault);
}

static enum oxv_token_trouble
find_by_name(const char *name, uint64_t owner_uid_plus1, struct oxv_p11_module_file *out,
             struct oxv_p11_fault *fault)
{
    char path[2 * PATH_BUFFER_BYTES];
    struct stat st;

    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        if (oxv_format(path, sizeof path, "%s/%s.module", directories[i], name) == OXV_OK &&
            stat(path, &st) == 0) {
            return read_module_file(path, owner_uid_plus1, out, fault);
        }
    }
    return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                         "module %s: give an absolute path, or the name of a NAME.module in %s or "
                         "%s",
                         name, OXV_P11_SYSTEM_MODULES, OXV_P11_PACKAGE_MODULES);
}

static bool
has_suffix(const char *text, const char *suffix)
{
    struct oxv_view whole = oxv_view_text(text);
    size_t len = strlen(suffix);

    return whole.len >= len && oxv_view_is(oxv_view_from(whole, whole.len - len), suffix);
}

enum oxv_token_trouble
oxv_p11_module_find(struct oxv_view name, uint64_t owner_uid_plus1, struct oxv_p11_module_file *out,
                    struct oxv_p11_fault *fault)
{
    char text[PATH_BUFFER_BYTES];
    struct oxv_p11_module_file file = { 0 };
    enum oxv_token_trouble t;

    if (oxv_text_copy(name, text, sizeof text) != OXV_OK || text[0] == '\0') {
        return refuse(fault, "?", "the name is empty, too long or holds a NUL");
    }
    if (text[0] != '/' && strchr(text, '/') != NULL) {
        return refuse(fault, text, "give an absolute path, or a name without '/'");
    }
    if (text[0] != '/') {
        t = find_by_name(text, owner_uid_plus1, &file, fault);
    } else if (has_suffix(text, ".module")) {
        t = read_module_file(text, owner_uid_plus1, &file, fault);
    } else {
        t = check_file(text, owner_uid_plus1, file.path, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        *out = file;
    }
    return t;
}
