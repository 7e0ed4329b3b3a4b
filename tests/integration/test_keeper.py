"""The keeper against frontends that break every rule, played by the test (design.md 3, 5.2, 5.5)."""

import base64
import json
import os
import secrets
import select
import time

import pytest
from support import boxes, wire
from support.keeper_harness import KeeperHarness
from support.segments import entry_lines

CREDITS = 256
URL = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40"


@pytest.fixture
def keeper(build):
    harness = KeeperHarness(build.libexec / "oxvault-keeper")
    harness.init()
    harness.start()
    yield harness
    harness.close()


@pytest.fixture
def admin(keeper):
    channel, peer = keeper.frontend("admin")
    keeper.admin_peer = peer
    return channel


def challenge(keeper, admin):
    kind, doc = keeper.ask(admin, wire.CHALLENGE)
    assert kind == wire.DOC
    return base64.b64decode(doc["challenge"])


def problem(answer):
    kind, body = answer
    assert kind == wire.PROBLEM, body
    return body[1].decode(), body[2].decode()


def add_connection(keeper, admin, name="acme"):
    sealed = boxes.box(keeper.published, boxes.CONNECTION_ADD, challenge(keeper, admin),
                       boxes.connection(name))
    kind, doc = keeper.ask(admin, CONNECTION_ADD, wire.fields((1, name), (2, sealed)))
    assert kind == wire.DOC, doc
    return sealed


CONNECTION_ADD = wire.SEALS + 5
ADMIN_CONNECTIONS = wire.SEALS + 3
ADMIN_ADD, ADMIN_REMOVE = wire.CALLERS + 9, wire.CALLERS + 10
IMPORT_BEGIN, IMPORT_CHUNK, IMPORT_COMMIT, IMPORT_ABORT = range(CONNECTION_ADD + 2,
                                                                CONNECTION_ADD + 6)
GRANT_ADD = wire.CALLERS + 6
SEAL_ADD, SEAL_REMOVE = wire.SEALS + 1, wire.SEALS + 2


def furnish(keeper, admin):
    add_connection(keeper, admin)
    caller = wire.fields((1, "order-exchange"), (2, os.getuid()))
    assert keeper.ask(admin, wire.CALLER_ADD, caller)[0] == wire.DOC
    grant = wire.fields((1, "order-exchange"), (2, "acme"), (3, ["oauth1"]), (5, ["/services/**"]))
    assert keeper.ask(admin, GRANT_ADD, grant)[0] == wire.DOC


def sign_payload(url=URL):
    return wire.fields((1, 1), (2, "acme"), (3, "GET"), (4, url))


def log_entries(keeper):
    return [json.loads(line) for line in entry_lines(keeper.dir / "log")]


def is_closed(channel):
    """Has the keeper closed this channel? Waits for it."""
    try:
        while wire.receive(channel)[0] is not None:
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


# --- what a frontend may send ---


@pytest.mark.parametrize("data", [
    b"", b"\x01", b"\x02" + wire.message(wire.HEALTH, 1), b"\x01\xff",
    wire.datagram(wire.message(wire.HEALTH, 1))[:-1],
    wire.datagram(wire.message(wire.HEALTH, 1)) + b"\x00",
    wire.datagram(wire.message(wire.SIGN, 1, sign_payload())),       # not at this door
    wire.datagram(wire.message(wire.LOG_INFO, 1)),                   # not at this door
    wire.datagram(wire.message(wire.DOC, 1)),                        # the keeper's to send
    wire.datagram(wire.message(wire.STOP, 1)),                       # the supervisor's
    wire.datagram(wire.message(wire.HEALTH, 1, b"\x01\x00\x00\x00\x00")),
    wire.datagram(wire.message(wire.PEER_CLOSED, 1), wire.message(wire.PEER_CLOSED, 2)),
    wire.datagram(wire.message(wire.CALLER_ADD, 1, wire.fields((1, "a")))),
], ids=range(13))
def test_a_frontend_that_sends_garbage_is_closed_and_replaced(keeper, admin, data):
    if data:
        wire.send(admin, data)
    else:
        admin.close()
    if data:
        assert is_closed(admin)
    again, _ = keeper.frontend("admin")
    assert keeper.ask(again, wire.HEALTH)[1]["state"] == "open"


