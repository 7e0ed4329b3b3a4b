"""Which token a key goes to, in which form, and what becomes of the key that it replaces; with token
helpers that the test plays."""

import base64
import os

import pytest
from support import boxes, wire
from support.played_token import LABEL, MODULE, PUBLIC_KEY, URI, TokenHarness
from test_tokens_keeper import (
    CONNECTION_REMOVE, add_connection, answers, document, furnish, hold_adding, log_entries, move,
    problem, sign, states_logged,
)

ROWS_MAX = 24
SEAL_ADD = 38


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


# Rows of tokens


def refuse_pair(keeper):
    keeper.token.answers[wire.HELPER_PAIR] = lambda h, ident, _: [
        h.trouble(ident, wire.UNFIT, 0x70, "it does not enforce CKA_UNWRAP_TEMPLATE")]


def test_a_row_without_a_pair_gets_one_with_the_next_add(keeper, admin):
    channel = furnish(keeper, admin, wire.TOKEN)  # objects_only
    first = keeper.tokens(admin)[0]
    assert first["form"] == "token" and keeper.token.count(wire.HELPER_PAIR) == 0
    added = document(keeper.add_token(admin))
    assert (added["id"], added["form"], added["oaep"], added["added"]) == (1, "unwrap", "sha1", False)
    assert base64.b64encode(PUBLIC_KEY).decode() in keeper.published
    document(add_connection(keeper, admin, "second", wire.UNWRAP))
    document(sign(keeper, channel))  # the key that was there works on
    assert len(log_entries(keeper, type="token.add", outcome="allowed")) == 2
    # Nothing more changes: neither with an add that wants objects nor with one that does not.
    for objects_only in (1, None):
        assert document(keeper.add_token(admin, objects_only=objects_only)) == added
    assert keeper.token.count(wire.HELPER_PAIR) == 1
    assert len(log_entries(keeper, type="token.add")) == 2


def test_a_token_that_could_not_unwrap_is_asked_again(keeper, admin):
    refuse_pair(keeper)
    assert document(keeper.add_token(admin))["form"] == "token"
    assert document(keeper.add_token(admin)) == {
        "id": 1, "token_uri": URI, "form": "token", "added": False}
    del keeper.token.answers[wire.HELPER_PAIR]
    assert document(keeper.add_token(admin))["form"] == "unwrap"
    assert keeper.token.count(wire.HELPER_PAIR) == 3


def play_any_token(keeper):
    """Each URI that is asked for is that of a token."""

    def tell(helper, ident):
        return [wire.message(wire.HELPER_TOKEN, ident, wire.fields(
            (1, helper.uri), (2, LABEL), (5, 1), (8, 1), (9, 2)))]

    def open_any(helper, ident, values):
        helper.uri = values[2].decode()
        return tell(helper, ident)

    keeper.token.answers[wire.HELPER_OPEN] = open_any
    keeper.token.answers[wire.HELPER_LOGIN] = lambda helper, ident, _: tell(helper, ident)


def uri_of(number):
    return URI.replace("0001", f"{number:04}")


def test_there_are_24_tokens_and_each_can_be_added_again(keeper, admin):
    play_any_token(keeper)

    def add(number):
        payload = wire.fields((1, MODULE), (2, uri_of(number)))
        return keeper.ask(admin, wire.TOKEN_ADD, wire.fields(
            (1, keeper.box(admin, boxes.TOKEN_ADD, payload))))

    for number in range(1, ROWS_MAX + 1):
        assert document(add(number))["id"] == number
    pairs = keeper.token.count(wire.HELPER_PAIR)
    code, detail = problem(add(ROWS_MAX + 1))
    assert "24 tokens" in detail, code
    assert keeper.token.count(wire.HELPER_PAIR) == pairs  # no pair was made for it
    for number in (1, ROWS_MAX):
        assert document(add(number))["added"] is False
    assert len(keeper.published.splitlines()) == 1 + ROWS_MAX


