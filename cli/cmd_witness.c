/*
 * witness: keeps a log's holder from rewriting or cutting it, on a machine and by a person apart.
 * --dir is the witness's own directory here, no vault.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/log_files.h"
#include "cli/material.h"
#include "cli/new_file.h"
#include "cli/witness_http.h"

#define LISTEN_DEFAULT "127.0.0.1:7444"
#define BACKLOG        64

static void
write_vkey(const struct oxv_vkey *vkey, char out[OXV_LOG_VKEY_MAX_BYTES])
{
    struct oxv_writer w = oxv_writer(out, OXV_LOG_VKEY_MAX_BYTES - 1);

    oxv_cosigner_write(&w, vkey);
    out[w.len] = '\0';
}

/* SHA-256 of the verifier key in hex, as of a log's first key. */
static bool
fingerprint(const char *vkey, char out[OXV_WITNESS_HASH_CHARS])
{
    OXV_AUTO(oxv_hasher_freep) struct oxv_hasher *hasher = oxv_hasher_new();
    struct oxv_writer w = oxv_writer(out, OXV_WITNESS_HASH_CHARS - 1);
    uint8_t hash[OXV_HASH_BYTES];

    if (hasher == NULL) {
        return false;
    }
    oxv_hash_bytes(hasher, oxv_view_text(vkey), hash);
    oxv_write_hex(&w, oxv_view(hash, sizeof hash));
    out[w.len] = '\0';
    return true;
}

static enum oxv_exit
print_vkey(const struct oxv_cli *cli, const struct oxv_vkey *vkey)
{
    char text[OXV_LOG_VKEY_MAX_BYTES];
    char print[OXV_WITNESS_HASH_CHARS];

    write_vkey(vkey, text);
    if (!fingerprint(text, print)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
    }
    if (cli->json) {
        (void)printf("{\"vkey\":\"%s\",\"fingerprint\":\"%s\"}\n", text, print);
        return OXV_EXIT_DONE;
    }
    (void)printf("The witness is in %s. Its key, for the log's holder and for auditors:\n\n"
                 "  %s\n\n  SHA-256 %s\n\n"
                 "Next: oxvault --dir %s witness add-log FILE, with a key of the log.\n",
                 cli->dir, text, print, cli->dir);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_witness_init(struct oxv_cli *cli)
{
    const char *name = oxv_cli_option(cli, "name");
    struct oxv_vkey vkey = { .name = "" };
    struct oxv_err err = { 0 };

    if (name == NULL) {
        return oxv_cli_usage(cli, "give the witness a name: --name, like witness.example/1");
    }
    enum oxv_exit code = oxv_material_setup(cli);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    return oxv_witness_dir_make(cli->dir, name, &vkey, &err) == OXV_OK ? print_vkey(cli, &vkey)
                                                                       : oxv_cli_err(cli, &err);
}

enum oxv_exit
oxv_cmd_witness_add_log(struct oxv_cli *cli)
{
    struct oxv_vkey key;
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_log_file_key(cli, cli->arguments[0], &key);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_witness_dir_add(cli->dir, &key, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (cli->json) {
        (void)printf("{\"origin\":\"%s\"}\n", key.name);
    } else {
        (void)printf("The log %s is known by this key now.\n", key.name);
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
open_dir(struct oxv_cli *cli, struct oxv_witness_dir **dir)
{
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_material_setup(cli);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    return oxv_witness_dir_open(cli->dir, dir, &err) == OXV_OK ? OXV_EXIT_DONE
                                                               : oxv_cli_err(cli, &err);
}

/* ---- sign: a file in, a file out ---- */

static enum oxv_exit
put_answer(const struct oxv_cli *cli, const char *path, struct oxv_view line)
{
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    struct oxv_err err = { 0 };

    if (strcmp(path, "-") == 0) {
        oxv_cli_print(line);
        return OXV_EXIT_DONE;
    }
    enum oxv_status st = oxv_new_file_open(path, &file, &err);

    if (st == OXV_OK && oxv_write_all(file.fd, line) != OXV_OK) {
        st = oxv_fail_errno(&err, "cannot write %s", path);
    }
    if (st == OXV_OK) {
        st = oxv_new_file_commit(&file, &err);
    }
    return st == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

static enum oxv_exit
refuse(const struct oxv_cli *cli, enum oxv_witness_verdict verdict, struct oxv_view size)
{
    switch (verdict) {
    case OXV_WITNESS_UNKNOWN:
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND,
                            "the witness does not know this log: oxvault witness add-log");
    case OXV_WITNESS_UNSIGNED:
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the checkpoint is not signed by a key of this log that the witness "
                            "knows");
    case OXV_WITNESS_OTHER_SIZE:
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the checkpoint cosigned last has %.*s entries: the request must begin "
                            "there; where the log has fewer, it was cut",
                            (int)(size.len - 1), (const char *)size.data);
    case OXV_WITNESS_NOT_GROWN:
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the log does not begin with what was cosigned: it was changed");
    case OXV_WITNESS_GROWN:
    case OXV_WITNESS_MALFORMED:
        break;
    }
    return oxv_cli_fail(cli, OXV_EXIT_FAILED, "old is above the checkpoint's size");
}

static enum oxv_exit
sign_request(struct oxv_cli *cli, struct oxv_witness_dir *dir,
             const struct oxv_witness_request *request)
{
    const char *output = oxv_cli_option(cli, "output");
    uint8_t text[OXV_COSIGNATURE_LINE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    enum oxv_witness_verdict verdict = OXV_WITNESS_MALFORMED;
    struct oxv_err err = { 0 };

    if (oxv_witness_dir_cosign(dir, request, &verdict, &w, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    return verdict == OXV_WITNESS_GROWN
               ? put_answer(cli, output == NULL ? "-" : output, oxv_view(text, w.len))
               : refuse(cli, verdict, oxv_view(text, w.len));
}

enum oxv_exit
oxv_cmd_witness_sign(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_witness_dir_freep) struct oxv_witness_dir *dir = NULL;
    OXV_AUTO(oxv_log_file_done) struct oxv_log_file file = { 0 };
    enum oxv_exit code = open_dir(cli, &dir);

    if (code == OXV_EXIT_DONE) {
        code = oxv_log_file_read(cli, cli->arguments[0], &file);
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    struct oxv_witness_request *request = malloc(sizeof *request);
    struct oxv_err err = { 0 };

    if (request == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
    }
    if (oxv_witness_parse(oxv_log_file_view(&file), request, &err) != OXV_OK) {
        code = oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s: %s", cli->arguments[0], err.text);
    } else {
        code = sign_request(cli, dir, request);
    }
    free(request);
    return code;
}

/* ---- serving ---- */

/* ADDRESS:PORT; an IPv6 address stands in brackets. */
static bool
parse_address(const char *text, struct sockaddr_storage *out, socklen_t *len, bool *is_loopback)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    uint64_t port;

    if (colon == NULL || !oxv_parse_decimal(oxv_view_text(colon + 1), UINT16_MAX, &port) ||
        oxv_text_copy(oxv_view(text, (size_t)(colon - text)), host, sizeof host) != OXV_OK) {
        return false;
    }
    size_t host_len = strlen(host);

    v4.sin_port = v6.sin6_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        *len = sizeof v4;
        *is_loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
        return true;
    }
    if (host_len < 2 || host[0] != '[' || host[host_len - 1] != ']') {
        return false;
    }
    host[host_len - 1] = '\0';
    if (inet_pton(AF_INET6, &host[1], &v6.sin6_addr) != 1) {
        return false;
    }
    memcpy(out, &v6, sizeof v6);
    *len = sizeof v6;
    *is_loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    return true;
}

static enum oxv_exit
listen_on_port(struct oxv_cli *cli, const char *text, int *out)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = 0;
    bool is_loopback = false;
    int one = 1;
    struct oxv_err err = { 0 };

    if (!parse_address(text, &address, &len, &is_loopback)) {
        return oxv_cli_usage(cli, "--listen wants ADDRESS:PORT, like 127.0.0.1:7444, not: %s",
                             text);
    }
    if (!is_loopback && !oxv_cli_flag(cli, "allow-remote")) {
        return oxv_cli_usage(cli,
                             "%s can be reached from other machines: with --allow-remote if that "
                             "is wanted, better by a web server with TLS in front",
                             text);
    }
    OXV_AUTO(oxv_closep)
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0) {
        (void)oxv_fail_errno(&err, "cannot listen on %s", text);
        return oxv_cli_err(cli, &err);
    }
    *out = oxv_fd_take(&fd);
    return OXV_EXIT_DONE;
}

/* A socket that a killed witness left is replaced: we hold the directory's lock. */
static enum oxv_exit
listen_on_socket(struct oxv_cli *cli, const char *path, int *out)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat st;
    struct oxv_err err = { 0 };

    if (oxv_text_copy(oxv_view_text(path), address.sun_path, sizeof address.sun_path) != OXV_OK) {
        return oxv_cli_usage(cli, "the path of the socket is too long");
    }
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path); /* bind() says where that failed */
    }
    OXV_AUTO(oxv_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0666) != 0 || listen(fd, BACKLOG) != 0) {
        (void)oxv_fail_errno(&err, "cannot listen on %s", path);
        return oxv_cli_err(cli, &err);
    }
    *out = oxv_fd_take(&fd);
    return OXV_EXIT_DONE;
}

