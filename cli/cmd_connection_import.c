/*
 * connection import: all lines or none. The file is read twice: first every line is checked, then
 * they are sealed into boxes and sent, as one session that becomes one change.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/import_line.h"
#include "cli/material.h"
#include "cli/progress.h"
#include "cli/sealed_box.h"
#include "cli/secret_lines.h"
#include "vault/k0.h"

#define CHUNK_MAX_BYTES                                                                            \
    (OXV_BOX_MAX_BYTES - 1024u) /* the limit of its shape; the rest is the head */
#define BODY_MAX_BYTES 65536u
#define SESSION_CHARS  32u

/* To find a name that comes twice before anything is sent. */
struct named_line {
    char name[OXV_NAME_MAX_BYTES + 1];
    uint64_t number;
};

struct import {
    struct oxv_cli *cli;
    const char *file;
    int fd;
    bool keep;
    struct oxv_import_line *line;
    struct named_line *names;
    size_t count;
    size_t capacity;
    uint64_t odd_count;
    uint64_t odd_first; /* its line */
    /* the session */
    struct oxv_vault_pub pub;
    uint8_t challenge[OXV_CHALLENGE_BYTES];
    char session[SESSION_CHARS + 1];
    uint64_t chunks;
    struct oxv_secret *chunk; /* LIST of encoded connections */
    struct oxv_secret *room;
    struct oxv_secret *key_room;
    size_t chunk_len;
    uint64_t sent;
    struct oxv_progress progress;
};

static void
import_done(struct import *import)
{
    if (import->line != NULL) {
        oxv_import_line_done(import->line);
    }
    free(import->line);
    free(import->names);
    oxv_secret_freep(&import->chunk);
    oxv_secret_freep(&import->room);
    oxv_secret_freep(&import->key_room);
    oxv_closep(&import->fd);
}

static enum oxv_exit
fail_line(const struct import *import, uint64_t number, struct oxv_err *err)
{
    oxv_err_prefix(err, "%s, line %llu", import->file, (unsigned long long)number);
    return oxv_cli_fail(import->cli, OXV_EXIT_FAILED, "%s; nothing was imported", err->text);
}

static enum oxv_exit
remember_name(struct import *import, uint64_t number)
{
    if (import->count == import->capacity) {
        size_t capacity = import->capacity == 0 ? 1024 : 2 * import->capacity;
        struct named_line *names = reallocarray(import->names, capacity, sizeof *names);

        if (names == NULL) {
            return oxv_cli_fail(import->cli, OXV_EXIT_FAILED, "out of memory");
        }
        import->names = names;
        import->capacity = capacity;
    }
    struct named_line *named = &import->names[import->count++];

    named->number = number;
    if (oxv_text_copy(import->line->fields.name, named->name, sizeof named->name) != OXV_OK) {
        oxv_bug("a name that was checked does not fit");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
check_line(struct import *import, uint64_t number, struct oxv_view text)
{
    struct oxv_err err = { 0 };

    if (oxv_import_line_read(text, import->line, &err) != OXV_OK) {
        return fail_line(import, number, &err);
    }
    if (import->line->oddity != OXV_SECRET_FINE) {
        import->odd_first = import->odd_count == 0 ? number : import->odd_first;
        import->odd_count++;
    }
    return remember_name(import, number);
}

static int
compare_names(const void *a, const void *b)
{
    const struct named_line *left = a;
    const struct named_line *right = b;
    int order = strcmp(left->name, right->name);

    if (order != 0) {
        return order;
    }
    return left->number < right->number ? -1 : 1;
}

static enum oxv_exit
check_names(struct import *import)
{
    if (import->count == 0) {
        return oxv_cli_fail(import->cli, OXV_EXIT_FAILED, "%s has no line to import", import->file);
    }
    qsort(import->names, import->count, sizeof import->names[0], compare_names);
    for (size_t i = 1; i < import->count; i++) {
        if (strcmp(import->names[i - 1].name, import->names[i].name) == 0) {
            return oxv_cli_fail(import->cli, OXV_EXIT_FAILED,
                                "%s, line %llu: the name %s is that of line %llu too; nothing was "
                                "imported",
                                import->file, (unsigned long long)import->names[i].number,
                                import->names[i].name,
                                (unsigned long long)import->names[i - 1].number);
        }
    }
    if (import->odd_count > 0) {
        oxv_cli_warn("%llu of %zu lines have a secret of an unexpected shape (NetSuite's are 64 "
                     "hex characters), the first is line %llu",
                     (unsigned long long)import->odd_count, import->count,
                     (unsigned long long)import->odd_first);
    }
    return OXV_EXIT_DONE;
}

typedef enum oxv_exit (*line_fn)(struct import *import, uint64_t number, struct oxv_view text);

static enum oxv_exit
each_line(struct import *import, line_fn fn)
{
    OXV_AUTO(oxv_secret_lines_done) struct oxv_secret_lines lines = { .fd = -1 };
    struct oxv_err err = { 0 };
    enum oxv_exit code = OXV_EXIT_DONE;

    if (lseek(import->fd, 0, SEEK_SET) != 0) {
        (void)oxv_fail_errno(&err, "cannot read %s", import->file);
        return oxv_cli_err(import->cli, &err);
    }
    if (oxv_secret_lines_init(&lines, import->fd, &err) != OXV_OK) {
        return oxv_cli_err(import->cli, &err);
    }
    for (;;) {
        struct oxv_view text;
        bool more = false;

        if (oxv_secret_lines_next(&lines, &text, &more, &err) != OXV_OK) {
            return fail_line(import, lines.number, &err);
        }
        if (!more || code != OXV_EXIT_DONE) {
            return code;
        }
        code = fn(import, lines.number, text);
        if (code != OXV_EXIT_DONE) {
            return code;
        }
    }
}

static enum oxv_exit
begin(struct import *import)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_vault_pub_load(import->cli, &import->pub);

    if (code == OXV_EXIT_DONE) {
        code =
            oxv_door_call(import->cli, "POST", "/v1/admin/imports", oxv_view_text("{}"), &answer);
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&answer), "session", import->session, sizeof import->session);
    if (strspn(import->session, "0123456789abcdef") != SESSION_CHARS) {
        return oxv_cli_fail(import->cli, OXV_EXIT_FAILED, "the service's answer has no session");
    }
    return oxv_box_read_challenge(import->cli, oxv_buffer_view(&answer), import->challenge);
}