def test_tokens_that_are_added_at_once_do_not_pass_the_limit(keeper, admin):
    play_any_token(keeper)
    kept = []
    keeper.token.answers[wire.HELPER_PAIR] = lambda helper, ident, values: kept.append(
        (helper, ident, values)) or []

    def send(number, ident):
        payload = wire.fields((1, MODULE), (2, uri_of(number)))
        sealed = keeper.box(admin, boxes.TOKEN_ADD, payload)
        wire.send(admin, wire.datagram(wire.message(
            wire.TOKEN_ADD, ident, wire.fields((1, sealed)))))

    answered = 0
    for begun in range(1, ROWS_MAX + 1, 8):  # 24 and 8 more, 16 at once at the end
        last = begun + 8 > ROWS_MAX
        count = 16 if last else 8
        for number in range(begun, begun + count):
            send(number, 100 + number)
        keeper.token.wait(lambda: len(kept) == count)
        for helper, ident, values in kept:
            helper.send(helper.usual(wire.HELPER_PAIR, ident, values))
        kept.clear()
        got = answers_of(admin, count)
        refused = [body for kind, body in got if kind == wire.PROBLEM]
        answered += count - len(refused)
        assert len(refused) == (8 if last else 0), got
    assert answered == ROWS_MAX


def answers_of(channel, count):
    got = []
    while len(got) < count:
        messages, _ = wire.receive(channel)
        got += [(kind, wire.parse_fields(payload)) for kind, _, payload in messages]
    return got


# The key that is replaced

OTHER = bytes(range(32))


@pytest.mark.parametrize("old", [wire.TOKEN, wire.UNWRAP, wire.IN_VAULT])
def test_a_move_with_other_secrets_is_refused_and_the_key_signs_on(keeper, admin, old):
    channel = furnish(keeper, admin, wire.TOKEN)
    document(keeper.add_token(admin))  # with a pair
    if old != wire.TOKEN:
        document(move(keeper, admin, old, os.urandom(16)))
        keeper.until(lambda: keeper.token.objects == {})
    objects = dict(keeper.token.objects)
    for form in {wire.TOKEN, wire.UNWRAP, wire.IN_VAULT} - {old}:
        code, detail = problem(move(keeper, admin, form, os.urandom(16), key=OTHER))
        assert code == "bad_request" and "another key" in detail and "--new-secrets" in detail
    document(sign(keeper, channel))
    assert keeper.token.objects == objects
    allowed = log_entries(keeper, type="connection.move", outcome="allowed")
    assert len(allowed) == (0 if old == wire.TOKEN else 1)


def test_a_move_with_new_secrets_is_made_where_that_is_said(keeper, admin):
    channel = furnish(keeper, admin, wire.TOKEN)
    document(move(keeper, admin, wire.TOKEN, b"\x06" * 16, key=OTHER, new_secrets=1))
    keeper.until(lambda: keeper.token.objects == {b"\x06" * 16: OTHER})
    document(sign(keeper, channel))
    document(move(keeper, admin, wire.IN_VAULT, key=boxes.signing_key(), new_secrets=1))
    keeper.until(lambda: keeper.token.objects == {})


def test_a_key_that_moves_to_where_it_is_stays_there(keeper, admin):
    channel = furnish(keeper, admin, wire.TOKEN)
    (key_id,) = keeper.token.objects
    document(move(keeper, admin, wire.PRE_PROVISIONED, key_id))
    signs = keeper.token.count(wire.HELPER_SIGN)
    document(sign(keeper, channel))
    assert keeper.token.count(wire.HELPER_SIGN) == signs + 1
    assert list(keeper.token.objects) == [key_id]
    assert [values for kind, values in keeper.token.calls
            if kind == wire.HELPER_DROP and values.get(3)] == []


# Objects that are of no more use


