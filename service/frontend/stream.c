#include "service/frontend/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "service/frontend/calls.h"
#include "service/frontend/log_line.h"
#include "service/frontend/log_query.h"
#include "service/frontend/peer.h"
#include "service/frontend/problem.h"
#include "service/frontend/reply.h"

enum phase {
    PHASE_OPENING,
    PHASE_COUNTING, /* from the newest segment back, until `limit` entries match */
    PHASE_EMITTING, /* forward */
};

enum awaited {
    AWAITS_NOTHING, /* the next step can be taken */
    AWAITS_KEEPER,
    AWAITS_GROWTH, /* of the log */
};

struct oxv_log_stream {
    struct oxv_log_query query;
    enum phase phase;
    enum awaited awaits;
    bool is_open;   /* the keeper has to be told of the end */
    bool has_begun; /* the answer's head is out */
    uint64_t read;
    uint64_t size; /* entries to look at; grows when following */

    int fd;          /* of the segment at hand, -1: none */
    uint64_t first;  /* index of its first entry */
    uint64_t bytes;  /* committed */
    uint64_t offset; /* of the next line */
    uint64_t index;  /* of the next entry, or of the one whose segment is wanted */

    uint64_t matches; /* counted */
    uint64_t skip;    /* matches that are not among the last `limit` */
};

void
oxv_stream_free(struct oxv_frontend *f, struct oxv_log_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    oxv_closep(&stream->fd);
    if (stream->is_open) {
        oxv_call_close_read(f, stream->read);
    }
    f->stream_count--;
    free(stream);
}

static void
drop(struct oxv_peer *p)
{
    oxv_stream_free(p->frontend, p->stream);
    p->stream = NULL;
}

static enum oxv_status
ask_keeper(struct oxv_peer *p, uint8_t question, const struct oxv_shape *shape, const void *fields)
{
    p->stream->awaits = AWAITS_KEEPER;
    return oxv_call_ask(p, question, shape, fields) ? OXV_OK : OXV_E_MEMORY;
}

enum oxv_status
oxv_stream_begin(struct oxv_peer *p, struct oxv_view query, struct oxv_err *err)
{
    struct oxv_frontend *f = p->frontend;
    struct oxv_log_query parsed;
    enum oxv_status st = oxv_log_query_parse(query, &parsed, err);

    if (st != OXV_OK) {
        return st;
    }
    if (f->stream_count == OXV_STREAMS_MAX) {
        return oxv_fail(err, OXV_E_BUSY, "this user reads the log in too many places at once");
    }
    struct oxv_log_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the read");
    }
    stream->query = parsed;
    stream->fd = -1;
    p->stream = stream;
    f->stream_count++;
    struct oxv_msg_log_read message = {
        .purpose = oxv_view_text(oxv_log_purpose_name(parsed.purpose)),
        .format = oxv_view_text(parsed.format->name),
    };

    st = ask_keeper(p, OXV_MSG_LOG_READ, &oxv_msg_log_read_shape, &message);
    if (st != OXV_OK) {
        drop(p);
    }
    return st;
}

/* The log cannot be read on. An answer that has begun is cut: its missing end tells. */
static void
fail(struct oxv_peer *p)
{
    if (p->stream->has_begun) {
        oxv_peer_end(p);
        return;
    }
    drop(p);
    oxv_reply_problem(p, OXV_CODE_INTERNAL, "the access log cannot be read");
}

static void
begin_answer(struct oxv_peer *p)
{
    struct oxv_log_stream *s = p->stream;
    struct oxv_writer w = oxv_writer(p->frontend->scratch, OXV_SCRATCH_BYTES);

    s->has_begun = true;
    oxv_reply_stream_begin(p, s->query.format->media_type);
    if (s->query.format->begin != NULL && p->state != OXV_PEER_DEAD) {
        s->query.format->begin(&w);
        oxv_reply_stream_piece(p, oxv_view(w.data, w.len));
    }
}

