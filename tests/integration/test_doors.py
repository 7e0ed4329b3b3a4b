"""Who may do what at the doors, and that no peer takes another's share (design.md 3, issue 2 3.5)."""

import os
import resource
import signal
import socket
import statistics
import threading
import time

import pytest
from support.backends import every_backend
from support.credentials import EMPLOYEE_URL
from support.door import Door
from support.process import as_uid, process, wait_until

A, B, STRANGER = 60101, 60102, 60103
BODY = {"connection": "acme", "method": "GET", "url": EMPLOYEE_URL}


def _post(path, target, body):
    with Door(path) as door:
        answer = door.post(target, body)
        return answer.status, answer.json


def sign_as(service, uid, body=None):
    return as_uid(uid, _post, service.socket("sign"), "/v1/sign/oauth1", body or BODY)


def metrics(service):
    text = service.sign.get("/metrics").body.decode()
    return {name: int(value) for name, value in
            (line.split() for line in text.splitlines() if not line.startswith("#"))}


@pytest.fixture
def two_callers(acme):
    """Callers a and b beside this uid's, each with a grant of its own connection."""
    for name, uid in (("a", A), ("b", B)):
        acme.add_connection(f"of-{name}")
        acme.add_caller(name, uid)
        acme.add_grant(name, f"of-{name}")
    return acme


# --- who may do what ---


@every_backend
@pytest.mark.root
def test_a_caller_signs_with_its_own_connection_only(two_callers):
    assert sign_as(two_callers, A, {**BODY, "connection": "of-a"})[0] == 200
    for connection in ("of-b", "acme", "none-of-that-name"):
        status, problem = sign_as(two_callers, A, {**BODY, "connection": connection})
        assert (status, problem["code"]) == (403, "no_grant")


@every_backend
@pytest.mark.root
def test_unknown_and_ungranted_connections_look_the_same(two_callers):
    answers = [sign_as(two_callers, A, {**BODY, "connection": c}) for c in ("of-b", "unknown")]
    assert answers[0] == answers[1]


@every_backend
@pytest.mark.root
def test_a_caller_sees_its_own_connections_only(two_callers):
    def names(path):
        with Door(path) as door:
            seen = [c["name"] for c in door.get("/v1/connections").json["connections"]]
            return seen, door.get("/v1/connections/of-b").status

    assert as_uid(A, names, two_callers.socket("sign")) == (["of-a"], 403)


@every_backend
@pytest.mark.root
def test_an_unknown_uid_gets_403_and_an_entry(acme):
    status, problem = sign_as(acme, STRANGER)
    assert (status, problem["code"]) == (403, "unknown_caller")
    entries = [e for e in acme.log_entries() if e["type"] == "peer"]
    assert [(e["uid"], e["code"], e["door"], e["outcome"]) for e in entries] == [
        (STRANGER, "unknown_caller", "sign", "denied")]


@pytest.mark.root
def test_nobody_but_an_admin_comes_in_at_the_other_doors(two_callers):
    """The file mode keeps others out; where it does not, the uid does."""
    for door in ("admin", "audit"):
        path = two_callers.socket(door)
        with pytest.raises(PermissionError):
            as_uid(A, _post, path, "/v1/admin/lock", {})
        os.chmod(path, 0o666)
        status, problem = as_uid(A, _post, path, "/v1/admin/lock", {})
        assert (status, problem["code"]) == (403, "unknown_caller")


@every_backend
@pytest.mark.root
def test_a_disabled_caller_is_out_at_once_also_on_an_open_connection(two_callers):
    def sign_disable_sign(path, reader, writer):
        with Door(path) as door:
            body = {**BODY, "connection": "of-a"}
            first = door.post("/v1/sign/oauth1", body).status
            os.write(writer, b"1")
            os.read(reader, 1)
            return first, door.post("/v1/sign/oauth1", body).json["code"]

    asks, answers = os.pipe(), os.pipe()

    def disable():
        os.read(asks[0], 1)
        two_callers.oxvault("caller", "disable", "a")
        os.write(answers[1], b"1")

    helper = threading.Thread(target=disable)
    helper.start()
    result = as_uid(A, sign_disable_sign, two_callers.socket("sign"), answers[0], asks[1])
    helper.join()
    assert result == (200, "unknown_caller")
    two_callers.oxvault("caller", "enable", "a")
    assert sign_as(two_callers, A, {**BODY, "connection": "of-a"})[0] == 200


