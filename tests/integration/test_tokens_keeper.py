"""The keeper's side of tokens, with helpers that the test plays (design.md 3, 6)."""

import base64
import hmac
import json
import os
import time

import pytest
from support import boxes, wire
from support.credentials import A1
from support.played_token import (
    LABEL, PIN, PUBLIC_KEY, URI, TokenHarness, seal_key,
)

URL = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40"
CONNECTION_ADD, CONNECTION_REMOVE, ADMIN_CONNECTION, IMPORT_BEGIN = 42, 43, 41, 44
GRANT_ADD, GRANT_REMOVE, ADMIN_ADD, ADMIN_REMOVE = 54, 55, 57, 58
DEADLINE = 5.0


@pytest.fixture
def keeper(build):
    harness = TokenHarness(build.libexec / "oxvault-keeper")
    harness.init()
    harness.start()
    yield harness
    harness.close()


@pytest.fixture
def admin(keeper):
    channel, peer = keeper.frontend("admin")
    keeper.admin_peer = peer
    return channel


def problem(answer):
    kind, body = answer
    assert kind == wire.PROBLEM, body
    return body[1].decode(), body[2].decode()


def document(answer):
    kind, body = answer
    assert kind == wire.DOC, body
    return body


def add_connection(keeper, admin, name="acme", form=wire.UNWRAP, **changed):
    key_id = changed.get("key_id", os.urandom(16))
    key = {wire.UNWRAP: seal_key(boxes.signing_key()), wire.TOKEN: boxes.signing_key()}.get(form)
    secret = (changed.get("key", key), changed.get("check", boxes.check_value(key_id)))
    payload = boxes.connection(name, place=(form, changed.get("row", 1), key_id), secret=secret)
    sealed = keeper.box(admin, boxes.CONNECTION_ADD, payload)
    return keeper.ask(admin, CONNECTION_ADD, wire.fields((1, name), (2, sealed)))


def furnish(keeper, admin, form=wire.UNWRAP):
    """A token, a connection with its key in it, a caller with a grant: the sign door's channel."""
    document(keeper.add_token(admin, objects_only=1 if form == wire.TOKEN else None))
    document(add_connection(keeper, admin, form=form))
    return give_grant(keeper, admin)


def give_grant(keeper, admin, connection="acme"):
    if not hasattr(keeper, "sign_channel"):
        caller = wire.fields((1, "order-exchange"), (2, os.getuid()))
        document(keeper.ask(admin, wire.CALLER_ADD, caller))
    grant = wire.fields((1, "order-exchange"), (2, connection), (3, ["oauth1"]),
                        (5, ["/services/**"]))
    keeper.grant = document(keeper.ask(admin, GRANT_ADD, grant))["id"]
    if not hasattr(keeper, "sign_channel"):
        keeper.sign_channel, keeper.sign_peer = keeper.frontend("sign")
    return keeper.sign_channel


def sign_message(connection="acme", ident=7):
    return wire.message(wire.SIGN, ident, wire.fields((1, 1), (2, connection), (3, "GET"), (4, URL)))


def sign(keeper, channel, connection="acme"):
    return keeper.ask(channel, wire.SIGN,
                      wire.fields((1, 1), (2, connection), (3, "GET"), (4, URL)))


def answers(channel, count):
    out = {}
    while len(out) < count:
        messages, _ = wire.receive(channel)
        for kind, ident, body in messages:
            out[ident] = (kind, wire.parse_doc(body) if kind == wire.DOC else
                          wire.parse_fields(body))
    return out


def log_entries(keeper, **wanted):
    lines = (keeper.dir / "log/seg/000000000000.jsonl").read_bytes().rstrip(b"\0").splitlines()
    entries = [e for e in map(json.loads, lines) if "commit" not in e]
    return [e for e in entries if wanted.items() <= e.items()]


def states_logged(keeper):
    return [e["reason"] for e in log_entries(keeper, type="token.state")]


# Adding a token


def test_a_token_is_added_and_its_key_published(keeper, admin):
    added = document(keeper.add_token(admin))
    assert added["token_uri"] == URI and added["form"] == "unwrap" and added["oaep"] == "sha1"
    line = keeper.published.splitlines()[1].split()
    assert line == ["token", "1", URI, "oaep-sha1", base64.b64encode(PUBLIC_KEY).decode()]
    token = keeper.tokens(admin)[0]
    assert token["state"] == "ready" and token["label"] == LABEL and token["logged_in"]
    assert document(keeper.add_token(admin)) == {**added, "added": False}
    assert [e["outcome"] for e in log_entries(keeper, type="token.add")] == ["allowed"]


