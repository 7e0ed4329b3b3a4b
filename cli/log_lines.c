#include "cli/log_lines.h"

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/times.h"

enum oxv_exit
oxv_log_write_time(const struct oxv_cli *cli, struct oxv_writer *w, const char *option,
                   const char *name)
{
    const char *value = oxv_cli_option(cli, option);
    char time[OXV_TIMESTAMP_BYTES];

    if (value == NULL) {
        return OXV_EXIT_DONE;
    }
    if (!oxv_times_parse(value, oxv_clock_wall_us(), false, time)) {
        return oxv_cli_usage(cli,
                             "--%s wants a date, a time like 2026-01-31T08:00:00Z, or 2h or 3d "
                             "(ago), not: %s",
                             option, value);
    }
    oxv_write_u8(w, '&');
    oxv_write_text(w, name);
    oxv_write_u8(w, '=');
    oxv_door_encode(w, time);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_log_make_path(const struct oxv_cli *cli, const char *purpose, const char *format, char *path,
                  size_t size)
{
    static const char *const filters[] = { "connection", "caller", "outcome", "type" };
    struct oxv_writer w = oxv_writer(path, size);
    enum oxv_exit code;

    oxv_write_text(&w, "/v1/audit/log?purpose=");
    oxv_write_text(&w, purpose);
    oxv_write_text(&w, "&format=");
    oxv_door_encode(&w, format);
    code = oxv_log_write_time(cli, &w, "since", "since");
    code = code == OXV_EXIT_DONE ? oxv_log_write_time(cli, &w, "until", "until") : code;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const char *value = oxv_cli_option(cli, filters[i]);

        if (value != NULL) {
            oxv_write_u8(&w, '&');
            oxv_write_text(&w, filters[i]);
            oxv_write_u8(&w, '=');
            oxv_door_encode(&w, value);
        }
    }
    oxv_write_u8(&w, 0);
    if (code == OXV_EXIT_DONE && w.failed) {
        return oxv_cli_usage(cli, "the filters are too long");
    }
    return code;
}

/* One line whose end is here; most lie in one piece and are not copied. */
static bool
take_line(struct oxv_log_splitter *s, struct oxv_view end)
{
    struct oxv_view line = end;

    if (s->rest.len > 0) {
        if (!oxv_buffer_add(&s->rest, end, OXV_LOG_RECORD_MAX_BYTES)) {
            s->failed = true;
            return false;
        }
        line = oxv_buffer_view(&s->rest);
    }
    s->stopped = !s->fn(s->context, line);
    oxv_buffer_clear(&s->rest);
    return !s->stopped;
}

bool
oxv_log_split(struct oxv_log_splitter *s, struct oxv_view piece)
{
    while (piece.len > 0) {
        size_t len = oxv_view_find(piece, '\n');

        if (len == piece.len) {
            s->failed = !oxv_buffer_add(&s->rest, piece, OXV_LOG_RECORD_MAX_BYTES);
            return !s->failed;
        }
        if (!take_line(s, oxv_view_slice(piece, 0, len))) {
            return false;
        }
        piece = oxv_view_from(piece, len + 1);
    }
    return true;
}

static bool
take_piece(void *context, struct oxv_view piece)
{
    return oxv_log_split(context, piece);
}

enum oxv_exit
oxv_log_read(struct oxv_cli *cli, const char *path, uint32_t idle_s, oxv_log_line_fn fn,
             void *context)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    struct oxv_log_splitter splitter = { .fn = fn, .context = context };
    const struct oxv_http_request request = { .method = "GET",
                                              .path = path,
                                              .sink = take_piece,
                                              .sink_context = &splitter,
                                              .endless = true,
                                              .idle_timeout_s = idle_s };
    struct oxv_client_error error;
    enum oxv_client_code code = oxv_door_try(cli, OXV_CLI_AUDIT, &request, &answer, &error);

    oxv_buffer_done(&splitter.rest);
    if (code == OXV_CLIENT_OK || splitter.stopped) {
        return OXV_EXIT_DONE;
    }
    if (splitter.failed) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service sent a line that is too long");
    }
    return oxv_cli_client_error(cli, &error);
}