static void
ask_segment(struct oxv_peer *p, uint64_t index)
{
    struct oxv_msg_log_segment message = { .read = p->stream->read, .index = index };

    if (ask_keeper(p, OXV_MSG_LOG_SEGMENT, &oxv_msg_log_segment_shape, &message) != OXV_OK) {
        oxv_peer_end(p);
    }
}

/* From the segment at hand on, or from `index` where there is none. */
static void
begin_emitting(struct oxv_log_stream *s)
{
    s->phase = PHASE_EMITTING;
    s->offset = 0;
    if (s->fd >= 0) {
        s->index = s->first;
    }
    s->skip = s->query.has_limit && s->matches > s->query.limit ? s->matches - s->query.limit : 0;
    s->matches = 0;
}

static void
on_opened(struct oxv_peer *p, const struct oxv_msg_log_opened *opened)
{
    struct oxv_log_stream *s = p->stream;

    s->is_open = true;
    s->read = opened->read;
    s->size = opened->size;
    s->index = s->query.from;
    p->state = OXV_PEER_STREAM;
    if (s->query.has_limit && s->query.limit == 0 && s->index < s->size) {
        s->index = s->size; /* nothing of what is there, only what comes */
        s->query.from = s->size;
    }
    if (s->query.has_limit && s->index < s->size) {
        s->phase = PHASE_COUNTING;
        ask_segment(p, s->size - 1);
    } else {
        s->query.has_limit = false;
        s->awaits = AWAITS_NOTHING;
        begin_emitting(s);
    }
}

/* False where it is not the segment that was asked for. */
static bool
on_segment(struct oxv_log_stream *s, const struct oxv_msg_log_bytes *segment, int fd)
{
    bool is_same = s->fd >= 0 && segment->first == s->first && s->phase == PHASE_EMITTING;
    uint64_t wanted = s->phase == PHASE_COUNTING && s->fd >= 0 ? s->first - 1 : s->index;

    if (s->phase == PHASE_COUNTING && s->fd < 0) {
        wanted = s->size - 1;
    }
    oxv_closep(&s->fd);
    s->fd = fd;
    if (segment->first > wanted || (is_same && segment->bytes <= s->offset)) {
        return false;
    }
    s->bytes = segment->bytes;
    if (!is_same) {
        s->first = segment->first;
        s->index = segment->first;
        s->offset = 0;
    }
    s->awaits = AWAITS_NOTHING;
    return true;
}

/* What comes of the lines of one piece. */
struct piece {
    struct oxv_writer out;
    bool is_full; /* the rest has to wait for the next piece */
};

/* One entry that is within the bounds of the read. */
static enum oxv_status
take_entry(struct oxv_log_stream *s, struct oxv_view line, struct piece *piece)
{
    enum oxv_status st = oxv_log_query_match(&s->query, line);

    if (st == OXV_E_NOT_FOUND) {
        return OXV_OK;
    }
    if (st != OXV_OK) {
        return st;
    }
    s->matches++;
    if (s->phase == PHASE_COUNTING || s->matches <= s->skip) {
        return OXV_OK;
    }
    return oxv_log_format_record(s->query.format, &piece->out, line);
}

/* Lines of the segment, from its offset on. OXV_E_FORMAT where they are not lines of a log. */
static enum oxv_status
take_lines(struct oxv_log_stream *s, struct oxv_view lines, struct piece *piece)
{
    while (lines.len > 0 && s->index < s->size &&
           piece->out.max - piece->out.len >= OXV_LOG_RECORD_MAX_BYTES) {
        size_t len = oxv_view_find(lines, '\n');
        struct oxv_view line = oxv_view_slice(lines, 0, len);
        enum oxv_status st = OXV_OK;

        if (len > OXV_LOG_LINE_MAX_BYTES) {
            return OXV_E_FORMAT;
        }
        if (len == lines.len) {
            return OXV_OK; /* its rest is in the next piece */
        }
        if (!oxv_log_line_is_commit(line)) {
            st = s->index >= s->query.from ? take_entry(s, line, piece) : OXV_OK;
            s->index++;
        }
        if (st != OXV_OK) {
            return st;
        }
        lines = oxv_view_from(lines, len + 1);
        s->offset += len + 1;
    }
    return OXV_OK;
}