def test_the_answer_of_an_added_token_waits_until_its_key_is_there(keeper, admin):
    keeper.publishes = False
    sealed = keeper.box(admin, boxes.TOKEN_ADD, wire.fields((1, "/usr/lib/played.so"), (2, URI),
                                                            (3, PIN)))
    wire.send(admin, wire.datagram(wire.message(wire.TOKEN_ADD, 9, wire.fields((1, sealed)))))
    keeper.pump(lambda: len(keeper.published.splitlines()) == 2)
    admin.settimeout(0.3)
    with pytest.raises(TimeoutError):
        wire.receive(admin)
    admin.settimeout(20)
    wire.send(keeper.control, wire.datagram(wire.message(wire.PUBLISHED, 0)))
    assert document(answers(admin, 1)[9])["id"] == 1


def test_a_token_that_cannot_unwrap_gets_objects(keeper, admin):
    keeper.token.answers[wire.HELPER_PAIR] = lambda h, ident, _: [
        h.trouble(ident, wire.UNFIT, 0x70, "it does not enforce CKA_UNWRAP_TEMPLATE")]
    added = document(keeper.add_token(admin))
    assert added["form"] == "token" and "oaep" not in added
    assert keeper.published.splitlines()[1:] == [f"token 1 {URI} none -"]


@pytest.mark.parametrize("trouble, code", [
    (wire.ABSENT, "token_unavailable"), (wire.UNFIT, "bad_request"), (wire.AMBIGUOUS, "conflict"),
    (wire.REFUSED, "bad_request"), (wire.BUSY, "busy"), (wire.NEEDS_PIN, "wrong_seal"),
])
def test_each_trouble_at_opening_is_told_and_nothing_stays(keeper, admin, trouble, code):
    keeper.token.answers[wire.HELPER_OPEN] = lambda h, ident, _: [
        h.trouble(ident, trouble, 0x30, "so it is")]
    got, detail = problem(keeper.add_token(admin))
    assert got == code and "so it is" in detail
    assert ("name it by all attributes" in detail) == (trouble == wire.AMBIGUOUS)
    keeper.until(lambda: keeper.lost == 1)
    assert keeper.tokens(admin) == []


def test_a_wrong_pin_is_tried_once_whatever_is_asked_and_over_restarts(keeper, admin):
    keeper.token.pin = b"other"
    assert problem(keeper.add_token(admin))[0] == "wrong_seal"
    assert keeper.token.refused_logins == 1
    keeper.token.pin = PIN
    document(keeper.add_token(admin))
    keeper.token.pin = b"changed"
    keeper.stop()
    keeper.pin_sources = [(LABEL, PIN)]
    for _ in range(3):
        keeper.start()
        channel, _peer = keeper.frontend("admin")
        keeper.wait_for_state(channel, "pin refused")
        keeper.stop()
    assert keeper.token.refused_logins == 2
    assert (keeper.dir / "token-pins").stat().st_mode & 0o777 == 0o600
    keeper.start()
    channel, _peer = keeper.frontend("admin")
    assert problem(keeper.login(channel, b"wrong again"))[0] == "wrong_seal"
    assert keeper.token.refused_logins == 3
    assert document(keeper.login(channel, b"changed"))["state"] == "ready"
    assert [e["outcome"] for e in log_entries(keeper, type="token.login")] == ["denied", "allowed"]


def test_no_pin_is_tried_while_the_file_of_refused_ones_is_damaged(keeper, admin):
    document(keeper.add_token(admin))
    keeper.stop()
    (keeper.dir / "token-pins").write_bytes(b"\x01damaged")
    keeper.pin_sources = [("", PIN)]
    logins = keeper.token.count(wire.HELPER_LOGIN)
    keeper.start()
    channel, _peer = keeper.frontend("admin")
    keeper.wait_for_state(channel, "needs pin")
    assert "token-pins is damaged" in keeper.tokens(channel)[0]["detail"]
    assert keeper.token.count(wire.HELPER_LOGIN) == logins
    assert document(keeper.login(channel))["state"] == "ready"


def test_a_pin_pad_is_only_used_when_someone_asks(keeper, admin):
    keeper.token.answers[wire.HELPER_OPEN] = lambda h, ident, _: [h.tell(ident, pin_pad=1)]
    keeper.token.pin = b""
    document(keeper.add_token(admin, pin=None))
    logins = keeper.token.count(wire.HELPER_LOGIN)
    keeper.helpers[-1].end()
    keeper.wait_for_state(admin, "needs pin")
    assert keeper.token.count(wire.HELPER_LOGIN) == logins
    assert document(keeper.login(admin, None))["state"] == "ready"


