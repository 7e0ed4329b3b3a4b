"""The built oxvault-frontend between peers and a keeper that are this test."""

import csv
import json
import os
import re
import signal
import socket
import struct
import tempfile
import threading
import time

import pytest
from support import wire
from support.frontend import Frontend, doc, problem

SIGN = '{"connection":"acme","method":"GET","url":"https://example.com/"}'
LOST = "the signing service restarted; the request may be in the log: send it again"


@pytest.fixture
def program(build):
    return build.libexec / "oxvault-frontend"


@pytest.fixture
def start(program):
    started = []

    def make(door="sign"):
        started.append(Frontend(program, door))
        return started[-1]

    yield make
    for one in started:
        if one.process.returncode is None:
            assert one.close() == 0, one.stderr


@pytest.fixture
def sign(start):
    return start("sign")


@pytest.fixture
def served(sign):
    """With a keeper that answers everything."""
    sign.serve()
    return sign


def sign_request(body=SIGN, head=""):
    return (
        f"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: localhost\r\n{head}"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
    ).encode()


def assert_problem(answer, status, code, detail=None):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.body)
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:oxvault:error:{code}"
    if detail is not None:
        assert body["detail"] == detail
    return body


def assert_refused(answer, status, code, detail=None):
    """And the connection ends with it."""
    body = assert_problem(answer, status, code, detail)
    assert answer.headers["Connection"] == "close"
    return body


# The way of a request


def test_a_request_becomes_a_message_and_its_document_the_answer(sign):
    peer = sign.peer()
    peer.send(sign_request('{"connection":"acme","method":"POST","url":"https://x/y",'
                           '"form":{"a":"1","b":"\\u00e9"}}'))
    kind, ident, payload = sign.receive()
    assert kind == wire.SIGN and ident != 0
    assert payload == wire.fields(
        (1, 1), (2, "acme"), (3, "POST"), (4, "https://x/y"), (5, ["a", "1", "b", "é"])
    )
    sign.answer(ident, {"authorization": "OAuth é", "timestamp": 5, "log": {"index": 3}})
    answer = peer.answer()
    assert answer.status == 200
    assert answer.headers == {
        "Content-Type": "application/json", "Cache-Control": "no-store",
        "Content-Length": str(len(answer.body)),
    }
    assert json.loads(answer.body) == {
        "authorization": "OAuth é", "timestamp": 5, "log": {"index": 3}
    }


def test_the_other_kinds_of_signature_are_set_by_the_path(sign):
    peer = sign.peer()
    peer.request("POST", "/v1/sign/token-passport", '{"connection":"a","version":"2025_2"}')
    _, ident, payload = sign.receive()
    assert payload == wire.fields((1, 2), (2, "a"), (6, "2025_2"))
    sign.answer(ident, {})
    assert peer.answer().body == b"{}"
    peer.request("POST", "/v1/sign/connect-password", '{"connection":"a"}')
    _, ident, payload = sign.receive()
    assert payload == wire.fields((1, 4), (2, "a"))
    sign.answer(ident, {})
    assert peer.answer().status == 200


def test_a_problem_of_the_keeper_keeps_code_detail_and_retry_after(sign):
    peer = sign.peer()
    peer.send(sign_request())
    sign.refuse(sign.receive()[1], "rate_limited", "wait a little", 7)
    answer = peer.answer()
    assert_problem(answer, 429, "rate_limited", "wait a little")
    assert answer.headers["Retry-After"] == "7"
    peer.send(sign_request())
    sign.refuse(sign.receive()[1], "no_grant", "no")
    answer = peer.answer()
    assert_problem(answer, 403, "no_grant", "no")
    assert "Retry-After" not in answer.headers and "Connection" not in answer.headers


def test_path_and_query_fill_members(start):
    admin = start("admin")
    peer = admin.peer()
    for method, target, body, kind, members in (
        ("GET", "/v1/admin/connections/a%2Fb%C3%A9", None, 41, [(1, "a/bé")]),
        ("GET", "/v1/admin/grants?after=7&limit=&connection=x%26y+z", None, 53,
         [(1, 7), (4, "x&y z")]),
        ("DELETE", "/v1/admin/seals/9", None, 39, [(1, 9)]),
        ("DELETE", "/v1/admin/admins/0", None, 58, [(1, 0)]),
        ("POST", "/v1/admin/imports/s/commit", '{"count":3}', 46, [(1, "s"), (2, 3)]),
        ("POST", "/v1/admin/callers/me/disable", None, 50, [(1, "me")]),
        ("POST", "/v1/admin/callers/me/enable", "{}", 51, [(1, "me")]),
        ("POST", "/v1/admin/challenge", "", 34, []),
        ("POST", "/v1/admin/unseal", '{"box":"AP8="}', 35, [(1, b"\x00\xff")]),
    ):
        peer.request(method, target, body)
        got, ident, payload = admin.receive()
        assert (got, payload) == (kind, wire.fields(*members)), target
        admin.answer(ident, {"ok": True})
        assert peer.answer().status == 200