def test_a_frontend_that_sends_descriptors_is_closed(keeper, admin):
    wire.send(admin, wire.datagram(wire.message(wire.HEALTH, 1)), [0])
    assert is_closed(admin)


def test_the_refusing_frontend_has_no_right_to_send(keeper, admin):
    unknown, _ = keeper.frontend("sign")  # no caller has this uid yet
    assert keeper.wanted[-1][1] == 0
    wire.send(unknown, wire.datagram(wire.message(wire.HEALTH, 1)))
    assert is_closed(unknown)


def test_a_garbling_frontend_costs_only_its_own_peers(keeper, admin):
    furnish(keeper, admin)
    sign, _ = keeper.frontend("sign")
    wire.send(admin, b"\x01garbage")
    assert is_closed(admin)
    assert keeper.ask(sign, wire.SIGN, sign_payload())[0] == wire.DOC


def test_more_requests_than_credit_in_one_go_are_all_answered_or_the_channel_closed(keeper, admin):
    """Flooding without reading: bounded, and nobody else waits for it."""
    furnish(keeper, admin)
    flood, _ = keeper.frontend("sign")
    flood.setblocking(False)
    messages = [wire.message(wire.SIGN, i, sign_payload()) for i in range(200)]
    sent = 0
    try:
        while sent < 100000:
            wire.send(flood, wire.datagram(*messages))
            sent += len(messages)
    except BlockingIOError:
        pass
    assert sent < 100000, "the keeper took everything from one that reads nothing"
    began = time.monotonic()
    assert keeper.ask(admin, wire.HEALTH)[1]["state"] == "open"
    assert time.monotonic() - began < 1.0
    hung_up = select.poll()
    hung_up.register(flood, 0)  # POLLHUP comes unasked
    assert hung_up.poll(10000), "a channel that is full for 5 s is closed"
    keeper.connect("sign")
    keeper.pump(lambda: len([w for w in keeper.wanted if w[0] == 1]) >= 2)


def test_a_frontend_that_dies_with_requests_open_harms_nobody(keeper, admin):
    furnish(keeper, admin)
    for _ in range(20):
        sign, _ = keeper.frontend("sign")
        wire.send(sign, wire.datagram(*[wire.message(wire.SIGN, i, sign_payload())
                                        for i in range(50)]))
        sign.close()
        assert keeper.ask(admin, wire.HEALTH)[0] == wire.DOC
    sign, _ = keeper.frontend("sign")
    assert keeper.ask(sign, wire.SIGN, sign_payload())[0] == wire.DOC


def test_256_requests_may_be_open_and_no_more(keeper, admin):
    wire.send(admin, wire.datagram(*[wire.message(wire.HEALTH, i) for i in range(CREDITS)]))
    answered = 0
    while answered < CREDITS:
        answered += len(wire.receive(admin)[0])
    assert answered == CREDITS
    wire.send(admin, wire.datagram(*[wire.message(wire.HEALTH, i) for i in range(CREDITS + 1)]))
    assert is_closed(admin)
    lost = [e for e in log_entries(keeper) if e["type"] == "frontend"]
    assert [e["reason"] for e in lost] == ["it has more requests open than its credit"]