def test_a_token_in_use_is_not_removed(keeper, admin):
    furnish(keeper, admin)
    assert problem(keeper.ask(admin, wire.TOKEN_REMOVE, wire.fields((1, 1))))[0] == "conflict"
    document(keeper.ask(admin, CONNECTION_REMOVE, wire.fields((1, "acme"))))
    document(keeper.ask(admin, wire.TOKEN_REMOVE, wire.fields((1, 1))))
    keeper.until(lambda: keeper.lost == 1)
    assert keeper.tokens(admin) == [] and len(keeper.published.splitlines()) == 1


# Connections


@pytest.mark.parametrize("form", [wire.UNWRAP, wire.TOKEN, wire.PRE_PROVISIONED])
def test_a_connection_signs_in_its_token(keeper, admin, form):
    key_id = b"\x09" * 16
    if form == wire.PRE_PROVISIONED:
        keeper.token.objects[key_id] = boxes.signing_key()
    document(keeper.add_token(admin))
    document(add_connection(keeper, admin, form=form, key_id=key_id))
    channel = give_grant(keeper, admin)
    answer = document(sign(keeper, channel))
    signed = keeper.token.calls[-1][1][3]
    wanted = base64.b64encode(hmac.digest(boxes.signing_key(), signed, "sha256")).decode()
    assert f'oauth_signature="{wanted.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")}"' \
        in answer["authorization"]
    assert A1.token in answer["authorization"]
    shown = document(keeper.ask(admin, ADMIN_CONNECTION, wire.fields((1, "acme"))))
    assert shown["key"] == "in token" and shown["key_token"] == 1
    assert shown["key_id"] == key_id.hex()
    assert ("key_note" in shown) == (form == wire.UNWRAP)


@pytest.mark.parametrize("form", [wire.UNWRAP, wire.TOKEN])
def test_a_key_that_is_not_what_was_imported_is_refused_and_destroyed(keeper, admin, form):
    document(keeper.add_token(admin))
    code, detail = problem(add_connection(keeper, admin, form=form, check=b"\x01" * 32))
    assert code == "bad_request" and "check value" in detail
    assert keeper.token.objects == {}
    kind, values = keeper.token.calls[-1]
    assert kind == wire.HELPER_DROP and bool(values.get(3)) == (form == wire.TOKEN)
    assert problem(keeper.ask(admin, ADMIN_CONNECTION, wire.fields((1, "acme"))))[0] == "not_found"


def test_a_key_id_that_is_taken_is_told_without_a_word_of_the_tokens_uri(keeper, admin):
    document(keeper.add_token(admin))
    keeper.token.answers[wire.HELPER_LOAD] = lambda h, ident, _: [
        h.trouble(ident, wire.AMBIGUOUS, text="there is such a key")]
    code, detail = problem(add_connection(keeper, admin, form=wire.TOKEN))
    assert code == "conflict" and detail.endswith("there is such a key")


def test_a_blob_that_does_not_open_is_refused(keeper, admin):
    document(keeper.add_token(admin))
    code, detail = problem(add_connection(keeper, admin, key=b"x" * 64))
    assert code == "bad_request" and "does not open" in detail


def test_a_name_that_is_taken_makes_no_key(keeper, admin):
    furnish(keeper, admin)
    loads = keeper.token.count(wire.HELPER_LOAD)
    assert problem(add_connection(keeper, admin, form=wire.TOKEN))[0] == "conflict"
    assert keeper.token.count(wire.HELPER_LOAD) == loads and keeper.token.objects == {}


def hold_adding(keeper, admin):
    """A connection whose key is being made in the token, as an object: what lets it go on."""
    kept = []

    def keep(helper, ident, values):
        kept.append(lambda: helper.send(helper.usual(wire.HELPER_LOAD, ident, values)))
        return []

    keeper.token.answers[wire.HELPER_LOAD] = keep
    key_id = os.urandom(16)
    payload = boxes.connection("acme", place=(wire.TOKEN, 1, key_id),
                               secret=(boxes.signing_key(), boxes.check_value(key_id)))
    sealed = keeper.box(admin, boxes.CONNECTION_ADD, payload)
    wire.send(admin, wire.datagram(
        wire.message(CONNECTION_ADD, 5, wire.fields((1, "acme"), (2, sealed)))))
    keeper.token.wait(lambda: kept)
    return kept[0]


def test_what_was_made_is_destroyed_where_an_import_stands_in_the_way(keeper, admin):
    document(keeper.add_token(admin))
    release = hold_adding(keeper, admin)
    document(keeper.ask(admin, IMPORT_BEGIN, ident=6))
    release()
    assert problem(answers(admin, 1)[5])[0] == "conflict"
    keeper.until(lambda: keeper.token.objects == {})


