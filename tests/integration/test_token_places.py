"""Which token a key goes to, in which form, and what becomes of the key that it replaces; with token
helpers that the test plays."""

import base64
import os

import pytest
from support import boxes, wire
from support.played_token import LABEL, MODULE, PUBLIC_KEY, URI, TokenHarness
from test_tokens_keeper import (
    ADMIN_CONNECTION, add_connection, document, furnish, log_entries, problem, sign, states_logged,
)

ROWS_MAX = 24


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