def test_lists_of_two_channels_do_not_cost_a_third_its_answers(keeper, admin):
    furnish(keeper, admin)
    _, begun = keeper.ask(admin, IMPORT_BEGIN)
    session, fresh, count = begun["session"], base64.b64decode(begun["challenge"]), 0
    for chunk in range(1, 7):
        connections = [boxes.connection(f"c{chunk}-{i}") for i in range(50)]
        count += len(connections)
        sealed = boxes.box(keeper.published, boxes.CONNECTION_IMPORT, fresh,
                           boxes.import_chunk(session, chunk, connections))
        _, doc = keeper.ask(admin, IMPORT_CHUNK, wire.fields((1, session), (2, sealed)))
        fresh = base64.b64decode(doc["challenge"])
    assert keeper.ask(admin, IMPORT_COMMIT, wire.fields((1, session), (2, count)))[0] == wire.DOC
    sign, _ = keeper.frontend("sign")
    pages = [wire.message(ADMIN_CONNECTIONS, i) for i in range(200)]
    signatures = [wire.message(wire.SIGN, i, sign_payload()) for i in range(100)]
    wire.send(admin, wire.datagram(*pages))
    wire.send(sign, wire.datagram(*signatures))
    got = []
    while len(got) < len(signatures):
        got += wire.receive(sign)[0]
    assert [m[1] for m in got] == list(range(100)) and {m[0] for m in got} == {wire.DOC}
    got = []
    while len(got) < len(pages):
        got += wire.receive(admin)[0]
    assert {m[0] for m in got} == {wire.DOC}
    assert all(wire.parse_doc(m[2])["next"] > 0 for m in got)


def test_answers_come_back_batched_in_one_datagram(keeper, admin):
    furnish(keeper, admin)
    sign, _ = keeper.frontend("sign")
    wire.send(sign, wire.datagram(*[wire.message(wire.SIGN, i, sign_payload())
                                    for i in range(40)]))
    messages, _ = wire.receive(sign)
    assert [m[1] for m in messages] == list(range(40))
    assert {m[0] for m in messages} == {wire.DOC}


def test_a_turn_takes_64_requests_of_a_channel_and_commits_once(keeper, admin):
    furnish(keeper, admin)
    sign, _ = keeper.frontend("sign")
    commits = keeper.ask(admin, wire.STATUS)[1]["log"]["commits"]
    wire.send(sign, wire.datagram(*[wire.message(wire.SIGN, i, sign_payload())
                                    for i in range(64)]))
    assert len(wire.receive(sign)[0]) == 64
    assert keeper.ask(admin, wire.STATUS)[1]["log"]["commits"] - commits == 1


# --- peers ---