def test_what_was_made_is_destroyed_where_who_asked_is_no_admin_any_more(keeper, admin):
    document(keeper.add_token(admin))
    document(keeper.ask(admin, ADMIN_ADD, wire.fields((1, 12345))))
    release = hold_adding(keeper, admin)
    document(keeper.ask(admin, ADMIN_REMOVE, wire.fields((1, 0)), ident=6))
    release()
    code, detail = problem(answers(admin, 1)[5])
    assert code == "bad_request" and "no admin any more" in detail
    keeper.until(lambda: keeper.token.objects == {})
    assert log_entries(keeper, type="connection.add", outcome="allowed") == []


def test_an_admin_that_hangs_up_gets_the_connection_all_the_same(keeper, admin):
    document(keeper.add_token(admin))
    release = hold_adding(keeper, admin)
    admin.close()
    keeper.until(lambda: log_entries(keeper, type="frontend"))
    release()
    keeper.until(lambda: log_entries(keeper, type="connection.add", outcome="allowed"))
    again, _peer = keeper.frontend("admin")
    assert document(keeper.ask(again, ADMIN_CONNECTION, wire.fields((1, "acme"))))["key"] == \
        "in token"


def test_a_lock_while_a_key_is_made_refuses_it(keeper, admin):
    document(keeper.add_token(admin))
    release = hold_adding(keeper, admin)
    wire.send(admin, wire.datagram(wire.message(wire.LOCK, 6)))
    got = answers(admin, 2)
    assert problem(got[5])[0] == "sealed" and document(got[6]) == {"state": "sealed"}
    release()
    assert log_entries(keeper, type="connection.add") == []


def test_an_import_takes_no_key_of_a_token(keeper, admin):
    document(keeper.add_token(admin))
    begun = document(keeper.ask(admin, IMPORT_BEGIN))
    key_id = os.urandom(16)
    line = boxes.connection("acme", place=(wire.TOKEN, 1, key_id),
                            secret=(boxes.signing_key(), boxes.check_value(key_id)))
    sealed = boxes.box(keeper.published, boxes.CONNECTION_IMPORT,
                       base64.b64decode(begun["challenge"]),
                       boxes.import_chunk(begun["session"], 1, [line]))
    code, detail = problem(keeper.ask(admin, IMPORT_BEGIN + 1,
                                      wire.fields((1, begun["session"]), (2, sealed))))
    assert code == "bad_request" and "connection add --in-token" in detail


def test_removing_a_connection_destroys_its_object(keeper, admin):
    furnish(keeper, admin, wire.TOKEN)
    assert len(keeper.token.objects) == 1
    document(keeper.ask(admin, CONNECTION_REMOVE, wire.fields((1, "acme"))))
    keeper.until(lambda: keeper.token.objects == {})


def test_an_object_that_cannot_be_destroyed_is_told_in_the_log(keeper, admin):
    furnish(keeper, admin, wire.TOKEN)
    keeper.token.answers[wire.HELPER_DROP] = lambda h, ident, _: [
        h.trouble(ident, wire.UNFIT, 0x1B, "it is not to be destroyed")]
    document(keeper.ask(admin, CONNECTION_REMOVE, wire.fields((1, "acme"))))
    keeper.until(lambda: any("could not be destroyed" in r for r in states_logged(keeper)))


def move(keeper, admin, form, key_id=None, key=None, new_secrets=None):
    """`key`: another one than the connection has."""
    key = key or boxes.signing_key()
    place, secret = None, (key, None)
    if form != wire.IN_VAULT:
        place = (form, 1, key_id)
        parts = {wire.UNWRAP: seal_key(key), wire.TOKEN: key}
        secret = (parts.get(form), boxes.check_value(key_id, key))
    old_id = document(keeper.ask(admin, ADMIN_CONNECTION, wire.fields((1, "acme")))).get("key_id")
    old_check = boxes.check_value(bytes.fromhex(old_id), key) if old_id else None
    payload = boxes.connection("acme", place=place, secret=secret, moved=(old_check, new_secrets))
    sealed = keeper.box(admin, boxes.CONNECTION_MOVE, payload)
    return keeper.ask(admin, wire.CONNECTION_MOVE, wire.fields((1, "acme"), (2, sealed)))


def test_a_key_moves_into_a_token_and_out_again(keeper, admin):
    channel = furnish(keeper, admin, wire.TOKEN)
    document(move(keeper, admin, wire.IN_VAULT))
    keeper.until(lambda: keeper.token.objects == {})
    signs = keeper.token.count(wire.HELPER_SIGN)
    document(sign(keeper, channel))
    assert keeper.token.count(wire.HELPER_SIGN) == signs
    assert problem(move(keeper, admin, wire.IN_VAULT))[0] == "conflict"
    document(move(keeper, admin, wire.TOKEN, b"\x05" * 16))
    assert list(keeper.token.objects) == [b"\x05" * 16]
    document(sign(keeper, channel))
    assert keeper.token.count(wire.HELPER_SIGN) > signs
    assert len(log_entries(keeper, type="connection.move", outcome="allowed")) == 2