def named(keeper, key_id, what):
    return [r for r in states_logged(keeper) if key_id.hex() in r and what in r]


def test_an_object_that_cannot_be_destroyed_is_named_in_the_log(keeper, admin):
    furnish(keeper, admin, wire.TOKEN)
    (key_id,) = keeper.token.objects
    keeper.token.answers[wire.HELPER_DROP] = lambda h, ident, _: [
        h.trouble(ident, wire.STALE, 0, "it is not loaded")]
    document(keeper.ask(admin, CONNECTION_REMOVE, wire.fields((1, "acme"))))
    keeper.until(lambda: named(keeper, key_id, "could not be destroyed"))


@pytest.mark.parametrize("when", [wire.HELPER_LOAD, wire.HELPER_SIGN])
def test_an_object_that_may_have_been_made_is_named_in_the_log(keeper, admin, when):
    """The helper dies after it has made the object, and before it says so or proves it."""
    document(keeper.add_token(admin, objects_only=1))
    key_id = b"\x0b" * 16

    def die(helper, ident, values):
        helper.usual(when, ident, values)
        helper.end()
        return []

    keeper.token.answers[when] = die
    code, _detail = problem(add_connection(keeper, admin, form=wire.TOKEN, key_id=key_id))
    assert code == "token_unavailable"
    assert list(keeper.token.objects) == [key_id]
    keeper.until(lambda: len(named(keeper, key_id, "may have been left there")) == 1)


@pytest.mark.hooks
def test_an_object_goes_where_the_log_cannot_be_written(hooks_build):
    """Two keepers: one to count the commits up to the change, one whose log breaks at that one."""
    commits = None
    for _ in range(2):
        harness = TokenHarness(hooks_build.libexec / "oxvault-keeper")
        harness.init()
        if commits is not None:
            harness.environment["OXV_HOOK"] = f"log.before_sync:fail:{commits + 1}"
        harness.start()
        channel, _peer = harness.frontend("admin")
        document(harness.add_token(channel, objects_only=1))
        release = hold_adding(harness, channel)
        if commits is None:
            commits = document(harness.ask(channel, wire.STATUS))["log"]["commits"]
        else:
            release()
            assert problem(answers(channel, 1)[5])[0] == "log_unavailable"
            harness.until(lambda: harness.token.count(wire.HELPER_DROP) == 1)
            harness.until(lambda: harness.token.objects == {})
        harness.close()


# What a helper says


def test_a_long_text_of_a_helper_is_cut_and_not_lost(keeper, admin):
    said = "C_Login failed at " + "x" * 300
    keeper.token.answers[wire.HELPER_LOGIN] = lambda h, ident, _: [
        h.trouble(ident, wire.UNFIT, 0x30, said)]
    code, detail = problem(keeper.add_token(admin))
    assert code == "bad_request" and "C_Login failed at " + "x" * 150 in detail


def test_health_names_the_token_of_a_seal_while_sealed(build):
    keeper = TokenHarness(build.libexec / "oxvault-keeper")
    try:
        keeper.init_by_token()
        keeper.start(sealed=True)
        channel, _peer = keeper.frontend("admin")
        seals = document(keeper.ask(channel, wire.HEALTH))["seals"]
        assert seals == [{"id": 1, "kind": "token", "token_uri": URI}]
    finally:
        keeper.close()


def test_a_seal_that_is_refused_leaves_no_key_in_the_token(keeper, admin):
    payload = wire.fields((1, 1), (2, boxes.KEYFILE), (3, boxes.TOKEN_SEAL), (7, b"x" * 32),
                          (8, b"1234"), (9, MODULE), (10, URI), (12, 1))
    sealed = keeper.box(admin, boxes.SEAL_ADD, payload)
    assert problem(keeper.ask(admin, SEAL_ADD, wire.fields((1, sealed))))[0] == "wrong_seal"
    assert keeper.token.calls == [] and keeper.helpers == []