static enum oxv_exit
session_path(const struct import *import, char path[OXV_DOOR_PATH_MAX_BYTES], const char *after)
{
    return oxv_door_make_path(import->cli, path, "/v1/admin/imports/", import->session, after);
}

/* Seals what was gathered and sends it. */
static enum oxv_exit
send_chunk(struct import *import)
{
    static uint8_t body[BODY_MAX_BYTES];
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    const struct oxv_box_import payload = {
        .session = oxv_view_text(import->session),
        .chunk = ++import->chunks,
        .connections = oxv_view(oxv_secret_bytes(import->chunk), import->chunk_len),
    };
    const struct oxv_box_content content = { OXV_BOX_CONNECTION_IMPORT, &oxv_box_import_shape,
                                             &payload, NULL, NULL };
    struct oxv_writer w = oxv_writer(body, sizeof body);
    struct oxv_view text;
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code = session_path(import, path, "/chunks");

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_write_u8(&w, '{');
    code = oxv_box_write(import->cli, &import->pub, import->challenge, &content, &w);
    oxv_write_u8(&w, '}');
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        return oxv_cli_fail(import->cli, OXV_EXIT_FAILED, "a chunk is too long for the service");
    }
    import->chunk_len = 0;
    code = oxv_door_call(import->cli, "POST", path, text, &answer);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_progress_show(&import->progress, import->sent);
    return oxv_box_read_challenge(import->cli, oxv_buffer_view(&answer), import->challenge);
}

/* The place for one more connection in the chunk: behind the others, and their u16 lengths. */
static enum oxv_status
add_to_chunk(struct import *import, struct oxv_err *err)
{
    const struct oxv_connection_keys keys = { .consumer = import->line->secrets.consumer,
                                              .token = import->line->secrets.token,
                                              .keep = import->keep,
                                              .room = import->room,
                                              .key_room = import->key_room };
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(import->chunk), CHUNK_MAX_BYTES);
    struct oxv_writer place;

    w.len = import->chunk_len;
    oxv_write_u16(&w, 0);
    if (w.failed) {
        return oxv_fail(err, OXV_E_LIMIT, "the chunk is full");
    }
    enum oxv_status st = oxv_connection_encode(&import->line->draft, &keys, &w, err);

    if (st != OXV_OK) {
        return st;
    }
    place = oxv_writer(oxv_secret_bytes(import->chunk), CHUNK_MAX_BYTES);
    place.len = import->chunk_len;
    oxv_write_u16(&place, w.len - import->chunk_len - sizeof(uint16_t));
    if (place.failed) {
        return oxv_fail(err, OXV_E_LIMIT, "the connection is too long");
    }
    import->chunk_len = w.len;
    return OXV_OK;
}