# Trouble while signing


def answer_sign_by(keeper, *troubles):
    """The next signatures end in these troubles, then all is well."""
    left = list(troubles)

    def answer(helper, ident, _):
        if not left:
            return None
        trouble = left.pop(0)
        return [helper.trouble(ident, trouble, 0x30, "so it is")]

    keeper.token.answers[wire.HELPER_SIGN] = answer


@pytest.mark.parametrize("trouble, code, state", [
    (wire.UNFIT, "token_unavailable", "ready"), (wire.DATA, "token_unavailable", "ready"),
    (wire.NO_KEY, "token_unavailable", "ready"), (wire.AMBIGUOUS, "token_unavailable", "ready"),
    (wire.REFUSED, "token_unavailable", "ready"), (wire.BUSY, "busy", "ready"),
    (wire.PIN_TROUBLE, "token_unavailable", "pin refused"),
    (wire.NEEDS_PIN, "token_unavailable", "needs pin"),
])
def test_each_trouble_of_a_signature_is_one_failed_entry(keeper, admin, trouble, code, state):
    channel = furnish(keeper, admin)
    answer_sign_by(keeper, trouble)
    got, detail = problem(sign(keeper, channel))
    assert got == code and "so it is" in detail
    failed = log_entries(keeper, type="sign")
    assert [(e["outcome"], e["code"]) for e in failed] == [("failed", code)]
    assert failed[0]["connection"] == "acme" and failed[0]["caller"] == "order-exchange"
    assert keeper.state(admin) == state
    if state == "ready":
        document(sign(keeper, channel))


def test_an_absent_token_opens_the_circuit_and_comes_back_by_itself(keeper, admin):
    channel = furnish(keeper, admin)
    gone = lambda h, ident, _: [h.trouble(ident, wire.ABSENT, 0xE0, "it is not there")]
    for kind in (wire.HELPER_SIGN, wire.HELPER_LOGIN, wire.HELPER_OPEN):
        keeper.token.answers[kind] = gone
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    signs = keeper.token.count(wire.HELPER_SIGN)
    kind, body = sign(keeper, channel)
    assert kind == wire.PROBLEM and 1 <= wire.number(body[3]) <= 30
    assert keeper.token.count(wire.HELPER_SIGN) == signs  # it was not even asked
    assert keeper.state(admin) == "absent"
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_OPEN) > 1)  # replaced in the end
    keeper.token.answers.clear()
    keeper.wait_for_state(admin, "ready")
    document(sign(keeper, channel))
    assert states_logged(keeper) == [
        "token ci: ready", "token ci: absent, CKR_TOKEN_NOT_PRESENT", "token ci: ready"]


def test_a_stale_key_is_loaded_again_once(keeper, admin):
    channel = furnish(keeper, admin)
    keeper.token.generation = 2
    document(sign(keeper, channel))
    answer_sign_by(keeper, wire.STALE)
    document(sign(keeper, channel))
    loads = keeper.token.count(wire.HELPER_LOAD)
    stale = lambda h, ident, v: [h.trouble(ident, wire.STALE)] \
        if not v[3].startswith(boxes.CHECK_PREFIX) else None
    keeper.token.answers[wire.HELPER_SIGN] = stale
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    assert keeper.token.count(wire.HELPER_LOAD) == loads + 1


def test_a_key_that_was_swapped_is_noticed_when_it_is_loaded_again(keeper, admin):
    channel = furnish(keeper, admin, wire.TOKEN)
    for key_id in keeper.token.objects:
        keeper.token.objects[key_id] = b"\x66" * 32
    keeper.helpers[-1].keys.clear()
    code, detail = problem(sign(keeper, channel))
    assert code == "token_unavailable" and "check value" in detail
    failed = log_entries(keeper, type="token.state", connection="acme")
    assert [e["outcome"] for e in failed] == ["failed"]


def test_a_key_of_others_stays_when_its_connection_is_removed(keeper, admin):
    channel = furnish(keeper, admin, wire.TOKEN)
    (key_id,) = keeper.token.objects
    keeper.token.objects[key_id] = b"\x66" * 32
    keeper.helpers[-1].keys.clear()
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    document(keeper.ask(admin, CONNECTION_REMOVE, wire.fields((1, "acme"))))

    def said():
        return [e["reason"] for e in log_entries(keeper, type="token.state")
                if "was left alone" in e["reason"]]

    keeper.until(said)
    assert said() == [f"token ci: the key object of CKA_ID {key_id.hex()} is not the key that was "
                      "imported, and was left alone"]
    assert keeper.token.objects == {key_id: b"\x66" * 32}