/* Reads on in the segment at hand, never beyond what is committed. */
static enum oxv_status
read_piece(struct oxv_frontend *f, struct oxv_log_stream *s, struct piece *piece)
{
    uint64_t left = s->bytes - s->offset;
    size_t len = left < sizeof f->chunk ? (size_t)left : sizeof f->chunk;
    uint64_t before = s->offset;
    ssize_t n = pread(s->fd, f->chunk, len, (off_t)s->offset);

    if (n <= 0) {
        return n < 0 && errno == EINTR ? OXV_OK : OXV_E_IO;
    }
    enum oxv_status st = take_lines(s, oxv_view(f->chunk, (size_t)n), piece);

    /* Committed bytes are whole lines, and a chunk holds several of the longest. */
    return st == OXV_OK && s->offset == before && s->index < s->size ? OXV_E_FORMAT : st;
}

static void
count_step(struct oxv_peer *p)
{
    struct oxv_log_stream *s = p->stream;
    struct piece piece = { .out = oxv_writer(p->frontend->scratch, OXV_SCRATCH_BYTES) };

    if (s->offset < s->bytes && s->index < s->size) {
        if (read_piece(p->frontend, s, &piece) != OXV_OK) {
            fail(p);
        }
        return;
    }
    if (s->matches >= s->query.limit || s->first <= s->query.from) {
        begin_emitting(s);
        return;
    }
    ask_segment(p, s->first - 1);
}

static void
wait_for_growth(struct oxv_peer *p)
{
    struct oxv_frontend *f = p->frontend;
    struct oxv_log_stream *s = p->stream;

    if (f->log_size > s->size) {
        s->size = f->log_size;
        s->awaits = AWAITS_NOTHING;
        return;
    }
    s->awaits = AWAITS_GROWTH;
    if (f->log_wait_open) {
        return; /* one question serves all that follow */
    }
    struct oxv_msg_log_wait message = { .read = s->read, .size = s->size };
    struct oxv_call *call = oxv_call_open(f, NULL, OXV_MSG_LOG_WAIT);

    if (call == NULL) {
        return; /* tried again each turn */
    }
    if (oxv_channel_put_fields(f->channel, OXV_MSG_LOG_WAIT, call->id, &oxv_msg_log_wait_shape,
                               &message) != OXV_OK) {
        oxv_call_free(f, call);
        return;
    }
    f->log_wait_open = true;
    f->log_wait_read = s->read;
}

static void
emit_step(struct oxv_peer *p)
{
    struct oxv_log_stream *s = p->stream;
    struct piece piece = { .out = oxv_writer(p->frontend->scratch, OXV_SCRATCH_BYTES) };

    if (!s->has_begun) {
        begin_answer(p);
        return;
    }
    if (s->index >= s->size) {
        if (s->query.purpose == OXV_LOG_FOLLOW) {
            wait_for_growth(p);
        } else {
            drop(p);
            oxv_reply_stream_end(p);
        }
        return;
    }
    if (s->fd < 0 || s->offset == s->bytes) {
        ask_segment(p, s->index);
        return;
    }
    if (read_piece(p->frontend, s, &piece) != OXV_OK || piece.out.failed) {
        fail(p);
        return;
    }
    oxv_reply_stream_piece(p, oxv_view(piece.out.data, piece.out.len));
}

static bool
can_run(const struct oxv_peer *p)
{
    return p->state == OXV_PEER_STREAM && p->stream->awaits == AWAITS_NOTHING && !p->blocked &&
           oxv_buffer_len(&p->out) == 0;
}