@pytest.mark.parametrize(("method", "target", "body", "detail"), [
    ("GET", "/v1/admin/seals?x=1", None, "this request takes no query"),
    ("GET", "/v1/admin/callers?after=x", None, "after: must be a decimal number"),
    ("GET", "/v1/admin/callers?limit=1001", None, "limit: must be 1 to 1000"),
    ("GET", "/v1/admin/callers?after=1&after=1", None, "after: is there twice"),
    ("GET", "/v1/admin/callers?x=1", None, "x: is not known here"),
    ("GET", "/v1/admin/callers?after", None, "the query must be name=value, joined by &"),
    ("GET", "/v1/admin/connections/a?name=b", None, "name: is there twice"),
    ("GET", "/v1/admin/connections/%00", None, "name: must be UTF-8 without NUL"),
    ("GET", "/v1/admin/connections/%zz", None, "the path has a malformed percent-escape"),
    ("DELETE", "/v1/admin/grants/x", None, "id: must be a decimal number"),
    ("DELETE", "/v1/admin/admins/4294967296", None, "uid: must be 0 to 4294967295"),
    ("POST", "/v1/admin/lock", '{"now":true}', "now: is not known here"),
    ("POST", "/v1/admin/callers", '{"name":"x"}', "uid: is missing"),
    ("POST", "/v1/admin/callers", "", "name: is missing"),
    ("POST", "/v1/admin/callers", '{"name":"x","uid":-1}',
     "uid: a number must be a plain integer from 0 to 9007199254740991 (byte 18)"),
    ("POST", "/v1/admin/imports/s/commit", '{"count":1,"session":"t"}', "session: is there twice"),
    ("POST", "/v1/admin/unseal", '{"box":"A"}', "box: must be base64 with padding"),
    ("POST", "/v1/admin/grants", '{"caller":"c","connection":"d","kinds":"oauth1"}',
     "kinds: must be an array of strings"),
])
def test_what_does_not_fit_is_refused_by_name_and_the_connection_stays(
    start, method, target, body, detail
):
    admin = start("admin")
    peer = admin.peer()
    peer.request(method, target, body)
    assert_problem(peer.answer(), 400, "bad_request", detail)
    peer.request("GET", "/v1/health")
    kind, ident, _ = admin.receive()
    assert kind == wire.HEALTH
    admin.answer(ident, {"state": "open"})
    assert json.loads(peer.answer().body) == {"state": "open"}


@pytest.mark.parametrize(("body", "detail"), [
    (b'{"connection":"a","connection":"a"}', "connection: is there twice (byte 18)"),
    (b'{"connection":"a\\u0000b"}', "connection: an escaped NUL (byte 16)"),
    (b'{"connection":"a\x00b"}', "connection: a control character within a string (byte 16)"),
    (b'{"connection":"\xff"}', "connection: not UTF-8 (byte 15)"),
    (b'\xef\xbb\xbf{}', "the body: is not a JSON object (byte 0)"),
    (b'{"connection":"a","method":"GET","url":"u"} x', "the body: bytes follow the JSON object "
                                                      "(byte 44)"),
    (b'{"connection":"a","method":"GET"}', "url: is missing"),
    (b'{"connection":"a","method":"","url":"u"}', "method: is missing"),
    (b'{"connection":1,"method":"GET","url":"u"}', "connection: must be a string"),
    (b'{"Connection":"a"}', "Connection: is not known here"),
    (b'{"kind":1}', "kind: is not known here"),
    (b'{"connection":"a","method":"GET","url":"u","form":{"a":1}}',
     "form: must be an object with string values, or an array of [name, value] pairs"),
    (b"[]", "the body: is not a JSON object (byte 0)"),
    (b"", "connection: is missing"),
])
def test_json_is_taken_strictly(sign, body, detail):
    peer = sign.peer()
    peer.request("POST", "/v1/sign/oauth1", body)
    assert_problem(peer.answer(), 400, "bad_request", detail)
    assert sign.is_silent(0.05)


def test_unknown_paths_and_other_methods_are_told(served):
    peer = served.peer()
    peer.request("GET", "/v1/nothing")
    assert_problem(peer.answer(), 404, "not_found")
    peer.request("GET", "/v1/admin/status")  # a path of another door
    assert_problem(peer.answer(), 404, "not_found")
    peer.request("PUT", "/v1/sign/oauth1", SIGN)
    answer = peer.answer()
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"
    peer.request("HEAD", "/v1/health")
    answer = peer.answer(is_head=True)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    peer.request("GET", "/v1/health")  # no body came behind the answer to HEAD
    assert peer.answer().status == 200


def test_metrics_are_plain_text(sign):
    peer = sign.peer()
    peer.request("GET", "/metrics")
    kind, ident, _ = sign.receive()
    assert kind == wire.METRICS
    sign.answer(ident, {"text": "a 1\nb 2\n"})
    answer = peer.answer()
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
    assert answer.body == b"a 1\nb 2\n"


@pytest.mark.parametrize("media", [
    "", "Content-Type: application/json\r\n", "Content-Type: Application/JSON; charset=UTF-8\r\n",
])
def test_json_in_utf8_is_the_media_type(served, media):
    peer = served.peer()
    peer.send(sign_request(head=media))
    assert peer.answer().status == 200


@pytest.mark.parametrize("media", [
    "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n",
    "Content-Type: application/json; charset=latin1\r\n", "Content-Type:\r\n",
    "Content-Encoding: gzip\r\n",
])
def test_other_media_types_are_refused_and_the_connection_stays(served, media):
    peer = served.peer()
    peer.send(sign_request(head=media))
    assert_problem(peer.answer(), 415, "unsupported_media_type")
    peer.send(sign_request())
    assert peer.answer().status == 200


# HTTP as it arrives


def test_a_request_may_arrive_byte_by_byte(served):
    peer = served.peer()
    for byte in sign_request():
        peer.send(bytes([byte]))
    assert peer.answer().status == 200


def test_a_chunked_request_may_arrive_byte_by_byte(served):
    peer = served.peer()
    request = (
        b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n" % (len(SIGN[:20]), SIGN[:20].encode())
        + b"%X\r\n%s\r\n0\r\n\r\n" % (len(SIGN[20:]), SIGN[20:].encode())
    )
    for byte in request:
        peer.send(bytes([byte]))
    assert peer.answer().status == 200
    peer.send(request + request)
    assert [peer.answer().status for _ in range(2)] == [200, 200]