@pytest.mark.parametrize("garbage", [
    lambda h, ident: [wire.message(wire.HELPER_MAC, ident, wire.fields((1, b"\x01" * 31)))],
    lambda h, ident: [wire.message(wire.HELPER_MAC, ident, wire.fields((1, b"\x01" * 64)))],
    lambda h, ident: [wire.message(wire.HELPER_MAC, ident + 160, wire.fields((1, b"\x01" * 32)))],
    lambda h, ident: [wire.message(wire.HELPER_DONE, ident)],
    lambda h, ident: [wire.message(wire.HELPER_MAC, ident, b"\x01garbage")],
    lambda h, ident: [wire.message(wire.HELPER_TROUBLE, ident, wire.fields((1, 0)))],
    lambda h, ident: [wire.message(wire.DOC, ident)],
    lambda h, ident: [b"\x99not a message"],
    lambda h, ident: [wire.message(wire.HELPER_TOKEN, 0, wire.fields((1, "pkcs11:token=x"),
                                                                     (2, "x")))],
], ids=["short", "long", "wrong-id", "wrong-type", "malformed", "no-trouble", "no-answer",
        "no-message", "other-token"])
def test_a_helper_that_breaks_the_rules_is_replaced(keeper, admin, garbage):
    channel = furnish(keeper, admin)

    def answer(helper, ident, _):
        keeper.token.answers.clear()
        return garbage(helper, ident)

    keeper.token.answers[wire.HELPER_SIGN] = answer
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    keeper.until(lambda: keeper.lost == 1 and len(keeper.helpers) == 2)
    document(sign(keeper, channel))
    assert [e["outcome"] for e in log_entries(keeper, type="sign")] == ["failed", "allowed"]


def test_a_helper_that_dies_is_replaced_at_once(keeper, admin):
    channel = furnish(keeper, admin)

    def die(helper, *_):
        keeper.token.answers.clear()
        helper.end()
        return []

    keeper.token.answers[wire.HELPER_SIGN] = die
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    document(sign(keeper, channel))  # waits for the new one
    assert keeper.tokens(admin)[0]["restarts"] == 1


def test_a_helper_that_dies_each_time_is_followed_ever_more_slowly(keeper, admin):
    channel = furnish(keeper, admin)
    entries = len(states_logged(keeper))

    def die(helper, *_):
        helper.end()
        return []

    keeper.token.answers[wire.HELPER_SIGN] = \
        lambda h, ident, v: None if v[3].startswith(boxes.CHECK_PREFIX) else die(h)
    begin, asked = time.monotonic(), 0
    while time.monotonic() - begin < 2.0:
        assert problem(sign(keeper, channel))[0] == "token_unavailable"
        asked += 1
    restarts = keeper.tokens(admin)[0]["restarts"]
    assert asked > 20 and 2 <= restarts <= 6, (asked, restarts)  # at once, then 0.2 s doubling
    assert len(states_logged(keeper)) - entries <= 2 * restarts


def test_a_helper_that_changes_its_word_writes_few_entries(keeper, admin):
    document(keeper.add_token(admin))  # without connections: ready as soon as it is logged in
    entries = len(states_logged(keeper))
    begin, told = time.monotonic(), 0
    while time.monotonic() - begin < 2.0:
        keeper.helpers[-1].send(keeper.helpers[-1].tell(trouble=wire.ABSENT))
        keeper.helpers[-1].send(keeper.helpers[-1].tell())
        told += 1
        assert keeper.state(admin)
    assert told > 20
    assert 2 <= len(states_logged(keeper)) - entries <= 12, told


def test_a_helper_that_cannot_be_started_is_tried_again(keeper, admin):
    channel = furnish(keeper, admin)
    keeper.helper_fails = True
    keeper.helpers[-1].end()
    keeper.wait_for_state(admin, "absent")
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    keeper.helper_fails = False
    keeper.wait_for_state(admin, "ready")
    document(sign(keeper, channel))


def software_connection(keeper, admin, name="software"):
    sealed = keeper.box(admin, boxes.CONNECTION_ADD, boxes.connection(name))
    document(keeper.ask(admin, CONNECTION_ADD, wire.fields((1, name), (2, sealed))))