static void
run_one(struct oxv_peer *p)
{
    if (p->state == OXV_PEER_STREAM && p->stream->awaits == AWAITS_GROWTH) {
        wait_for_growth(p);
    }
    if (!can_run(p)) {
        return;
    }
    if (p->stream->phase == PHASE_COUNTING) {
        count_step(p);
    } else {
        emit_step(p);
    }
}

bool
oxv_streams_run(struct oxv_frontend *f)
{
    struct oxv_peer *p = f->stream_count > 0 ? TAILQ_FIRST(&f->peers) : NULL;
    bool more = false;

    while (p != NULL) {
        struct oxv_peer *next = TAILQ_NEXT(p, all);

        if (p->stream != NULL) {
            run_one(p);
            /* Output, too: it is sent this turn, and then there may be a next step. */
            more = more || (p->state == OXV_PEER_STREAM && !p->blocked &&
                            p->stream->awaits == AWAITS_NOTHING);
        }
        p = next;
    }
    return more;
}

static bool
answer_read(struct oxv_frontend *f, struct oxv_peer *p, struct oxv_view payload)
{
    struct oxv_msg_log_opened opened;

    if (oxv_fields_decode(payload, &oxv_msg_log_opened_shape, &opened, NULL) != OXV_OK) {
        return false;
    }
    f->log_size = opened.size > f->log_size ? opened.size : f->log_size;
    if (p == NULL) {
        oxv_call_close_read(f, opened.read);
    } else {
        on_opened(p, &opened);
    }
    return true;
}

static bool
answer_segment(struct oxv_peer *p, struct oxv_view payload, int *fd)
{
    struct oxv_msg_log_bytes segment;

    if (*fd < 0 || oxv_fields_decode(payload, &oxv_msg_log_bytes_shape, &segment, NULL) != OXV_OK) {
        return false;
    }
    return p == NULL || on_segment(p->stream, &segment, oxv_fd_take(fd));
}

static bool
answer_wait(struct oxv_frontend *f, struct oxv_view payload)
{
    struct oxv_msg_log_size grown;

    if (oxv_fields_decode(payload, &oxv_msg_log_size_shape, &grown, NULL) != OXV_OK) {
        return false;
    }
    f->log_size = grown.size > f->log_size ? grown.size : f->log_size;
    return true;
}

/* The keeper does not let this read go on; where the read is over anyway, others ask again. */
static bool
refuse_wait(struct oxv_frontend *f)
{
    struct oxv_peer *p;

    TAILQ_FOREACH(p, &f->peers, all)
    {
        if (p->stream != NULL && p->stream->is_open && p->stream->read == f->log_wait_read) {
            oxv_peer_end(p);
            return true;
        }
    }
    return true;
}

static bool
refuse_stream(struct oxv_peer *p, struct oxv_view payload)
{
    if (p == NULL) {
        return true;
    }
    if (p->stream->has_begun) {
        oxv_peer_end(p);
        return true;
    }
    drop(p);
    return oxv_reply_keeper_problem(p, payload);
}

bool
oxv_stream_answer(struct oxv_frontend *f, const struct oxv_call *call,
                  const struct oxv_message *message, int *fd)
{
    bool is_problem = message->type == OXV_MSG_PROBLEM;

    if (call->question == OXV_MSG_LOG_WAIT) {
        f->log_wait_open = false;
        return is_problem ? refuse_wait(f)
                          : message->type == OXV_MSG_LOG_SIZE && answer_wait(f, message->payload);
    }
    if (is_problem) {
        return refuse_stream(call->peer, message->payload);
    }
    if (call->question == OXV_MSG_LOG_READ) {
        return message->type == OXV_MSG_LOG_OPENED && answer_read(f, call->peer, message->payload);
    }
    return message->type == OXV_MSG_LOG_SEGMENT_FD &&
           answer_segment(call->peer, message->payload, fd);
}
