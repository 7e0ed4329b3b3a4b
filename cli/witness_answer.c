/* One request, one answer: what the two paths do, and how a verdict reads. */
#include <stdio.h>
#include <stdlib.h>

#include "base/http_syntax.h"
#include "base/io.h"
#include "base/text.h"
#include "cli/escape.h"
#include "cli/witness_http.h"

struct response {
    unsigned code;
    const char *type;
    struct oxv_view body;
};

static const char *
reason_of(unsigned code)
{
    switch (code) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 422:
        return "Unprocessable Content";
    default:
        return "Internal Server Error";
    }
}

static void
write_response(struct oxv_writer *w, const struct response *response)
{
    oxv_write_text(w, "HTTP/1.1 ");
    oxv_write_decimal(w, response->code);
    oxv_write_u8(w, ' ');
    oxv_write_text(w, reason_of(response->code));
    oxv_write_text(w, "\r\nContent-Type: ");
    oxv_write_text(w, response->type);
    oxv_write_text(w, "\r\nContent-Length: ");
    oxv_write_decimal(w, response->body.len);
    oxv_write_text(w, "\r\nConnection: close\r\n\r\n");
    oxv_write_view(w, response->body);
}

static void
write_text_response(struct oxv_writer *w, unsigned code, const char *text)
{
    const struct response response = { code, "text/plain; charset=utf-8", oxv_view_text(text) };

    write_response(w, &response);
}

static const char *
sentence_of(enum oxv_witness_verdict verdict)
{
    switch (verdict) {
    case OXV_WITNESS_GROWN:
        return "cosigned";
    case OXV_WITNESS_MALFORMED:
        return "refused: old is above the checkpoint's size\n";
    case OXV_WITNESS_UNSIGNED:
        return "refused: not signed by a key of this log that the witness knows\n";
    case OXV_WITNESS_UNKNOWN:
        return "refused: this witness does not know the log\n";
    case OXV_WITNESS_OTHER_SIZE:
        return "refused: another size was cosigned last\n";
    case OXV_WITNESS_NOT_GROWN:
        break;
    }
    return "refused: the log does not begin with what was cosigned\n";
}

/* A line for the operator: an attack is seen here first. */
static void
say(const struct oxv_witness_request *request, enum oxv_witness_verdict verdict)
{
    const char *sentence = sentence_of(verdict);

    (void)fputs("oxvault witness: ", stderr);
    oxv_escape_print(stderr, oxv_view_text(request->said.origin));
    (void)fprintf(stderr, " size %llu: %.*s\n", (unsigned long long)request->said.head.size,
                  (int)strcspn(sentence, "\n"), sentence);
}

static void
answer_parsed(struct oxv_witness_dir *dir, const struct oxv_witness_request *request,
              struct oxv_writer *answer)
{
    uint8_t text[OXV_COSIGNATURE_LINE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_err err = { 0 };
    enum oxv_witness_verdict verdict = OXV_WITNESS_MALFORMED;

    if (oxv_witness_dir_cosign(dir, request, &verdict, &w, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault witness: %s\n", err.text);
        write_text_response(answer, 500, "the witness cannot write its state\n");
        return;
    }
    say(request, verdict);
    if (verdict == OXV_WITNESS_GROWN || verdict == OXV_WITNESS_OTHER_SIZE) {
        const struct response response = { verdict,
                                           verdict == OXV_WITNESS_GROWN
                                               ? "text/plain; charset=utf-8"
                                               : "text/x.tlog.size",
                                           oxv_view(text, w.len) };

        write_response(answer, &response);
    } else {
        write_text_response(answer, verdict, sentence_of(verdict));
    }
}

void
oxv_witness_refuse(unsigned code, const char *text, struct oxv_writer *answer)
{
    uint8_t line[OXV_ERR_TEXT_MAX_BYTES + 1];
    struct oxv_writer w = oxv_writer(line, sizeof line);

    oxv_write_text(&w, text);
    oxv_write_u8(&w, '\n');
    const struct response response = { code, "text/plain; charset=utf-8", oxv_view(line, w.len) };

    write_response(answer, &response);
}

static void
add_checkpoint(struct oxv_witness_dir *dir, struct oxv_view body, struct oxv_writer *answer)
{
    struct oxv_witness_request *request = malloc(sizeof *request);
    struct oxv_err err = { 0 };

    if (request == NULL) {
        write_text_response(answer, 500, "no memory\n");
        return;
    }
    if (oxv_witness_parse(body, request, &err) != OXV_OK) {
        oxv_witness_refuse(OXV_WITNESS_MALFORMED, err.text, answer);
    } else {
        answer_parsed(dir, request, answer);
    }
    free(request);
}

/* "/<64 hex>/checkpoint" */
static bool
take_hash(struct oxv_view target, char hash[OXV_WITNESS_HASH_CHARS])
{
    struct oxv_view text = oxv_view_slice(target, 1, OXV_WITNESS_HASH_CHARS - 1);

    for (size_t i = 0; i < text.len; i++) {
        if (strchr("0123456789abcdef", text.data[i]) == NULL) {
            return false;
        }
    }
    return oxv_view_is(oxv_view_from(target, OXV_WITNESS_HASH_CHARS), "/checkpoint") &&
           oxv_text_copy(text, hash, OXV_WITNESS_HASH_CHARS) == OXV_OK;
}

static void
give_note(const struct oxv_witness_dir *dir, const char hash[OXV_WITNESS_HASH_CHARS],
          struct oxv_writer *answer)
{
    uint8_t *note = malloc(OXV_NOTE_MAX_BYTES);
    struct oxv_writer w = oxv_writer(note, note == NULL ? 0 : OXV_NOTE_MAX_BYTES);
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_witness_dir_note(dir, hash, &w, &err);

    if (st == OXV_OK) {
        const struct response response = { 200, "text/plain; charset=utf-8",
                                           oxv_view(note, w.len) };

        write_response(answer, &response);
    } else if (st == OXV_E_NOT_FOUND) {
        write_text_response(answer, 404, "no checkpoint of that log was cosigned\n");
    } else {
        (void)fprintf(stderr, "oxvault witness: %s\n", err.text);
        write_text_response(answer, 500, "the witness cannot read its state\n");
    }
    free(note);
}

void
oxv_witness_answer(struct oxv_witness_dir *dir, const struct oxv_http_head *head,
                   struct oxv_view body, struct oxv_writer *answer)
{
    char hash[OXV_WITNESS_HASH_CHARS];

    if (oxv_view_is(head->target, "/add-checkpoint")) {
        if (oxv_view_is(head->method, "POST")) {
            add_checkpoint(dir, body, answer);
        } else {
            write_text_response(answer, 405, "only POST\n");
        }
    } else if (take_hash(head->target, hash)) {
        if (oxv_view_is(head->method, "GET")) {
            give_note(dir, hash, answer);
        } else {
            write_text_response(answer, 405, "only GET\n");
        }
    } else {
        write_text_response(answer, 404, "there is /add-checkpoint and /<hash>/checkpoint\n");
    }
}