def test_a_hung_token_costs_its_own_connections_only(keeper, admin):
    channel = furnish(keeper, admin)
    software_connection(keeper, admin)
    give_grant(keeper, admin, "software")
    keeper.token.answers[wire.HELPER_SIGN] = lambda *_: []
    hung = 96
    begun = time.monotonic()
    wire.send(channel, wire.datagram(*[sign_message(ident=1000 + i) for i in range(hung)]))
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_SIGN) >= hung)
    for _ in range(50):
        document(sign(keeper, channel, "software"))
    assert time.monotonic() - begun < DEADLINE - 1
    assert problem(sign(keeper, channel))[0] == "busy"  # the 97th
    ended = answers(channel, hung)
    assert DEADLINE - 0.5 < time.monotonic() - begun < DEADLINE + 3
    assert {body[1] for _, body in ended.values()} == {b"token_unavailable"}
    assert len(log_entries(keeper, type="sign", outcome="failed")) == hung
    keeper.until(lambda: keeper.lost == 1)
    assert keeper.state(admin) == "hung"
    assert problem(sign(keeper, channel))[0] == "token_unavailable"  # at once: the circuit is open
    keeper.token.answers.clear()
    keeper.wait_for_state(admin, "ready")
    document(sign(keeper, channel))
    assert states_logged(keeper) == ["token ci: ready", "token ci: hung", "token ci: ready"]


def test_a_late_answer_is_never_released(keeper, admin):
    channel = furnish(keeper, admin)
    kept = []

    def keep(helper, ident, values):
        kept.append((helper, helper.usual(wire.HELPER_SIGN, ident, values)))
        return []

    keeper.token.answers[wire.HELPER_SIGN] = keep
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    helper, late = kept[0]
    helper.send(late)
    keeper.token.answers.clear()
    keeper.wait_for_state(admin, "ready")
    assert [e["outcome"] for e in log_entries(keeper, type="sign")] == ["failed"]


# Between decision and MAC


def hold_signature(keeper, channel):
    """A signature that is decided, with its MAC still in the token: what releases it."""
    kept = []

    def keep(helper, ident, values):
        kept.append(lambda: helper.send(helper.usual(wire.HELPER_SIGN, ident, values)))
        return []

    keeper.token.answers[wire.HELPER_SIGN] = keep
    signs = keeper.token.count(wire.HELPER_SIGN)
    wire.send(channel, wire.datagram(sign_message()))
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_SIGN) > signs)
    keeper.token.answers.clear()
    return kept[0]


def only_sign_entry(keeper):
    entries = log_entries(keeper, type="sign")
    assert len(entries) == 1 and "sig_hash" not in entries[0], entries
    return entries[0]["outcome"], entries[0]["code"]


def test_a_grant_that_is_revoked_meanwhile(keeper, admin):
    channel = furnish(keeper, admin)
    release = hold_signature(keeper, channel)
    document(keeper.ask(admin, GRANT_REMOVE, wire.fields((1, keeper.grant))))
    release()
    assert problem(answers(channel, 1)[7])[0] == "no_grant"
    assert only_sign_entry(keeper) == ("denied", "no_grant")


def test_a_connection_that_is_changed_meanwhile(keeper, admin):
    channel = furnish(keeper, admin)
    release = hold_signature(keeper, channel)
    document(move(keeper, admin, wire.UNWRAP, b"\x05" * 16))
    release()
    assert problem(answers(channel, 1)[7])[0] == "no_grant"
    assert only_sign_entry(keeper) == ("denied", "no_grant")


def test_a_vault_that_is_locked_meanwhile(keeper, admin):
    channel = furnish(keeper, admin)
    release = hold_signature(keeper, channel)
    document(keeper.ask(admin, wire.LOCK))
    release()
    assert problem(answers(channel, 1)[7])[0] == "sealed"
    assert only_sign_entry(keeper) == ("failed", "sealed")
    keeper.until(lambda: keeper.lost == 1)
    keeper.pump(lambda: len(keeper.published.splitlines()) == 1)


def test_a_helper_that_is_killed_meanwhile(keeper, admin):
    channel = furnish(keeper, admin)
    hold_signature(keeper, channel)
    keeper.helpers[-1].end()
    assert problem(answers(channel, 1)[7])[0] == "token_unavailable"
    assert only_sign_entry(keeper) == ("failed", "token_unavailable")


def test_a_caller_that_is_gone_meanwhile(keeper, admin):
    channel = furnish(keeper, admin)
    release = hold_signature(keeper, channel)
    channel.close()
    keeper.until(lambda: log_entries(keeper, type="frontend"))
    release()
    keeper.until(lambda: log_entries(keeper, type="sign"))
    assert only_sign_entry(keeper) == ("failed", "busy")


def test_a_service_that_is_stopped_meanwhile(keeper, admin):
    channel = furnish(keeper, admin)
    hold_signature(keeper, channel)
    assert keeper.stop() == 0
    assert only_sign_entry(keeper) == ("failed", "sealed")


# Start and seals


