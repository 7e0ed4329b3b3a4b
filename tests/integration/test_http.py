"""HTTP at the real doors: what a peer may send, and what it costs others."""

import json
import os
import random
import shutil
import socket
import subprocess
import threading
import time

import pytest
from support.backends import SOFTHSM, on
from support.door import Door, raw
from support.process import wait_until
from support.segments import entry_lines

SIGN = json.dumps({
    "connection": "acme", "method": "GET",
    "url": "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40",
}).encode()


def post(body=SIGN, *headers):
    head = "\r\n".join([
        "POST /v1/sign/oauth1 HTTP/1.1", "Host: localhost", *headers,
        f"Content-Length: {len(body)}",
    ])
    return head.encode() + b"\r\n\r\n" + body


def answers(data):
    """Splits a stream of answers with Content-Length: (status, headers, body) each."""
    out = []
    while data:
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        length = int(headers.get("Content-Length", 0))
        out.append((int(lines[0].split()[1]), headers, data[:length]))
        data = data[length:]
    return out


def statuses(acme, data):
    return [status for status, _, _ in answers(raw(acme.socket("sign"), data))]


def test_curl_gets_a_signature_with_the_words_of_the_manual(acme):
    if shutil.which("curl") is None:
        pytest.fail("curl is needed")
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--unix-socket", str(acme.socket("sign")),
         "--json", SIGN.decode(), "http://localhost/v1/sign/oauth1"],
        check=True, capture_output=True, text=True, timeout=30,
    )
    assert json.loads(done.stdout)["authorization"].startswith('OAuth realm="123456", ')


def test_curl_may_send_chunks_and_wait_with_its_body(acme):
    for more in (["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--unix-socket", str(acme.socket("sign")),
             "--json", "@-", *more, "-w", "%{http_code}", "-o", "/dev/null",
             "http://localhost/v1/sign/oauth1"],
            check=True, capture_output=True, input=SIGN, timeout=30,
        )
        assert done.stdout == b"200"


def test_pipelined_signatures_come_in_order_and_all_are_logged(acme):
    before = len(acme.log_entries())
    got = answers(raw(acme.socket("sign"), post() * 100))
    assert [status for status, _, _ in got] == [200] * 100
    places = [json.loads(body)["log"]["index"] for _, _, body in got]
    assert places == sorted(places) and len(set(places)) == 100
    nonces = {json.loads(body)["nonce"] for _, _, body in got}
    assert len(nonces) == 100
    assert len(acme.log_entries()) == before + 100


def test_what_is_smuggled_behind_a_bad_request_is_not_signed(acme):
    before = len(acme.log_entries())
    for head in (
        ("Transfer-Encoding: chunked",),  # beside the Content-Length of post()
        ("Content-Length: 0",),
        ("Transfer-Encoding: identity",),
        ("X: y\n folded",),
    ):
        assert statuses(acme, post(SIGN, *head) + post()) == [400]
    assert statuses(acme, b"0\r\n\r\n" + post()) == [400]
    assert len(acme.log_entries()) == before


def test_a_request_with_another_in_its_midst_signs_nothing(acme):
    request = post()
    before = len(acme.log_entries())
    for cut in range(1, len(request)):
        assert statuses(acme, request[:cut]) == [400]
        got = statuses(acme, request[:cut] + request)
        assert set(got) == {400} and len(got) <= 2, (cut, got)
    assert len(acme.log_entries()) == before


def test_random_bytes_harm_nobody(acme):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    request = post()
    for _ in range(300):
        changed = bytearray(request)
        for _ in range(rng.randrange(1, 6)):
            what = rng.randrange(3)
            at = rng.randrange(len(changed))
            if what == 0:
                changed[at] = rng.randrange(256)
            elif what == 1:
                del changed[at : at + rng.randrange(1, 20)]
            else:
                changed[at:at] = rng.randbytes(rng.randrange(1, 20))
        answer = raw(acme.socket("sign"), bytes(changed))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 "), (seed, changed)
        assert b" 500 " not in answer.split(b"\r\n")[0], (seed, changed)
    assert acme.sign.request("POST", "/v1/sign/oauth1", SIGN).status == 200
    assert len([e for e in acme.log_entries() if e["type"] == "frontend"]) == 0