# --- a frontend is only its own peers' ---


def frontends_of(service, door):
    pids = []
    for pid in service.frontend_pids:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if door.encode() in file.read().split(b"\0"):
                pids.append(pid)
    return pids


@pytest.mark.root
def test_a_killed_frontend_costs_only_its_own_peers_and_is_replaced(two_callers):
    assert two_callers.sign.post("/v1/sign/oauth1", BODY).status == 200
    mine = frontends_of(two_callers, "sign")
    assert len(mine) == 1
    assert sign_as(two_callers, A, {**BODY, "connection": "of-a"})[0] == 200
    theirs = [p for p in frontends_of(two_callers, "sign") if p not in mine]
    assert len(theirs) == 1
    os.kill(theirs[0], signal.SIGKILL)
    assert two_callers.sign.post("/v1/sign/oauth1", BODY).status == 200, "on the same connection"
    wait_until(lambda: process(theirs[0]) is None or process(theirs[0]).state == "Z")
    assert sign_as(two_callers, A, {**BODY, "connection": "of-a"})[0] == 200
    assert mine[0] in frontends_of(two_callers, "sign")
    lost = [e for e in two_callers.log_entries() if e["type"] == "frontend"]
    assert [(e["uid"], e["outcome"]) for e in lost] == [(A, "failed")]


def test_a_stopped_frontend_is_given_up_killed_and_replaced(acme):
    """It takes no answers and no peers: nobody else waits for it, and it does not live on."""
    peers = []
    with Door(acme.socket("sign")) as door:
        assert door.post("/v1/sign/oauth1", BODY).status == 200
        (stopped,) = frontends_of(acme, "sign")
        os.kill(stopped, signal.SIGSTOP)
        for _ in range(500):  # more than its channel holds
            peers.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            peers[-1].connect(str(acme.socket("sign")))
        began = time.monotonic()
        assert acme.admin.get("/v1/admin/status").status == 200
        assert time.monotonic() - began < 1.0
        wait_until(lambda: process(stopped) is None, 15, "its end")
        assert time.monotonic() - began > 4.0, "it had its time"
    for peer in peers:
        peer.settimeout(5)
        try:
            assert peer.recv(1) == b"", "whoever was with it, or waited for it, is let go"
        except ConnectionResetError:
            pass
        peer.close()
    with Door(acme.socket("sign")) as door:
        assert door.post("/v1/sign/oauth1", BODY).status == 200
    assert "a frontend that the keeper gave up does not end: it is killed" in acme.stderr
    lost = [e for e in acme.log_entries() if e["type"] == "frontend"]
    assert [(e["uid"], e["outcome"]) for e in lost] == [(os.getuid(), "failed")]


# --- shares ---