def test_keys_are_loaded_at_the_start_without_waiting_for_them(keeper, admin):
    furnish(keeper, admin)
    keeper.stop()
    del keeper.sign_channel
    loads = keeper.token.count(wire.HELPER_LOAD)
    keeper.token.answers[wire.HELPER_OPEN] = lambda *_: []  # it hangs
    keeper.pin_sources = [("", PIN)]
    keeper.start()
    assert keeper.ready == {"sealed": False}
    channel, _peer = keeper.frontend("sign")
    wire.send(channel, wire.datagram(sign_message()))  # waits
    keeper.token.answers.clear()
    keeper.helpers[-1].end()
    assert problem(answers(channel, 1)[7])[0] == "token_unavailable"
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_LOAD) == loads + 1)
    admin, _peer = keeper.frontend("admin")
    keeper.wait_for_state(admin, "ready")
    document(sign(keeper, channel))


def test_a_vault_is_made_and_opened_by_a_token(build):
    keeper = TokenHarness(build.libexec / "oxvault-keeper")
    try:
        keeper.init_by_token()
        keeper.pin_sources = [("", PIN)]
        keeper.start(sealed=True)
        assert keeper.ready == {"sealed": False}, keeper.refused
        admin, _peer = keeper.frontend("admin")
        token = keeper.tokens(admin)[0]
        assert token["state"] == "ready" and token["seal_id"] == 1 and "id" not in token
        unsealed = log_entries(keeper, type="vault.unseal")
        assert [e["outcome"] for e in unsealed] == ["allowed"]
        document(keeper.ask(admin, wire.LOCK))
        payload = boxes.unseal(0, b"wrong", boxes.TOKEN_SEAL)
        sealed = keeper.box(admin, boxes.UNSEAL, payload)
        code, _ = problem(keeper.ask(admin, wire.UNSEAL, wire.fields((1, sealed))))
        assert code == "wrong_seal"
        sealed = keeper.box(admin, boxes.UNSEAL, boxes.unseal(0, PIN, boxes.TOKEN_SEAL))
        assert document(keeper.ask(admin, wire.UNSEAL, wire.fields((1, sealed)))) == {
            "state": "open"}
    finally:
        keeper.close()


@pytest.mark.parametrize("pin, absent, code", [(b"wrong", False, 4), (PIN, True, 7)])
def test_a_token_that_does_not_open_the_vault_at_the_start_refuses_it(build, pin, absent, code):
    keeper = TokenHarness(build.libexec / "oxvault-keeper")
    try:
        keeper.init_by_token()
        keeper.pin_sources = [("", pin)]
        if absent:
            keeper.token.answers[wire.HELPER_OPEN] = lambda h, ident, _: [
                h.trouble(ident, wire.ABSENT, 0xE0, "it is not there")]
        keeper.start(sealed=True)
        assert keeper.refused[0] == code and keeper.refused[1].startswith("token "), keeper.refused
        tried = keeper.token.refused_logins
        keeper.start(sealed=True)
        assert keeper.refused[0] == code and keeper.token.refused_logins == tried
    finally:
        keeper.close()


def test_init_with_a_wrong_pin_leaves_nothing(build):
    keeper = TokenHarness(build.libexec / "oxvault-keeper")
    done = keeper.init_by_token(b"wrong", expect=4)
    assert done.stderr.startswith(b"oxvault init: token ci: ") and done.stderr.count(b"\n") == 1
    assert list(keeper.dir.iterdir()) == []
    keeper.init_by_token()


def test_a_seal_of_a_token_is_added_and_opens(keeper, admin):
    payload = wire.fields((1, 1), (2, boxes.KEYFILE), (3, boxes.TOKEN_SEAL),
                          (7, keeper.keyfile.read_bytes()), (8, PIN), (9, "/usr/lib/played.so"),
                          (10, URI), (12, 1))
    sealed = keeper.box(admin, boxes.SEAL_ADD, payload)
    assert document(keeper.ask(admin, 38, wire.fields((1, sealed))))["id"] == 2
    seals = document(keeper.ask(admin, wire.SEALS))["seals"]
    assert [s["kind"] for s in seals] == ["keyfile", "token"] and seals[1]["token_uri"] == URI
    document(keeper.ask(admin, wire.LOCK))
    sealed = keeper.box(admin, boxes.UNSEAL, boxes.unseal(2, PIN, boxes.TOKEN_SEAL))
    document(keeper.ask(admin, wire.UNSEAL, wire.fields((1, sealed))))


def test_the_metrics_tell_of_each_token(keeper, admin):
    channel = furnish(keeper, admin)
    document(sign(keeper, channel))
    text = document(keeper.ask(channel, wire.METRICS))["text"]
    assert 'oxvault_token_up{token="ci",id="1"} 1\n' in text
    assert 'oxvault_token_signatures_total{token="ci",id="1"} 1\n' in text
    assert 'oxvault_token_in_flight{token="ci",id="1"} 0\n' in text