/* Where it really listens: the port may have been 0. */
static void
say_ready(const char *socket_path, int fd)
{
    struct sockaddr_in6 address;
    socklen_t len = sizeof address;

    if (socket_path != NULL) {
        (void)printf("oxvault witness ready on %s\n", socket_path);
    } else if (getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
        (void)printf("oxvault witness ready on port %u\n", (unsigned)ntohs(address.sin6_port));
    }
    (void)fflush(stdout); /* whoever started this may have closed it */
}

enum oxv_exit
oxv_cmd_witness(struct oxv_cli *cli)
{
    const char *socket_path = oxv_cli_option(cli, "socket");
    const char *address = oxv_cli_option(cli, "listen");
    OXV_AUTO(oxv_witness_dir_freep) struct oxv_witness_dir *dir = NULL;
    OXV_AUTO(oxv_closep) int fd = -1;
    struct oxv_err err = { 0 };

    if (socket_path != NULL && address != NULL) {
        return oxv_cli_usage(cli, "give --listen or --socket, not both");
    }
    enum oxv_exit code = open_dir(cli, &dir);

    if (code == OXV_EXIT_DONE) {
        code = socket_path != NULL
                   ? listen_on_socket(cli, socket_path, &fd)
                   : listen_on_port(cli, address == NULL ? LISTEN_DEFAULT : address, &fd);
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    say_ready(socket_path, fd);
    enum oxv_status st = oxv_witness_serve(fd, dir, &err);

    if (socket_path != NULL) {
        (void)unlink(socket_path); /* the next one replaces it anyway */
    }
    return st == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}