def test_an_early_answer_reaches_a_peer_that_sends_a_lot(acme):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect(str(acme.socket("sign")))
        peer.sendall(b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nContent-Length: 800000\r\n\r\n")
        peer.sendall(b"x" * 800_000)
        (answer,) = answers(peer.recv(65536))
        assert answer[0] == 413 and answer[1]["Connection"] == "close"
        assert peer.recv(10) == b""


# Not in a TPM: 1,000 signatures are a load there.
@on(("software", *SOFTHSM))
def test_a_batch_of_1000_is_signed_and_answered_in_order(acme):
    requests = [{"kind": "oauth1", **json.loads(SIGN)} for _ in range(1000)]
    for i, request in enumerate(requests):
        request["url"] += str(i)
    answer = acme.sign.post("/v1/sign/batch", {"requests": requests})
    got = answer.json["responses"]
    assert len(got) == 1000
    indexes = [g["log"]["index"] for g in got]
    assert len(set(indexes)) == 1000  # a token answers in an order of its own
    entries = {e["seq"]: e for e in acme.log_entries()}
    assert [entries[i]["path"] for i in indexes] == [
        f"/services/rest/record/v1/employee/40{i}" for i in range(1000)
    ]


def test_many_connections_at_once_are_all_served(acme):
    failures = []

    def work():
        with acme.door("sign") as door:
            for _ in range(20):
                if door.request("POST", "/v1/sign/oauth1", SIGN).status != 200:
                    failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_the_log_is_followed_as_it_grows(acme):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect(str(acme.socket("audit")))
        peer.sendall(b"GET /v1/audit/log?purpose=follow&limit=0&type=sign HTTP/1.1\r\n"
                     b"Host: x\r\n\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        for _ in range(3):
            index = acme.sign.request("POST", "/v1/sign/oauth1", SIGN).json["log"]["index"]
            size, line, _ = peer.recv(65536).split(b"\r\n", 2)
            assert len(line) == int(size, 16)
            assert json.loads(line)["seq"] == index


def test_an_export_holds_every_entry_as_it_stands(acme):
    for _ in range(50):
        acme.sign.request("POST", "/v1/sign/oauth1", SIGN)
    answer = acme.audit.get("/v1/audit/log?purpose=export&format=jsonl")
    assert answer.body == b"".join(line + b"\n" for line in entry_lines(acme.dir / "log"))
    assert json.loads(answer.body.splitlines()[-1])["type"] == "log.export"


def test_a_sealed_door_tells_health_and_nothing_else(sealed_service):
    with sealed_service.door("sign") as door:
        answer = door.get("/v1/health")
        assert answer.json["state"] == "sealed"
        assert answer.json["seals"][0]["kind"] == "keyfile"
    with sealed_service.door("sign") as door:
        assert door.request("POST", "/v1/sign/oauth1", SIGN).code == "sealed"


def test_frontends_hold_no_file_but_sockets(acme):
    acme.sign.get("/v1/health")
    acme.audit.get("/v1/audit/log")
    for pid in acme.frontend_pids:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        others = [link for link in links
                  if not link.startswith(("socket:", "anon_inode:[eventpoll]", "/dev/null"))
                  and not link.endswith("/stderr")]
        assert not others


# More than the 32 places that all refused peers share, one after another


def test_a_sealed_door_answers_each_of_sixty_peers(sealed_service):
    path = sealed_service.socket("sign")
    for _ in range(60):
        with Door(path, timeout=5) as door:
            health = door.get("/v1/health")
        assert (health.status, health.json["state"]) == (200, "sealed")
    for _ in range(60):
        with Door(path, timeout=5) as door:
            answer = door.post("/v1/sign/oauth1", SIGN)
        assert (answer.status, answer.code) == (503, "sealed")
        assert "unseal" in answer.json["detail"]


@pytest.mark.timing
def test_silent_peers_keep_the_places_at_a_sealed_door_for_five_seconds_only(sealed_service):
    path = str(sealed_service.socket("sign"))
    silent = [socket.socket(socket.AF_UNIX) for _ in range(32)]
    for peer in silent:
        peer.connect(path)
        peer.settimeout(20)
    began = time.monotonic()
    assert [peer.recv(100) for peer in silent] == [b""] * 32
    assert time.monotonic() - began < 12

    def is_served():  # the peer reads its end a moment before the keeper hears of it
        with Door(path, timeout=5) as door:
            return door.get("/v1/health").status == 200

    wait_until(is_served, seconds=2, what="a place for another peer")
    for peer in silent:
        peer.close()
