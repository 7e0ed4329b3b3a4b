"""Who may use a token that is logged in, and which PINs are tried when."""

import os
import threading

import pytest
from support import boxes, wire
from support.played_token import PIN, URI, TokenHarness
from test_tokens_keeper import (  # noqa: F401
    add_connection, admin, document, furnish, give_grant, keeper, log_entries, problem, sign,
    states_logged,
)

SEAL_ADD, SEAL_REMOVE = 38, 39


@pytest.fixture
def by_token(build):
    """A vault that its token has opened at the start."""
    harness = TokenHarness(build.libexec / "oxvault-keeper")
    harness.init_by_token()
    harness.pin_sources = [("", PIN)]
    yield harness
    harness.close()


def start(keeper):
    keeper.start(sealed=True)
    assert keeper.ready == {"sealed": False}, keeper.refused
    return keeper.frontend("admin")


def add_keyfile(keeper, channel, pin, seal_id=1):
    """`seal add keyfile` with the token as the existing seal."""
    payload = wire.fields((1, seal_id), (2, boxes.TOKEN_SEAL), (3, boxes.KEYFILE), (7, pin),
                          (8, os.urandom(32)))
    sealed = keeper.box(channel, boxes.SEAL_ADD, payload)
    return keeper.ask(channel, SEAL_ADD, wire.fields((1, sealed)))


# A token that is logged in


@pytest.mark.parametrize("wrong", [b"0000", PIN[:-1], PIN + b"5", None])
def test_a_token_seal_adds_another_only_with_its_pin(by_token, wrong):
    channel, _peer = start(by_token)
    calls = by_token.token.count(wire.HELPER_LOGIN), by_token.token.count(wire.HELPER_UNSEAL)
    assert problem(add_keyfile(by_token, channel, wrong))[0] == "wrong_seal"
    assert calls == (by_token.token.count(wire.HELPER_LOGIN),
                     by_token.token.count(wire.HELPER_UNSEAL))
    assert [e["outcome"] for e in log_entries(by_token, type="seal.add")] == ["denied"]
    assert by_token.state(channel) == "ready"
    assert document(add_keyfile(by_token, channel, PIN))["id"] == 2


def test_a_seal_on_a_token_that_is_away_is_not_opened_by_the_pin_of_the_service(by_token):
    channel, _peer = start(by_token)
    by_token.helpers[-1].end()
    by_token.wait_for_state(channel, "absent")
    logins = by_token.token.count(wire.HELPER_LOGIN)
    assert problem(add_keyfile(by_token, channel, None))[0] == "wrong_seal"
    assert by_token.token.count(wire.HELPER_LOGIN) == logins
    assert document(add_keyfile(by_token, channel, PIN))["id"] == 2