def _hold_connections(path, count, ready, done):
    """Opens `count` connections; those beyond the share are told so and closed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 5000), hard))
    held = []
    for _ in range(count):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(20)
        try:
            peer.connect(path)
        except OSError:
            peer.close()
            continue
        held.append(peer)
    os.write(ready, b"1")
    os.read(done, 1)
    return len(held)


def _latencies(door, count):
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        assert door.post("/v1/sign/oauth1", BODY).status == 200
        taken.append(time.perf_counter() - began)
    return taken


@pytest.mark.root
@pytest.mark.timing
def test_5000_connections_of_one_uid_leave_another_its_latency(two_callers):
    count, rounds = 400, 3
    _latencies(two_callers.sign, 50)
    idle = [statistics.quantiles(_latencies(two_callers.sign, count), n=100)[98]
            for _ in range(rounds)]
    ready, done = os.pipe(), os.pipe()
    came = []
    crowd = threading.Thread(target=lambda: came.append(as_uid(
        A, _hold_connections, str(two_callers.socket("sign")), 5000, ready[1], done[0])))
    crowd.start()
    during = statistics.quantiles(_latencies(two_callers.sign, count), n=100)[98]
    os.read(ready[0], 1)
    held = [statistics.quantiles(_latencies(two_callers.sign, count), n=100)[98]
            for _ in range(rounds)]
    peers = metrics(two_callers)
    os.write(done[1], b"1")
    crowd.join()
    print(f"p99: idle {idle}, while they come {during:.6f}, held {held}")
    assert came == [5000]
    assert peers["oxvault_peers_refused_total"] >= 5000 - 512
    assert min(held) <= 3 * max(idle)


def test_a_peer_that_leaves_with_data_unread_harms_nobody(acme):
    request = (b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"
               + b'{"connection":"acme"')
    for _ in range(200):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(acme.socket("sign")))
            peer.sendall(request)
    for _ in range(50):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(acme.socket("sign")))
            peer.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    assert acme.sign.post("/v1/sign/oauth1", BODY).status == 200
    assert len(frontends_of(acme, "sign")) == 1


@pytest.mark.root
def test_unknown_uids_in_a_loop_cost_one_entry_a_second(acme):
    def knock(path):
        for _ in range(400):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.connect(path)

    before, began = len(acme.log_entries()), time.monotonic()
    for uid in (STRANGER, STRANGER + 1, STRANGER + 2):
        as_uid(uid, knock, str(acme.socket("sign")))
    seconds = time.monotonic() - began
    assert acme.sign.post("/v1/sign/oauth1", BODY).status == 200
    grown = [e for e in acme.log_entries()[before:] if e["type"] == "peer"]
    assert 1 <= len(grown) <= seconds + 1
    wait_until(lambda: sum(e.get("count", 1) for e in acme.log_entries()[before:]
                           if e["type"] == "peer") >= 1200, 10, "the counted rest")


@every_backend
def test_a_rate_is_enforced_and_says_when_to_come_again(service):
    service.add_connection()
    service.add_caller()
    service.add_grant(rate="5/m")
    assert service.sign.post("/v1/sign/oauth1", BODY).status == 200
    answer = service.sign.post("/v1/sign/oauth1", BODY)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 12


@every_backend
def test_batch_items_over_the_rate_are_refused_each(service):
    service.add_connection()
    service.add_caller()
    service.add_grant(rate="10/s")
    requests = [{"kind": "oauth1", **BODY} for _ in range(300)]
    answer = service.sign.post("/v1/sign/batch", {"requests": requests})
    assert answer.status == 200
    responses = answer.json["responses"]
    assert len(responses) == 300
    allowed = [r for r in responses if "authorization" in r]
    assert 10 <= len(allowed) <= 20
    assert {r["code"] for r in responses if "authorization" not in r} == {"rate_limited"}


@pytest.mark.timing
def test_at_64_connections_there_is_a_commit_per_8_signatures_at_most(acme):
    before = metrics(acme)
    # One request under way on each; sent by one thread, as Python's own would take turns.
    request = (b"POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n%s")
    body = (b'{"connection":"acme","method":"GET","url":"' + EMPLOYEE_URL.encode() + b'"}')
    message = request % (len(body), body)
    peers = []
    for _ in range(64):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(20)
        peer.connect(str(acme.socket("sign")))
        peers.append(peer)
    for _ in range(20):
        for peer in peers:
            peer.sendall(message)
        for peer in peers:
            assert peer.recv(65536).startswith(b"HTTP/1.1 200 ")
    after = metrics(acme)
    signatures = after["oxvault_signatures_total"] - before["oxvault_signatures_total"]
    commits = after["oxvault_log_commits_total"] - before["oxvault_log_commits_total"]
    assert signatures == 64 * 20
    print(f"{signatures} signatures in {commits} commits")
    assert commits * 8 <= signatures
    for peer in peers:
        peer.close()