def test_pipelined_requests_are_answered_in_order(sign):
    peer = sign.peer()
    seen = []

    def handle(kind, payload):
        seen.append(wire.parse_fields(payload)[2].decode())
        return {"connection": seen[-1]}

    sign.serve(handle)
    names = [f"c{i}" for i in range(200)]
    requests = b"".join(sign_request(SIGN.replace("acme", name)) for name in names)
    threading.Thread(target=peer.send, args=(requests,)).start()
    assert [json.loads(peer.answer().body)["connection"] for _ in names] == names
    assert seen == names


def test_answers_of_our_own_keep_their_place_in_a_pipeline(served):
    peer = served.peer()
    peer.send(
        sign_request() + b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n" + sign_request("{}")
        + b"HEAD /v1/health HTTP/1.1\r\nHost: x\r\n\r\n" + sign_request()
    )
    assert [peer.answer(is_head=i == 3).status for i in range(5)] == [200, 404, 400, 405, 200]


def test_http_1_0_ends_the_connection_unless_asked_to_keep_it(served):
    peer = served.peer()
    peer.send("GET /v1/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = peer.answer()
    assert (answer.status, answer.headers["Connection"]) == (200, "keep-alive")
    peer.send("GET /v1/health HTTP/1.0\r\n\r\n")
    answer = peer.answer()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert peer.is_closed()


def test_connection_close_is_obeyed(served):
    peer = served.peer()
    peer.send(sign_request(head="Connection: close\r\n"))
    answer = peer.answer()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert peer.is_closed()


def test_half_closed_peers_get_their_answers(served):
    peer = served.peer()
    peer.send(sign_request() + sign_request())
    peer.sock.shutdown(socket.SHUT_WR)
    assert [peer.answer().status for _ in range(2)] == [200, 200]
    assert peer.is_closed()


def test_a_request_that_ends_early_is_told(served):
    for part in (b"GE", b"GET / HTTP/1.1\r\n", sign_request()[:-1]):
        peer = served.peer()
        peer.send(part)
        peer.sock.shutdown(socket.SHUT_WR)
        assert_refused(peer.answer(), 400, "bad_request", "the request ends before its end")
        assert peer.is_closed()


def test_a_body_that_waits_is_told_to_come(served):
    peer = served.peer()
    head, body = sign_request(head="Expect: 100-continue\r\n").split(b"\r\n\r\n")
    peer.send(head + b"\r\n\r\n")
    assert peer.head() == (100, {})
    peer.send(body)
    assert peer.answer().status == 200
    peer.send(head + b"\r\n\r\n" + body)  # it came without waiting
    assert peer.answer().status == 200


def test_a_body_that_waits_in_vain_is_not_told_to_come(served):
    peer = served.peer()
    peer.send("POST /v1/nope HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
              "Content-Length: 5\r\n\r\n")
    assert_refused(peer.answer(), 404, "not_found")


SMUGGLED = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("head", [
    "Content-Length: 2\r\nContent-Length: 38\r\n",
    "Content-Length: 2\r\nContent-Length: 2\r\n",
    "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Content-Length : 2\r\n",
    "Content-Length: 2\r\n folded: x\r\n",
    "X: y\nContent-Length: 2\r\n",
    "X: y\rContent-Length: 2\r\n",
    "Content-Length: 2\r\n\rX: y\r\n",
    "X\x00Y: z\r\n",
    "Content-Length: +2\r\n",
    "Content-Length: 0x2\r\n",
    "Content-Length: 2,2\r\n",
    "Host: y\r\n",
    "Expect: nothing\r\n",
    "Content-Type: application/json\r\nContent-Type: application/json\r\n",
])
def test_nothing_is_smuggled_behind_a_head_that_can_be_read_in_two_ways(sign, head):
    peer = sign.peer()
    peer.send(f"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + b"{}" + SMUGGLED)
    assert_refused(peer.answer(), 400, "bad_request")
    assert peer.rest() == b""
    peer.close()
    assert sign.receive()[0] == wire.PEER_CLOSED  # and no question came before


@pytest.mark.parametrize("line", [
    "GET /v1/health HTTP/2.0", "GET /v1/health HTTP/1.2", "GET /v1/health HTTP/0.9",
    "GET /v1/health", "GET  /v1/health HTTP/1.1", "get /v1/health HTTP/1.1",
    "GET http://localhost/v1/health HTTP/1.1", "GET v1/health HTTP/1.1", "OPTIONS * HTTP/1.1",
    "GET /v1/h\u00e9alth HTTP/1.1", "GET /v1/health#x HTTP/1.1", "GET /v1/health HXXP/1.1",
    "PRI * HTTP/2.0", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", " GET / HTTP/1.1",
])
def test_request_lines_that_are_none_are_refused(sign, line):
    peer = sign.peer()
    peer.send(f"{line}\r\nHost: x\r\n\r\n".encode())
    assert_refused(peer.answer(), 400, "bad_request")
    assert peer.is_closed()


def test_a_host_is_demanded_of_http_1_1_only(served):
    peer = served.peer()
    peer.send("GET /v1/health HTTP/1.1\r\n\r\n")
    assert_refused(peer.answer(), 400, "bad_request", "there is no Host field")


@pytest.mark.parametrize("chunks", [
    b"2;x=y\r\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n", b"2\r\n{}0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n", b"-1\r\n", b"\r\n", b"fffffffff\r\n",
])
def test_chunks_are_taken_strictly(sign, chunks):
    peer = sign.peer()
    peer.send(b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
              + chunks + SMUGGLED)
    assert_refused(peer.answer(), 400, "bad_request", "the chunks of the body are malformed")
    assert peer.rest() == b""


def test_heads_and_bodies_have_limits(served):
    def ask(data):
        peer = served.peer()
        threading.Thread(target=lambda: peer.send(data), daemon=True).start()
        return peer.answer()

    fill = "x" * (8192 - len("GET /v1/health HTTP/1.1\r\nHost: x\r\nX: \r\n\r\n"))
    head = "GET /v1/health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n"
    assert ask(head.format(fill)).status == 200
    assert_refused(ask(head.format(fill + "x")), 413, "payload_too_large")
    assert_refused(ask(b"x" * 8192), 413, "payload_too_large")

    def sized(size, form="plain"):
        body = '{"connection":"%s"}' % ("x" * (size - len('{"connection":""}')))
        if form == "plain":
            return sign_request(body)
        return (b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body.encode()))

    for form in ("plain", "chunked"):
        assert_problem(ask(sized(65536, form)), 400, "bad_request",
                       "connection: must have 0 to 256 bytes")
        assert_refused(ask(sized(65537, form)), 413, "payload_too_large")
    assert_refused(ask(b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 999999999999\r\n\r\n"), 413, "payload_too_large")


def test_a_body_where_none_belongs_is_refused(served):
    peer = served.peer()
    peer.request("GET", "/v1/health", "{}")
    assert_problem(peer.answer(), 400, "bad_request", "this request takes no body")
    peer.request("GET", "/v1/health", "")
    assert peer.answer().status == 200


def test_an_early_answer_is_read_although_the_peer_still_sends(sign):
    peer = sign.peer()
    peer.send("POST /v1/nope HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
    sent = 0
    while sent < 900_000:  # all of it is taken: no reset
        peer.send(b"x" * 10_000)
        sent += 10_000
    assert_refused(peer.answer(), 404, "not_found")
    assert peer.is_closed()


def test_a_peer_that_goes_on_after_the_last_answer_is_cut_off(sign):
    peer = sign.peer()
    peer.send("POST /v1/nope HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n\r\n")
    sent = 0
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while sent < 3 * 1048576:
            peer.send(b"x" * 65536)
            sent += 65536
    assert sent >= 1048576


@pytest.mark.timing
def test_a_lingering_peer_is_cut_off_after_two_seconds(sign):
    peer = sign.peer()
    began = time.monotonic()
    peer.send("POST /v1/nope HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    assert_refused(peer.answer(), 404, "not_found")
    assert sign.receive()[0] == wire.PEER_CLOSED
    assert 1.5 < time.monotonic() - began < 4


def test_a_peer_that_does_not_take_its_answers_is_not_read_on(served):
    peer = served.peer()
    peer.sock.setblocking(False)
    sent = 0
    request = sign_request()
    with pytest.raises(BlockingIOError):
        while True:
            sent += peer.sock.send(request * 100)
    assert sent < 8 * 1048576
    other = served.peer()
    other.send(request)
    assert other.answer().status == 200
    peer.sock.setblocking(True)
    peer.sock.settimeout(10)
    rest = len(request) - sent % len(request)
    writer = threading.Thread(
        target=peer.send, args=(request[-rest:] if rest < len(request) else b"",)
    )
    writer.start()
    for _ in range((sent + len(request) - 1) // len(request)):
        assert peer.answer().status == 200
    writer.join()


# Channel to the keeper


def test_questions_of_one_turn_go_out_in_one_datagram(sign):
    os.kill(sign.process.pid, signal.SIGSTOP)
    peers = [sign.peer() for _ in range(10)]
    for peer in peers:
        peer.send(sign_request())
    os.kill(sign.process.pid, signal.SIGCONT)
    counts = []
    while sum(counts) < 10:
        counts.append(len(sign.receive_datagram()))
    assert len(counts) <= 3  # a turn takes 8 datagrams of the keeper, so 8 peers


def test_at_most_256_questions_are_open(sign):
    peers = [sign.peer() for _ in range(300)]
    for peer in peers:
        peer.send(sign_request())
    questions = [sign.receive() for _ in range(256)]
    assert sign.is_silent()
    assert len({ident for _, ident, _ in questions}) == 256
    for _, ident, _ in questions[:10]:
        sign.answer(ident, {})
    questions += [sign.receive() for _ in range(10)]
    assert sign.is_silent()
    for _, ident, _ in questions[10:]:
        sign.answer(ident, {})
    for _ in range(34):
        sign.answer(sign.receive()[1], {})
    assert [peer.answer().status for peer in peers] == [200] * 300


def test_a_peer_that_leaves_is_told_and_its_answer_is_dropped(sign):
    peer = sign.peer()
    peer.send(sign_request())
    _, ident, _ = sign.receive()
    peer.close()
    assert sign.receive() == (wire.PEER_CLOSED, 0, b"")
    sign.answer(ident, {})
    other = sign.peer()
    other.send(sign_request())
    _, again, _ = sign.receive()
    assert again != ident
    sign.answer(again, {"to": "other"})
    assert other.answer().body == b'{"to":"other"}'


def test_peers_that_leave_with_data_unread_or_unsent_cost_nothing(served):
    for _ in range(300):
        peer = served.peer()
        peer.send(sign_request() * 3)
        peer.close()
    for _ in range(100):
        served.peer().close()
    peer = served.peer()
    peer.send(sign_request())
    assert peer.answer().status == 200
    assert len(os.listdir(f"/proc/{served.process.pid}/fd")) < 12


def test_garbage_of_a_peer_costs_only_its_own_connection(served):
    good = served.peer()
    for seed in range(200):
        peer = served.peer()
        data = struct.pack("<Q", seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1) * (seed % 50 + 1)
        peer.send(data)
        peer.sock.shutdown(socket.SHUT_WR)
        answer = peer.rest()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        good.send(sign_request())
        assert good.answer().status == 200


def test_the_keepers_end_is_told_to_those_who_wait(program):
    frontend = Frontend(program)
    peer, batch, idle = frontend.peer(), frontend.peer(), frontend.peer()
    peer.send(sign_request())
    frontend.receive()
    item = json.loads(SIGN) | {"kind": "oauth1"}
    batch.request("POST", "/v1/sign/batch", json.dumps({"requests": [item]}))
    frontend.receive()
    assert frontend.close() == 0
    answer = peer.answer()
    assert_refused(answer, 503, "busy", LOST)
    assert answer.headers["Retry-After"] == "1"
    assert_refused(batch.answer(), 503, "busy", LOST)
    assert peer.is_closed() and idle.is_closed()


@pytest.mark.parametrize("break_rules", [
    lambda f, ident: f.channel.send(b"\x02garbage"),
    lambda f, ident: f.channel.send(wire.datagram(wire.message(wire.DOC, ident, doc({})))[:-1]),
    lambda f, ident: f.send(wire.message(wire.DOC, ident + 1, doc({}))),
    lambda f, ident: f.send(wire.message(wire.DOC, 0, doc({}))),
    lambda f, ident: f.send(wire.message(wire.DOC, ident, b"\x02\x00")),
    lambda f, ident: f.send(*[wire.message(wire.DOC, ident, doc({}))] * 2),
    lambda f, ident: f.send(wire.message(wire.PROBLEM, ident, problem("nonsense", "x"))),
    lambda f, ident: f.send(wire.message(wire.LOG_OPENED, ident, wire.fields((1, 1), (2, 1)))),
    lambda f, ident: f.send(wire.message(wire.PEER, 0, b"")),
    lambda f, ident: f.send(wire.message(wire.SIGN, ident, b"")),
    lambda f, ident: f.send(wire.message(wire.DOC, ident, doc({})), fds=[0]),
])
def test_a_keeper_that_breaks_the_rules_ends_the_frontend(program, break_rules):
    frontend = Frontend(program)
    peer = frontend.peer()
    peer.send(sign_request())
    _, ident, _ = frontend.receive()
    break_rules(frontend, ident)
    assert frontend.process.wait(10) == 1
    assert frontend.close() == 1
    assert frontend.stderr == "oxvault-frontend: the keeper sent what it must not\n"


# Batches


def batch_items(count):
    return [{"kind": "oauth1", "connection": f"c{i}", "method": "GET", "url": f"https://x/{i}"}
            for i in range(count)]


def post_batch(peer, items):
    body = json.dumps({"requests": items})
    threading.Thread(
        target=peer.request, args=("POST", "/v1/sign/batch", body), daemon=True
    ).start()


BATCH_OPEN = 64  # items of one batch that are with the keeper at once


def test_a_batch_of_1000_is_answered_in_order_and_in_waves(sign):
    peer = sign.peer()
    post_batch(peer, batch_items(1000))
    waiting = [sign.receive() for _ in range(BATCH_OPEN)]
    assert sign.is_silent()
    done = 0
    while waiting:
        waiting.reverse()  # the keeper may answer in any order
        for kind, ident, payload in waiting:
            assert kind == wire.SIGN
            sign.answer(ident, {"connection": wire.parse_fields(payload)[2].decode()})
        done += len(waiting)
        waiting = [sign.receive() for _ in range(min(BATCH_OPEN, 1000 - done))]
    answers = json.loads(peer.answer().body)["responses"]
    assert [a["connection"] for a in answers] == [f"c{i}" for i in range(1000)]


def test_a_batch_does_not_hold_up_other_peers(sign):
    peer, other = sign.peer(), sign.peer()
    post_batch(peer, batch_items(1000))
    for _ in range(BATCH_OPEN):
        sign.receive()
    assert sign.is_silent()
    other.send(sign_request())  # the batch's items that wait leave room for it
    assert wire.parse_fields(sign.receive()[2])[2] == b"acme"


def test_items_of_a_batch_fail_each_for_itself(sign):
    peer = sign.peer()
    items = batch_items(2) + [
        {"kind": "rsa", "connection": "c"}, {"connection": "c"}, 7, {"kind": 1},
        {"kind": "oauth1", "connection": "c", "method": "GET"},
        {"kind": "connect-password", "connection": "c", "url": "u"},
        {"kind": "token-passport", "connection": "p"},
    ]
    post_batch(peer, items)
    questions = [sign.receive() for _ in range(3)]
    assert sign.is_silent(0.05)
    sign.refuse(questions[0][1], "rate_limited", "wait", 2)
    for _, ident, payload in questions[1:]:
        sign.answer(ident, {"c": wire.parse_fields(payload)[2].decode()})
    got = json.loads(peer.answer().body)["responses"]
    assert got[0]["code"] == "rate_limited" and got[0]["status"] == 429
    assert got[1] == {"c": "c1"} and got[8] == {"c": "p"}
    assert [(g["code"], g["detail"]) for g in got[2:8]] == [
        ("bad_request", "kind: rsa is none"),
        ("bad_request", "kind: is missing"),
        ("bad_request", "an item of requests must be an object"),
        ("bad_request", "kind: must be a string"),
        ("bad_request", "url: is missing"),
        ("bad_request", "url: is not known here"),
    ]


def test_a_batch_without_one_good_item_needs_no_keeper(sign):
    peer = sign.peer()
    peer.request("POST", "/v1/sign/batch", '{"requests":[1,2]}')
    assert len(json.loads(peer.answer().body)["responses"]) == 2
    assert sign.is_silent(0.05)


def test_what_follows_a_batch_that_needs_no_keeper_is_not_forgotten(sign):
    peer = sign.peer()
    batch = b'{"requests":[1]}'
    peer.send(b"POST /v1/sign/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
              % (len(batch), batch) + sign_request())
    kind, ident, _ = sign.receive()
    assert kind == wire.SIGN
    sign.answer(ident, {})
    assert [peer.answer().status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(("body", "detail"), [
    ("{}", "requests: must be an array of objects"),
    ('{"requests":{}}', "requests: must be an array of objects"),
    ('{"requests":[]}', "requests: must have 1 to 1000 items"),
    ('{"requests":[%s]}' % ",".join("1" * 1001), "requests: must have 1 to 1000 items"),
    ('{"requests":[{}],"x":1}', "x: is not known here"),
    ('{"requests":[{"kind":"oauth1","url":"a","url":"b"}]}',
     "requests[0].url: is there twice (byte 40)"),
])
def test_a_batch_that_is_none_is_refused_whole(sign, body, detail):
    peer = sign.peer()
    peer.request("POST", "/v1/sign/batch", body)
    assert_problem(peer.answer(), 400, "bad_request", detail)


def test_a_batch_may_have_1_mib_and_no_more(served):
    items = batch_items(1000)
    for item in items:
        item["url"] = "https://x/" + "y" * 900
    body = json.dumps({"requests": items})
    peer = served.peer()
    threading.Thread(target=peer.request, args=(
        "POST", "/v1/sign/batch", body + " " * (1048576 - len(body))), daemon=True).start()
    answer = peer.answer()
    assert answer.status == 200
    assert len(json.loads(answer.body)["responses"]) == 1000
    peer.send("POST /v1/sign/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
    assert_refused(peer.answer(), 413, "payload_too_large", "the body exceeds 1 MiB")


def test_large_batches_of_large_urls_fit_into_datagrams(served):
    items = batch_items(120)
    for item in items:
        item["url"] = "https://x/" + "y" * 8000
    peer = served.peer()
    post_batch(peer, items)
    got = json.loads(peer.answer().body)["responses"]
    assert [bytes.fromhex(g["members"]["m4"]).decode() for g in got] == [i["url"] for i in items]


# Refused peers


def test_a_refused_peer_gets_its_problem_for_everything_and_asks_the_keeper_nothing(sign):
    for request in (
        sign_request(), b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"DELETE /any HTTP/1.1\r\nHost: x\r\n\r\n", sign_request()[:-5],
    ):
        peer = sign.peer(refuse=("unknown_caller", "uid 7 is not a caller"))
        peer.send(request + sign_request())
        assert_refused(peer.answer(), 403, "unknown_caller", "uid 7 is not a caller")
        assert peer.rest() == b""
        peer.close()
        assert sign.receive() == (wire.PEER_CLOSED, 0, b"")


def test_a_peer_that_has_ended_is_forgotten_even_where_the_keeper_still_holds_its_socket(sign):
    held = []
    for _ in range(20):
        peer = sign.peer(refuse=("unknown_caller", "no"), keep=held)
        peer.send(sign_request())
        assert_refused(peer.answer(), 403, "unknown_caller", "no")
        peer.close()
        assert sign.receive() == (wire.PEER_CLOSED, 0, b"")
    later = sign.peer()
    later.send(sign_request())
    kind, ident, _ = sign.receive()
    assert kind == wire.SIGN
    for one in held:
        one.close()
    sign.answer(ident, {"authorization": "x"})
    assert later.answer().status == 200


def test_a_refused_peer_that_speaks_no_http_is_told_so(sign):
    peer = sign.peer(refuse=("unknown_caller", "no"))
    peer.send("nonsense\r\n\r\n")
    assert_refused(peer.answer(), 400, "bad_request")


def test_a_sealed_door_answers_health_only(sign):
    health = {"state": "sealed", "seals": [{"id": 1, "kind": "passphrase"}]}
    peer = sign.peer(refuse=("sealed", "run oxvault unseal"), health=health)
    peer.request("GET", "/v1/health")
    answer = peer.answer()
    assert answer.status == 200 and json.loads(answer.body) == health
    peer = sign.peer(refuse=("sealed", "run oxvault unseal"), health=health)
    peer.request("POST", "/v1/sign/oauth1", SIGN)
    assert_refused(peer.answer(), 503, "sealed", "run oxvault unseal")
    assert [sign.receive()[0] for _ in range(2)] == [wire.PEER_CLOSED] * 2


# The access log


class Log:
    """Segments of a log in files, and a keeper that hands them out."""

    def __init__(self, frontend, segments):
        self.frontend = frontend
        self.segments = segments  # [(first, file, committed bytes)]
        self.size = 0
        self.asked = []

    def segment_of(self, index):
        return max((s for s in self.segments if s[0] <= index), key=lambda s: s[0])

    def step(self):
        kind, ident, payload = self.frontend.receive()
        members = {tag: value for tag, value in wire.parse_fields(payload).items()}
        self.asked.append((kind, members))
        if kind == wire.LOG_READ:
            self.frontend.send(wire.message(
                wire.LOG_OPENED, ident, wire.fields((1, 77), (2, self.size))))
        elif kind == wire.LOG_SEGMENT:
            assert wire.number(members[1]) == 77
            first, file, size = self.segment_of(wire.number(members[2]) if 2 in members else 0)
            self.frontend.send(
                wire.message(wire.LOG_SEGMENT_FD, ident, wire.fields(
                    (1, first or None), (2, size), (3, self.size))),
                fds=[file.fileno()],
            )
        elif kind == wire.LOG_WAIT:
            return ident
        return kind

    def run_until_closed(self):
        while self.step() != wire.LOG_CLOSE:
            pass
        return [kind for kind, _ in self.asked]


def entry(seq, **members):
    members = {
        "boot": "00" * 16, "epoch": 0, "mono_us": seq, "seq": seq,
        "time": f"2026-01-01T00:00:{seq % 60:02d}.000000Z", "type": "sign", "v": 1,
        "caller": f"caller{seq % 3}", "outcome": "denied" if seq % 10 == 0 else "allowed",
        "path": "/=x" if seq % 2 else "=x", **members,
    }
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


COMMIT = '{"commit":{"epoch":0,"root":"x","sig":"y","size":0}}'


@pytest.fixture
def audit(start):
    return start("audit")


@pytest.fixture
def log(audit):
    """700 entries in segments of 300, 300 and 100; behind them bytes that are not committed."""
    made = Log(audit, [])
    made.lines = [entry(i) for i in range(700)]
    files = []
    for first in (0, 300, 600):
        file = tempfile.TemporaryFile()
        files.append(file)
        lines = made.lines[first : first + 300]
        text = "".join(
            line + "\n" + (COMMIT + "\n" if i % 7 == 6 or i == len(lines) - 1 else "")
            for i, line in enumerate(lines)
        ).encode()
        file.write(text + b'{"torn":')
        file.flush()
        made.segments.append((first, file, len(text)))
    made.size = 700
    yield made
    for file in files:
        file.close()


def read_log(log, query):
    peer = log.frontend.peer()
    peer.request("GET", f"/v1/audit/log?{query}")
    kinds = []
    thread = threading.Thread(target=lambda: kinds.extend(log.run_until_closed()))
    thread.start()
    answer = peer.answer()
    thread.join(10)
    log.asked.clear()
    return answer, kinds


def test_the_whole_log_comes_as_it_stands(log):
    answer, kinds = read_log(log, "purpose=export&format=jsonl")
    assert answer.headers["Content-Type"] == "application/jsonl"
    assert answer.body.decode().splitlines() == log.lines
    assert kinds == [wire.LOG_READ] + [wire.LOG_SEGMENT] * 3 + [wire.LOG_CLOSE]


def test_the_keeper_is_told_purpose_and_format(log):
    peer = log.frontend.peer()
    peer.request("GET", "/v1/audit/log?purpose=export&format=csv&caller=x")
    kind, _, payload = log.frontend.receive()
    assert (kind, payload) == (wire.LOG_READ, wire.fields((1, "export"), (2, "csv")))


@pytest.mark.parametrize(("query", "wanted"), [
    ("from=690", lambda lines: lines[690:]),
    ("from=300", lambda lines: lines[300:]),
    ("from=700", lambda lines: []),
    ("from=9999", lambda lines: []),
    ("limit=5", lambda lines: lines[-5:]),
    ("limit=100", lambda lines: lines[-100:]),
    ("limit=101", lambda lines: lines[-101:]),
    ("limit=650", lambda lines: lines[-650:]),
    ("limit=9999", lambda lines: lines),
    ("limit=0", lambda lines: []),
    ("limit=5&from=698", lambda lines: lines[698:]),
    ("limit=250&from=400", lambda lines: lines[-250:]),
    ("outcome=denied", lambda lines: lines[::10]),
    ("outcome=denied&limit=15", lambda lines: lines[::10][-15:]),
    ("outcome=denied&limit=65", lambda lines: lines[::10][-65:]),
    ("caller=caller1", lambda lines: lines[1::3]),
    ("caller=nobody", lambda lines: []),
    ("caller=nobody&limit=3", lambda lines: []),
    ("type=grant.add", lambda lines: []),
    ("since=2026-01-01T00:00:59Z", lambda lines: lines[59::60]),
    ("until=2026-01-01T00:00:01Z", lambda lines: lines[::60]),
    ("since=2026-01-02", lambda lines: []),
])
def test_filters_choose_entries(log, query, wanted):
    answer, _ = read_log(log, query)
    assert answer.status == 200
    assert answer.body.decode().splitlines() == wanted(log.lines)


def test_csv_is_quoted_and_defused(log):
    answer, _ = read_log(log, "format=csv&from=698")
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.body.endswith(b'"\r\n') and answer.body.count(b"\r\n") == 3
    rows = csv.DictReader(answer.body.decode().splitlines(), strict=True)
    assert rows.fieldnames[:5] == ["v", "seq", "epoch", "boot", "time"]
    cells = list(rows)
    assert [c["seq"] for c in cells] == ["698", "699"]
    assert [c["path"] for c in cells] == ["'=x", "/=x"]
    assert cells[0]["grant"] == ""


@pytest.mark.parametrize(("query", "detail"), [
    ("limit=x", "limit: must be a decimal number"),
    ("type=nothing", "type: must be a type of entry"),
    ("since=now", "since: must be an RFC 3339 time stamp or a date"),
    ("what=1", "what: is not known here"),
    ("purpose=show&purpose=show", "purpose: is there twice"),
])
def test_bad_filters_are_refused_before_the_keeper_is_asked(audit, query, detail):
    peer = audit.peer()
    peer.request("GET", f"/v1/audit/log?{query}")
    assert_problem(peer.answer(), 400, "bad_request", detail)
    assert audit.is_silent(0.05)


def test_a_read_that_the_keeper_refuses_is_a_problem(audit):
    peer = audit.peer()
    peer.request("GET", "/v1/audit/log")
    audit.refuse(audit.receive()[1], "log_unavailable", "the disk is full")
    assert_problem(peer.answer(), 503, "log_unavailable", "the disk is full")
    assert audit.is_silent(0.05)  # there is nothing to close


def test_http_1_0_gets_the_log_without_chunks(log):
    peer = log.frontend.peer()
    peer.send("GET /v1/audit/log?limit=3 HTTP/1.0\r\n\r\n")
    thread = threading.Thread(target=log.run_until_closed)
    thread.start()
    status, headers = peer.head()
    assert (status, headers["Connection"]) == (200, "close")
    assert "Transfer-Encoding" not in headers
    assert peer.rest().decode().splitlines() == log.lines[-3:]
    thread.join(10)


def test_a_log_that_is_damaged_cuts_the_answer(log):
    first, file, size = log.segments[1]
    os.pwrite(file.fileno(), b"x", 0)
    peer = log.frontend.peer()
    peer.request("GET", "/v1/audit/log")
    thread = threading.Thread(target=log.run_until_closed)
    thread.start()
    status, _ = peer.head()
    assert status == 200
    assert not peer.rest().endswith(b"0\r\n\r\n")
    thread.join(10)


def test_a_damaged_log_that_was_not_begun_is_a_problem(log):
    first, file, size = log.segments[2]
    os.pwrite(file.fileno(), b"x", 0)
    answer, _ = read_log(log, "limit=3")
    assert_problem(answer, 500, "internal", "the access log cannot be read")


def test_a_keeper_that_hands_out_another_segment_ends_the_frontend(program):
    frontend = Frontend(program, "audit")
    peer = frontend.peer()
    peer.request("GET", "/v1/audit/log?from=5")
    frontend.send(wire.message(
        wire.LOG_OPENED, frontend.receive()[1], wire.fields((1, 1), (2, 10))))
    with tempfile.TemporaryFile() as file:
        frontend.send(
            wire.message(wire.LOG_SEGMENT_FD, frontend.receive()[1],
                         wire.fields((1, 6), (2, 10), (3, 10))), fds=[file.fileno()])
        assert frontend.process.wait(10) == 1
    frontend.close()


def test_followers_get_new_entries_and_share_one_question(log):
    peers = [log.frontend.peer() for _ in range(3)]
    ident = None
    for peer in peers:
        peer.request("GET", "/v1/audit/log?purpose=follow&limit=2")
        while not peer.left.endswith(b"\r\n\r\n") and ident is None:
            answer = log.step()
            if answer not in (wire.LOG_READ, wire.LOG_SEGMENT):
                ident = answer
                break
        else:
            assert log.step() == wire.LOG_READ
            assert log.step() == wire.LOG_SEGMENT
    for peer in peers:
        assert peer.head()[0] == 200
        assert peer.chunk().decode().splitlines() == log.lines[-2:]
    assert log.frontend.is_silent()  # one LOG_WAIT is open, not three

    log.frontend.send(wire.message(wire.LOG_SIZE, ident, wire.fields((1, 700))))
    ident = log.step()  # nothing new: asked again
    assert log.asked[-1][0] == wire.LOG_WAIT

    first, file, size = log.segments[2]
    new = [entry(700), entry(701)]
    text = ("\n".join([*new, COMMIT]) + "\n").encode()
    os.pwrite(file.fileno(), text, size)
    log.segments[2] = (first, file, size + len(text))
    log.size = 702
    log.frontend.send(wire.message(wire.LOG_SIZE, ident, wire.fields((1, 702))))
    kinds = [log.step() for _ in range(3)]
    assert kinds == [wire.LOG_SEGMENT] * 3
    for peer in peers:
        assert peer.chunk().decode().splitlines() == new
    ident = log.step()
    for peer in peers:
        peer.close()
    closed = sorted(log.step() for _ in range(6))
    assert closed == [wire.PEER_CLOSED] * 3 + [wire.LOG_CLOSE] * 3
    log.frontend.send(wire.message(wire.LOG_SIZE, ident, wire.fields((1, 702))))
    assert log.frontend.is_silent()


def test_a_reader_that_stops_reading_costs_no_memory_and_no_other_reader(log):
    big = tempfile.TemporaryFile()
    lines = [entry(i, reason="r" * 4000) for i in range(4000)]
    big.write(("\n".join(lines) + "\n").encode())
    big.flush()
    log.segments[:] = [(0, big, big.tell())]
    log.size = len(lines)
    slow = log.frontend.peer()
    slow.request("GET", "/v1/audit/log")
    assert log.step() == wire.LOG_READ
    assert log.step() == wire.LOG_SEGMENT
    answer, _ = read_log(log, "from=3990")
    assert answer.body.decode().splitlines() == lines[3990:]
    status = open(f"/proc/{log.frontend.process.pid}/status", encoding="utf-8").read()
    assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 60_000
    assert slow.answer().body.decode().splitlines() == lines
    big.close()


def test_a_reader_that_leaves_closes_its_read(log):
    peer = log.frontend.peer()
    peer.request("GET", "/v1/audit/log?purpose=follow")
    assert log.step() == wire.LOG_READ
    kind, ident, _ = log.frontend.receive()
    assert kind == wire.LOG_SEGMENT
    peer.close()
    told = sorted(log.frontend.receive()[0] for _ in range(2))
    assert told == [wire.PEER_CLOSED, wire.LOG_CLOSE]
    first, file, size = log.segments[0]
    log.frontend.send(
        wire.message(wire.LOG_SEGMENT_FD, ident, wire.fields((2, size), (3, 700))),
        fds=[file.fileno()])
    other, _ = read_log(log, "limit=1")
    assert other.body.decode().splitlines() == log.lines[-1:]
    links = [os.readlink(f"/proc/{log.frontend.process.pid}/fd/{fd}")
             for fd in os.listdir(f"/proc/{log.frontend.process.pid}/fd")]
    assert not [link for link in links if "(deleted)" in link]