def test_a_login_with_a_wrong_pin_to_a_token_that_is_logged_in_is_denied(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    logins = keeper.token.count(wire.HELPER_LOGIN)
    code, detail = problem(keeper.login(admin, b"0000"))
    assert code == "wrong_seal" and "not the PIN it is logged in with" in detail
    assert document(keeper.login(admin, PIN))["state"] == "ready"
    assert document(keeper.login(admin, None))["state"] == "ready"
    assert keeper.token.count(wire.HELPER_LOGIN) == logins
    assert [e["outcome"] for e in log_entries(keeper, type="token.login")] == [
        "denied", "allowed", "allowed"]


def test_a_pin_is_not_found_by_trying_them_all(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    codes = [problem(keeper.login(admin, b"000%d" % i))[0] for i in range(4)]
    assert codes == ["wrong_seal"] * 3 + ["busy"]
    assert problem(keeper.login(admin, PIN))[0] == "busy"
    keeper.until(lambda: keeper.login(admin, PIN)[0] == wire.DOC)


def test_two_who_type_pins_at_once_are_both_judged(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    kept = []

    def keep(helper, ident, values):
        kept.append(lambda: helper.send(helper.usual(wire.HELPER_LOGIN, ident, values)))
        return []

    keeper.token.answers[wire.HELPER_LOGIN] = keep
    keeper.helpers[-1].end()
    keeper.token.wait(lambda: kept)
    for ident, pin in ((21, PIN), (22, b"0000")):
        sealed = keeper.box(admin, boxes.TOKEN_LOGIN, wire.fields((1, 1), (2, pin)))
        wire.send(admin, wire.datagram(
            wire.message(wire.TOKEN_LOGIN, ident, wire.fields((1, sealed)))))
    keeper.state(admin)
    kept[0]()
    got = {}
    while len(got) < 2:
        got |= {ident: kind for kind, ident, _ in wire.receive(admin)[0]}
    assert got == {21: wire.DOC, 22: wire.PROBLEM}
    assert keeper.token.refused_logins == 0


def test_a_pin_pad_asks_anew_in_a_process_of_its_own(by_token):
    entered = [PIN]

    def at_the_pad(helper, ident, _):
        helper.logged_in = entered[0] == PIN
        return [helper.tell(ident, pin_pad=1) if helper.logged_in else
                helper.trouble(ident, wire.PIN_TROUBLE, 0xA0, "the token refused the PIN")]

    by_token.token.answers[wire.HELPER_OPEN] = lambda h, ident, _: [h.tell(ident, pin_pad=1)]
    by_token.token.answers[wire.HELPER_LOGIN] = at_the_pad
    by_token.pin_sources = []
    by_token.start(sealed=True)
    channel, _peer = by_token.frontend("admin")
    sealed = by_token.box(channel, boxes.UNSEAL, boxes.unseal(0, None, boxes.TOKEN_SEAL))
    document(by_token.ask(channel, wire.UNSEAL, wire.fields((1, sealed))))
    logins, lost = by_token.token.count(wire.HELPER_LOGIN), by_token.lost
    assert document(add_keyfile(by_token, channel, None))["id"] == 2
    assert document(add_keyfile(by_token, channel, b"typed"))["id"] == 3
    assert by_token.token.count(wire.HELPER_LOGIN) == logins + 2
    by_token.until(lambda: by_token.lost == lost + 2)
    entered[0] = b"something else"
    assert problem(add_keyfile(by_token, channel, None))[0] == "wrong_seal"
    assert by_token.state(channel) == "ready"


# What was typed and came to nothing


def gone(helper, ident, _):
    return [helper.trouble(ident, wire.ABSENT, 0xE0, "it is not there")]


def test_a_pin_of_a_refused_request_is_not_tried_later(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    keeper.stop()
    keeper.pin_sources = [("", PIN)]
    keeper.token.answers[wire.HELPER_OPEN] = gone
    keeper.start()
    channel, _peer = keeper.frontend("admin")
    keeper.wait_for_state(channel, "absent")
    assert problem(keeper.login(channel, b"0000"))[0] == "token_unavailable"
    keeper.token.answers.clear()
    keeper.wait_for_state(channel, "ready")
    assert keeper.token.refused_logins == 0


def test_a_pin_that_was_refused_without_a_hash_is_not_tried_again(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    keeper.stop()
    refused = lambda h, ident, _: [h.trouble(ident, wire.PIN_TROUBLE, 0xA0, "it refused the PIN")]
    keeper.token.answers[wire.HELPER_LOGIN] = refused
    keeper.pin_sources = [("", PIN)]
    logins = keeper.token.count(wire.HELPER_LOGIN)
    for _ in range(2):
        keeper.start()
        channel, _peer = keeper.frontend("admin")
        keeper.until(lambda: keeper.state(channel) in ("pin refused", "needs pin"))
        keeper.stop()
    assert keeper.token.count(wire.HELPER_LOGIN) == logins + 1
    keeper.token.answers.clear()
    keeper.start()
    channel, _peer = keeper.frontend("admin")
    assert document(keeper.login(channel))["state"] == "ready"
    keeper.stop()
    keeper.start()
    channel, _peer = keeper.frontend("admin")
    keeper.wait_for_state(channel, "ready")


def test_a_token_that_needs_no_pin_says_nothing_of_a_damaged_file(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    keeper.stop()
    (keeper.dir / "token-pins").write_bytes(b"\x01damaged")

    def logged_in(helper, ident, _):
        helper.logged_in = True
        return [helper.tell(ident)]

    keeper.token.answers[wire.HELPER_OPEN] = logged_in
    keeper.start()
    channel, _peer = keeper.frontend("admin")
    keeper.wait_for_state(channel, "ready")
    assert (keeper.dir / "token-pins").read_bytes() == b"\x01damaged"


@pytest.mark.parametrize("damaged", [False, True])
def test_what_a_refused_start_advises_opens_the_vault(by_token, damaged):
    if damaged:
        (by_token.dir / "token-pins").write_bytes(b"\x01damaged")
    else:
        by_token.pin_sources = [("", b"0000")]
    for _ in range(2):
        by_token.start(sealed=True)
        code, text = by_token.refused
        assert code == 4 and "`oxvault unseal`" in text and "without --pin-file" in text
        assert "token login" not in text
    by_token.pin_sources = []
    by_token.start(sealed=True)
    channel, _peer = by_token.frontend("admin")
    sealed = by_token.box(channel, boxes.UNSEAL, boxes.unseal(0, PIN, boxes.TOKEN_SEAL))
    assert document(by_token.ask(channel, wire.UNSEAL, wire.fields((1, sealed))))["state"] == "open"
    by_token.stop()
    by_token.pin_sources = [("", PIN)]
    start(by_token)


# PINs that were refused, and logins without an end


def restart(keeper, source):
    keeper.stop()
    keeper.pin_sources = [("", source)]
    keeper.start()
    return keeper.frontend("admin")


def test_each_pin_that_was_refused_is_remembered(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    keeper.token.pin = b"changed"
    for pin in (b"1111", b"2222", b"3333", b"2222"):
        channel, _peer = restart(keeper, pin)
        keeper.wait_for_state(channel, "pin refused")
        assert problem(keeper.login(channel, b"4444"))[0] == "wrong_seal"
    assert keeper.token.refused_logins == 3 + 4  # a person's are all tried, the service's once each
    channel, _peer = restart(keeper, b"4444")
    keeper.wait_for_state(channel, "pin refused")
    assert keeper.token.refused_logins == 7
    document(keeper.login(channel, b"changed"))
    channel, _peer = restart(keeper, b"changed")
    keeper.wait_for_state(channel, "ready")


def die(helper, *_):
    helper.end()
    return []


def test_a_login_whose_end_was_not_seen_is_not_repeated_at_once(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    keeper.token.answers[wire.HELPER_LOGIN] = die
    channel, _peer = restart(keeper, PIN)
    logins = keeper.token.count(wire.HELPER_LOGIN)
    keeper.until(lambda: keeper.tokens(channel)[0]["restarts"] > 0)
    opens = keeper.token.count(wire.HELPER_OPEN)
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_OPEN) > opens)
    channel, _peer = restart(keeper, PIN)
    keeper.wait_for_state(channel, "absent")
    assert "less than a minute ago a login failed" in keeper.tokens(channel)[0]["detail"]
    assert keeper.token.count(wire.HELPER_LOGIN) - logins <= 1
    keeper.token.answers.clear()
    document(keeper.login(channel))  # a person may
    keeper.wait_for_state(channel, "ready")
    channel, _peer = restart(keeper, PIN)
    keeper.wait_for_state(channel, "ready")


def test_a_login_that_the_device_failed_is_not_repeated_by_the_next_helper(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    logins = keeper.token.count(wire.HELPER_LOGIN)
    keeper.token.answers[wire.HELPER_LOGIN] = lambda h, ident, _: [
        h.trouble(ident, wire.ABSENT, 5, "C_Login failed", login_failed=1)]
    opens = keeper.token.count(wire.HELPER_OPEN)
    keeper.helpers[-1].end()
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_OPEN) > opens + 1)  # replaced
    assert keeper.token.count(wire.HELPER_LOGIN) == logins + 1


def test_a_person_at_a_pin_pad_is_waited_for(hooks_build, monkeypatch):
    for hook in ("token.login_us:300000", "token.wait_us:300000"):
        harness = TokenHarness(hooks_build.libexec / "oxvault-keeper")
        harness.environment["OXV_HOOK"] = hook
        harness.init()
        harness.start()
        try:
            channel, _peer = harness.frontend("admin")
            harness.token.answers[wire.HELPER_OPEN] = lambda h, ident, _: [
                h.tell(ident, pin_pad=1)]
            typed = threading.Event()

            def person(helper, ident, values):
                assert 1 not in values
                typed.wait(1.0)  # never set: longer than the others have
                helper.logged_in = True
                return [helper.tell(ident, pin_pad=1)]

            harness.token.answers[wire.HELPER_LOGIN] = person
            document(harness.add_token(channel, pin=None))
            assert harness.lost == 0
        finally:
            harness.close()


# Modules


def add_by_other_module(keeper, channel):
    keeper.token.answers[wire.HELPER_OPEN] = lambda h, ident, _: [h.tell(ident)]
    logins, lost = keeper.token.count(wire.HELPER_LOGIN), keeper.lost
    code, detail = problem(keeper.add_token(channel, module="/usr/lib/other.so"))
    assert code == "bad_request" and "another module: /usr/lib/played.so" in detail
    assert keeper.token.count(wire.HELPER_LOGIN) == logins
    keeper.until(lambda: keeper.lost == lost + 1)


def test_a_token_of_the_vault_is_used_through_its_module_only(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    add_by_other_module(keeper, admin)
    assert len(keeper.tokens(admin)) == 1


def test_the_token_of_a_seal_is_used_through_its_module_only(by_token):
    channel, _peer = start(by_token)
    add_by_other_module(by_token, channel)
    assert document(by_token.add_token(channel))["added"] is True
    assert len(by_token.tokens(channel)) == 1


def test_a_token_that_is_named_by_a_part_of_its_uri_is_not_logged_in_twice(keeper, admin):  # noqa: F811
    document(keeper.add_token(admin))
    logins = keeper.token.count(wire.HELPER_LOGIN)
    assert document(keeper.add_token(admin, uri="pkcs11:token=ci"))["added"] is False
    assert document(keeper.add_token(admin, uri="pkcs11:token=ci", pin=None))["id"] == 1
    assert problem(keeper.add_token(admin, uri="pkcs11:token=ci", pin=b"0000"))[0] == "wrong_seal"
    assert keeper.token.count(wire.HELPER_LOGIN) == logins
    keeper.until(lambda: keeper.lost == 3)
    document(add_connection(keeper, admin))
    document(sign(keeper, give_grant(keeper, admin)))
    assert len(keeper.tokens(admin)) == 1 and keeper.tokens(admin)[0]["restarts"] == 0