static enum oxv_exit
send_line(struct import *import, uint64_t number, struct oxv_view text)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_import_line_read(text, import->line, &err);

    st = st == OXV_OK ? add_to_chunk(import, &err) : st;
    if (st == OXV_E_LIMIT && import->chunk_len > 0) {
        enum oxv_exit code = send_chunk(import);

        if (code != OXV_EXIT_DONE) {
            return code;
        }
        st = add_to_chunk(import, &err);
    }
    if (st != OXV_OK) {
        return fail_line(import, number, &err);
    }
    import->sent++;
    return OXV_EXIT_DONE;
}

static enum oxv_exit
commit(struct import *import, struct oxv_buffer *answer)
{
    char path[OXV_DOOR_PATH_MAX_BYTES];
    char body[64];
    enum oxv_exit code = session_path(import, path, "/commit");

    if (oxv_format(body, sizeof body, "{\"count\":%llu}", (unsigned long long)import->sent) !=
        OXV_OK) {
        oxv_bug("a number that is too long");
    }
    if (code == OXV_EXIT_DONE) {
        code = oxv_door_call(import->cli, "POST", path, oxv_view_text(body), answer);
    }
    return code;
}

/* The service drops the session by itself too; this only spares others the wait. */
static void
abandon(struct import *import)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    struct oxv_client_error ignored;
    char path[OXV_DOOR_PATH_MAX_BYTES];
    const struct oxv_http_request request = { .method = "DELETE", .path = path };

    if (session_path(import, path, "") == OXV_EXIT_DONE) {
        (void)oxv_door_try(import->cli, OXV_CLI_ADMIN, &request, &answer, &ignored);
    }
}

static enum oxv_exit
send_all(struct import *import, struct oxv_buffer *answer)
{
    enum oxv_exit code = begin(import);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_progress_begin(&import->progress, "Importing", import->count);
    code = each_line(import, send_line);
    if (code == OXV_EXIT_DONE && import->chunk_len > 0) {
        code = send_chunk(import);
    }
    code = code == OXV_EXIT_DONE ? commit(import, answer) : code;
    oxv_progress_end(&import->progress);
    if (code != OXV_EXIT_DONE) {
        abandon(import);
    }
    return code;
}

static enum oxv_exit
open_import(struct import *import)
{
    struct oxv_err err = { 0 };

    if (oxv_open_secret_file(import->file, &import->fd, &err) != OXV_OK) {
        return oxv_cli_err(import->cli, &err);
    }
    import->line = calloc(1, sizeof *import->line);
    import->chunk = oxv_secret_new(CHUNK_MAX_BYTES);
    import->room = oxv_secret_new(OXV_CONNECTION_ROOM_BYTES);
    import->key_room = oxv_secret_new(OXV_K0_ROOM_BYTES);
    if (import->line == NULL || import->chunk == NULL || import->room == NULL ||
        import->key_room == NULL) {
        return oxv_cli_fail(import->cli, OXV_EXIT_FAILED, "no (locked) memory left");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_connection_import(struct oxv_cli *cli)
{
    OXV_AUTO(import_done)
    struct import import = {
        .cli = cli, .file = cli->arguments[0], .fd = -1, .keep = oxv_cli_flag(cli, "keep-secrets")
    };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_material_setup(cli);

    code = code == OXV_EXIT_DONE ? open_import(&import) : code;
    code = code == OXV_EXIT_DONE ? each_line(&import, check_line) : code;
    code = code == OXV_EXIT_DONE ? check_names(&import) : code;
    code = code == OXV_EXIT_DONE ? send_all(&import, &answer) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        (void)printf("%llu connections are in the vault. Now remove %s: it holds their secrets.\n",
                     (unsigned long long)import.sent, import.file);
    }
    return OXV_EXIT_DONE;
}