def test_one_uid_gets_512_connections_and_then_is_told_busy(keeper, admin):
    peers = [keeper.connect("admin") for _ in range(511)]
    keeper.ask(admin, wire.HEALTH)  # a turn, so that the last are accepted
    one_more = keeper.connect("admin")
    text = one_more.recv(4096)
    assert text.startswith(b"HTTP/1.1 503 ") and b'"code":"busy"' in text
    head, body = text.split(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert one_more.recv(1) == b""
    for peer in peers:
        peer.close()


def test_peers_that_come_before_their_frontend_wait_for_it(keeper, admin):
    """All of a share, not only the first turn's."""
    furnish(keeper, admin)
    before = len(keeper.wanted)
    peers = [keeper.connect("sign") for _ in range(500)]
    keeper.pump(lambda: len(keeper.wanted) > before)
    keeper.ask(admin, wire.HEALTH)  # a turn, so that the last are accepted
    sign = keeper.give_frontend(keeper.wanted[-1][2])
    given = 1
    while given < len(peers):
        messages, fds = wire.receive(sign)
        given += len(messages)
        for descriptor in fds:
            os.close(descriptor)
    assert given == len(peers)


def test_unknown_peers_share_32_connections(keeper, admin):
    refusing, first = keeper.frontend("sign")
    others = [keeper.connect("sign") for _ in range(31)]
    beyond = keeper.connect("sign")
    assert beyond.recv(4096).startswith(b"HTTP/1.1 503 ")
    del first, others, refusing


def test_an_unknown_peer_that_leaves_makes_room_for_another(keeper, admin):
    refusing, first = keeper.frontend("sign")
    others = [keeper.connect("sign") for _ in range(31)]
    wire.send(refusing, wire.datagram(wire.message(wire.PEER_CLOSED, 0)))
    keeper.ask(admin, wire.HEALTH)
    keeper.connect("sign")
    beyond = keeper.connect("sign")
    assert beyond.recv(4096).startswith(b"HTTP/1.1 503 ")
    del first, others


def test_unknown_peers_in_a_loop_grow_the_log_by_one_entry_a_second(keeper, admin):
    began = time.monotonic()
    before = len(log_entries(keeper))
    for _ in range(300):
        keeper.connect("sign").close()
    keeper.pump(lambda: len(keeper.wanted) >= 2)
    keeper.ask(admin, wire.HEALTH)
    seconds = time.monotonic() - began
    grown = [e for e in log_entries(keeper)[before:] if e["type"] == "peer"]
    assert 1 <= len(grown) <= seconds + 1
    assert grown[0]["code"] == "unknown_caller" and grown[0]["uid"] == os.getuid()


def test_denials_are_logged_one_by_one_up_to_ten_a_second_and_then_counted(keeper, admin):
    furnish(keeper, admin)
    sign, _ = keeper.frontend("sign")
    before = len(log_entries(keeper))
    payload = wire.fields((1, 1), (2, "nobody"), (3, "GET"), (4, URL))
    wire.send(sign, wire.datagram(*[wire.message(wire.SIGN, i, payload) for i in range(50)]))
    assert len(wire.receive(sign)[0]) == 50
    deadline = time.monotonic() + 5
    counted = []
    while not counted and time.monotonic() < deadline:
        denied = [e for e in log_entries(keeper)[before:] if e["type"] == "sign"]
        counted = [e for e in denied if "count" in e]
    assert [e["count"] for e in counted] == [40]
    assert len(denied) == 11 and {e["code"] for e in denied} == {"no_grant"}


# --- boxes ---


def test_a_box_works_once(keeper, admin):
    sealed = add_connection(keeper, admin)
    code, detail = problem(keeper.ask(admin, CONNECTION_ADD,
                                      wire.fields((1, "acme"), (2, sealed))))
    assert code == "bad_request" and "sent before" in detail


def test_a_box_for_another_name_is_refused_and_burnt(keeper, admin):
    sealed = boxes.box(keeper.published, boxes.CONNECTION_ADD, challenge(keeper, admin),
                       boxes.connection("acme"))
    code, detail = problem(keeper.ask(admin, CONNECTION_ADD,
                                      wire.fields((1, "other"), (2, sealed))))
    assert code == "bad_request" and "another name" in detail
    code, detail = problem(keeper.ask(admin, CONNECTION_ADD,
                                      wire.fields((1, "acme"), (2, sealed))))
    assert "sent before" in detail


def test_a_box_for_another_purpose_or_vault_is_refused(keeper, admin):
    for purpose, vault_id in ((boxes.SEAL_ADD, None),
                              (boxes.CONNECTION_ADD, secrets.token_bytes(16))):
        sealed = boxes.box(keeper.published, purpose, challenge(keeper, admin),
                           boxes.connection("acme"), vault_id)
        code, _ = problem(keeper.ask(admin, CONNECTION_ADD, wire.fields((1, "acme"), (2, sealed))))
        assert code == "bad_request"
    assert keeper.ask(admin, wire.STATUS)[1]["connections"] == 0


def test_a_box_with_a_guessed_challenge_is_refused(keeper, admin):
    sealed = boxes.box(keeper.published, boxes.CONNECTION_ADD, secrets.token_bytes(32),
                       boxes.connection("acme"))
    assert problem(keeper.ask(admin, CONNECTION_ADD,
                              wire.fields((1, "acme"), (2, sealed))))[0] == "bad_request"


def test_every_changed_byte_of_a_box_is_refused(keeper, admin):
    sealed = boxes.box(keeper.published, boxes.CONNECTION_ADD, challenge(keeper, admin),
                       boxes.connection("acme"))
    for at in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[at] ^= 1
        answer = keeper.ask(admin, CONNECTION_ADD, wire.fields((1, "acme"), (2, bytes(changed))))
        assert problem(answer)[0] == "bad_request"
    assert keeper.ask(admin, CONNECTION_ADD, wire.fields((1, "acme"), (2, sealed)))[0] == wire.DOC


# --- import ---


def test_an_import_is_one_change_and_all_or_nothing(keeper, admin):
    counter = keeper.ask(admin, wire.STATUS)[1]["change_counter"]
    _, begun = keeper.ask(admin, IMPORT_BEGIN)
    session, fresh = begun["session"], base64.b64decode(begun["challenge"])
    code, detail = problem(keeper.ask(admin, wire.CALLER_ADD, wire.fields((1, "x"), (2, 5))))
    assert code == "conflict" and "import" in detail
    for chunk in (1, 2):
        connections = [boxes.connection(f"c{chunk}-{i}") for i in range(20)]
        sealed = boxes.box(keeper.published, boxes.CONNECTION_IMPORT, fresh,
                           boxes.import_chunk(session, chunk, connections))
        kind, doc = keeper.ask(admin, IMPORT_CHUNK, wire.fields((1, session), (2, sealed)))
        assert kind == wire.DOC and doc["received"] == 20 * chunk
        fresh = base64.b64decode(doc["challenge"])
    assert keeper.ask(admin, wire.STATUS)[1]["connections"] == 0
    kind, doc = keeper.ask(admin, IMPORT_COMMIT, wire.fields((1, session), (2, 40)))
    assert (kind, doc) == (wire.DOC, {"count": 40})
    status = keeper.ask(admin, wire.STATUS)[1]
    assert status["connections"] == 40 and status["change_counter"] == counter + 1
    added = [e for e in log_entries(keeper) if e["type"] == "connection.add"]
    assert len(added) == 40 and {e["cfg"] for e in added} == {counter + 1}


def test_an_import_with_one_bad_connection_leaves_nothing(keeper, admin):
    _, begun = keeper.ask(admin, IMPORT_BEGIN)
    bad = [boxes.connection("good"), boxes.connection("b/ad")]
    sealed = boxes.box(keeper.published, boxes.CONNECTION_IMPORT,
                       base64.b64decode(begun["challenge"]),
                       boxes.import_chunk(begun["session"], 1, bad))
    code, detail = problem(keeper.ask(admin, IMPORT_CHUNK,
                                      wire.fields((1, begun["session"]), (2, sealed))))
    assert code == "bad_request" and "connection 2 of this import" in detail
    assert keeper.ask(admin, wire.STATUS)[1]["connections"] == 0
    assert keeper.ask(admin, wire.CALLER_ADD, wire.fields((1, "x"), (2, 5)))[0] == wire.DOC


def test_an_import_whose_count_differs_is_given_up(keeper, admin):
    _, begun = keeper.ask(admin, IMPORT_BEGIN)
    assert problem(keeper.ask(admin, IMPORT_COMMIT, wire.fields((1, begun["session"]), (2, 3))))
    code, _ = problem(keeper.ask(admin, IMPORT_ABORT, wire.fields((1, begun["session"]))))
    assert code == "not_found"


# --- seals, lock, unseal ---


def test_lock_wipes_and_unseal_brings_everything_back(keeper, admin):
    furnish(keeper, admin)
    sign, _ = keeper.frontend("sign")
    assert keeper.ask(admin, wire.LOCK)[1] == {"state": "sealed"}
    assert problem(keeper.ask(sign, wire.SIGN, sign_payload()))[0] == "sealed"
    health = keeper.ask(admin, wire.HEALTH)[1]
    assert health["state"] == "sealed" and health["seals"][0]["kind"] == "keyfile"
    wrong = boxes.box(keeper.published, boxes.UNSEAL, challenge(keeper, admin),
                      boxes.unseal(1, secrets.token_bytes(32)))
    assert problem(keeper.ask(admin, wire.UNSEAL, wire.fields((1, wrong))))[0] == "wrong_seal"
    right = boxes.box(keeper.published, boxes.UNSEAL, challenge(keeper, admin),
                      boxes.unseal(1, keeper.keyfile.read_bytes()))
    assert keeper.ask(admin, wire.UNSEAL, wire.fields((1, right)))[1] == {"state": "open"}
    assert keeper.ask(sign, wire.SIGN, sign_payload())[0] == wire.DOC
    types = [(e["type"], e["outcome"], "unsigned_since" in e) for e in log_entries(keeper)]
    locked = types.index(("vault.lock", "allowed", False))
    assert types[locked + 1 : locked + 3] == [("vault.unseal", "failed", True),
                                              ("vault.unseal", "allowed", False)]


def test_the_last_seal_stays_and_a_second_one_opens(keeper, admin):
    assert problem(keeper.ask(admin, SEAL_REMOVE, wire.fields((1, 1))))[0] == "conflict"
    added = secrets.token_bytes(32)
    sealed = boxes.box(keeper.published, boxes.SEAL_ADD, challenge(keeper, admin),
                       boxes.seal_add(1, keeper.keyfile.read_bytes(), added))
    kind, doc = keeper.ask(admin, SEAL_ADD, wire.fields((1, sealed)))
    assert kind == wire.DOC
    assert keeper.ask(admin, SEAL_REMOVE, wire.fields((1, 1)))[0] == wire.DOC
    keeper.ask(admin, wire.LOCK)
    old = boxes.box(keeper.published, boxes.UNSEAL, challenge(keeper, admin),
                    boxes.unseal(doc["id"], keeper.keyfile.read_bytes()))
    assert problem(keeper.ask(admin, wire.UNSEAL, wire.fields((1, old))))[0] == "wrong_seal"
    new = boxes.box(keeper.published, boxes.UNSEAL, challenge(keeper, admin),
                    boxes.unseal(doc["id"], added))
    assert keeper.ask(admin, wire.UNSEAL, wire.fields((1, new)))[1] == {"state": "open"}


def test_adding_a_seal_needs_an_existing_one(keeper, admin):
    sealed = boxes.box(keeper.published, boxes.SEAL_ADD, challenge(keeper, admin),
                       boxes.seal_add(1, secrets.token_bytes(32), secrets.token_bytes(32)))
    assert problem(keeper.ask(admin, SEAL_ADD, wire.fields((1, sealed))))[0] == "wrong_seal"


def test_a_second_keeper_on_the_same_vault_refuses(keeper, admin, build):
    second = KeeperHarness(build.libexec / "oxvault-keeper")
    second.dir, second.keyfile = keeper.dir, keeper.keyfile
    second.start()
    assert second.refused[0] == 1 and "another oxvaultd" in second.refused[1]
    second.close()


def test_a_wrong_key_file_at_start_refuses_with_exit_code_4(keeper, admin, build):
    assert keeper.stop() == 0
    keeper.keyfile.write_bytes(secrets.token_bytes(32))
    keeper.start()
    assert keeper.refused[0] == 4, keeper.refused


def test_sealed_doors_answer_health_and_unseal_only(build):
    harness = KeeperHarness(build.libexec / "oxvault-keeper")
    harness.init()
    harness.start(sealed=True)
    assert harness.ready == {"sealed": True}
    admin, _ = harness.frontend("admin")
    for kind in (wire.LOCK, wire.CALLERS, IMPORT_BEGIN):
        assert problem(harness.ask(admin, kind))[0] == "sealed"
    sign, peer = harness.frontend("sign")
    assert harness.wanted[-1][1] == 0, "all go to the refusing frontend"
    right = boxes.box(harness.published, boxes.UNSEAL, challenge(harness, admin),
                      boxes.unseal(1, harness.keyfile.read_bytes()))
    assert harness.ask(admin, wire.UNSEAL, wire.fields((1, right)))[1] == {"state": "open"}
    del sign, peer
    harness.close()


def test_a_grant_shows_its_connection_only_while_it_holds(keeper, admin):
    add_connection(keeper, admin)
    caller = wire.fields((1, "order-exchange"), (2, os.getuid()))
    assert keeper.ask(admin, wire.CALLER_ADD, caller)[0] == wire.DOC
    for times in ((9, "2020-01-01"), (8, "2999-01-01")):
        grant = wire.fields((1, "order-exchange"), (2, "acme"), (3, ["oauth1"]),
                            (5, ["/services/**"]), times)
        assert keeper.ask(admin, GRANT_ADD, grant)[0] == wire.DOC
    sign, _ = keeper.frontend("sign")
    answer = keeper.ask(sign, wire.CONNECTION, wire.fields((1, "acme")))
    assert problem(answer)[0] == "no_grant"
    assert keeper.ask(sign, wire.CONNECTIONS)[1]["connections"] == []


# --- the audit door ---


def test_an_auditor_who_is_no_admin_any_more_is_out_at_once(keeper, admin):
    audit, _ = keeper.frontend("audit")
    assert keeper.ask(audit, wire.LOG_INFO)[0] == wire.DOC
    assert keeper.ask(admin, ADMIN_ADD, wire.fields((1, 4242)))[0] == wire.DOC
    assert keeper.ask(admin, ADMIN_REMOVE, wire.fields((1, os.getuid())))[0] == wire.DOC
    assert problem(keeper.ask(audit, wire.LOG_INFO))[0] == "unknown_caller"
    assert problem(keeper.ask(admin, wire.STATUS))[0] == "unknown_caller"


def test_a_read_is_over_when_the_vault_was_sealed(keeper, admin):
    audit, _ = keeper.frontend("audit")
    _, before = keeper.ask(audit, wire.LOG_READ, wire.fields((1, "show"), (2, "jsonl")))
    keeper.ask(admin, wire.LOCK)
    right = boxes.box(keeper.published, boxes.UNSEAL, challenge(keeper, admin),
                      boxes.unseal(1, keeper.keyfile.read_bytes()))
    assert keeper.ask(admin, wire.UNSEAL, wire.fields((1, right)))[1] == {"state": "open"}
    _, after = keeper.ask(audit, wire.LOG_READ, wire.fields((1, "show"), (2, "jsonl")))
    assert after[1] != before[1]
    answer = keeper.ask(audit, wire.LOG_SEGMENT, wire.fields((1, before[1])))
    assert problem(answer)[0] == "sealed"
    wire.send(audit, wire.datagram(wire.message(wire.LOG_CLOSE, 0, wire.fields((1, before[1])))))
    assert keeper.ask(audit, wire.LOG_SEGMENT, wire.fields((1, after[1])))[0] == wire.LOG_SEGMENT_FD


def test_segments_are_given_only_after_a_read_that_is_logged(keeper, admin):
    audit, _ = keeper.frontend("audit")
    code, _ = problem(keeper.ask(audit, wire.LOG_SEGMENT, wire.fields((1, 1))))
    assert code == "sealed"
    kind, opened = keeper.ask(audit, wire.LOG_READ, wire.fields((1, "export"), (2, "jsonl")))
    assert kind == wire.LOG_OPENED
    entry = log_entries(keeper)[wire.number(opened[2]) - 1]
    assert entry["type"] == "log.export" and entry["uid"] == os.getuid()
    kind, _ = keeper.ask(audit, wire.LOG_SEGMENT, wire.fields((1, opened[1])))
    assert kind == wire.LOG_SEGMENT_FD


def test_a_wait_is_answered_when_the_log_grows(keeper, admin):
    audit, _ = keeper.frontend("audit")
    _, opened = keeper.ask(audit, wire.LOG_READ, wire.fields((1, "follow"), (2, "jsonl")))
    size = wire.number(opened[2])
    wire.send(audit, wire.datagram(wire.message(wire.LOG_WAIT, 9,
                                                wire.fields((1, opened[1]), (2, size)))))
    assert keeper.ask(admin, wire.CALLER_ADD, wire.fields((1, "x"), (2, 5)))[0] == wire.DOC
    messages, _ = wire.receive(audit)
    assert messages[0][:2] == (wire.LOG_SIZE, 9)
    assert wire.number(wire.parse_fields(messages[0][2])[1]) > size
