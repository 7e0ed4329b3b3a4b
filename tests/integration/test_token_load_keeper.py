"""The keeper under load, and while keys come and go: with helpers that the test plays."""

import base64
import hmac
import threading
import time

import pytest
from support import boxes, wire
from support.memory import find_in_process
from support.played_token import PIN, TokenHarness
from test_tokens_keeper import (  # noqa: F401
    GRANT_REMOVE, IMPORT_BEGIN, add_connection, admin, answers, document, furnish, give_grant, hold_signature, keeper,
    log_entries, move, problem, sign, sign_message, states_logged,
)

IMPORT_CHUNK, IMPORT_COMMIT = IMPORT_BEGIN + 1, IMPORT_BEGIN + 2


def test_a_token_that_is_slow_and_busy_is_not_hung(keeper, admin):  # noqa: F811
    channel = furnish(keeper, admin)
    pause = threading.Event()  # never set: a device that takes its time

    def slowly(helper, ident, values):
        pause.wait(0.1)
        return None

    keeper.token.answers[wire.HELPER_SIGN] = slowly
    asked = 80
    wire.send(channel, wire.datagram(*[sign_message(ident=1000 + i) for i in range(asked)]))
    ended = answers(channel, asked)
    signed = [kind for kind, _ in ended.values() if kind == wire.DOC]
    assert 30 < len(signed) < 60  # those that it reached within 5 seconds
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_SIGN) > asked)
    keeper.token.answers.clear()
    document(sign(keeper, channel))
    token = keeper.tokens(admin)[0]
    assert token["state"] == "ready" and token["restarts"] == 0 and keeper.lost == 0
    assert states_logged(keeper) == ["token ci: ready"]


def test_keys_that_take_long_to_load_are_waited_for(keeper, admin):  # noqa: F811
    channel = furnish(keeper, admin)
    kept = []

    def keep(helper, ident, values):
        kept.append(lambda: helper.send(helper.usual(wire.HELPER_LOAD, ident, values)))
        return []

    keeper.token.answers[wire.HELPER_LOAD] = keep
    keeper.token.generation += 1
    assert problem(sign(keeper, channel))[0] == "token_unavailable"  # after 5 seconds
    keeper.token.answers.clear()
    kept[0]()
    keeper.until(lambda: sign(keeper, channel)[0] == wire.DOC)
    assert keeper.tokens(admin)[0]["restarts"] == 0 and len(keeper.helpers) == 1


def test_a_key_that_loads_while_its_connection_moves_signs_nothing(keeper, admin):  # noqa: F811
    channel = furnish(keeper, admin)
    kept = []

    def keep(helper, ident, values):
        kept.append(lambda: helper.send(helper.usual(wire.HELPER_LOAD, ident, values)))
        return []

    keeper.token.answers[wire.HELPER_LOAD] = keep
    keeper.token.generation += 1
    keeper.helpers[-1].keys.clear()
    wire.send(channel, wire.datagram(sign_message(ident=5)))
    keeper.token.wait(lambda: kept)
    keeper.token.answers.clear()
    new_id = b"\x05" * 16
    document(move(keeper, admin, wire.UNWRAP, new_id))
    wire.send(channel, wire.datagram(sign_message(ident=6)))
    keeper.tokens(admin)  # the keeper has taken both
    kept[0]()
    ended = answers(channel, 2)
    assert problem(ended[5])[0] == "no_grant"
    document(ended[6])
    kind, values = keeper.token.calls[-1]
    assert kind == wire.HELPER_SIGN
    assert keeper.helpers[-1].keys[wire.number(values[1])][2] == new_id
    assert {key[2] for key in keeper.helpers[-1].keys.values()} == {new_id}


def import_connections(keeper, admin, count):  # noqa: F811
    begun = document(keeper.ask(admin, IMPORT_BEGIN))
    fresh = base64.b64decode(begun["challenge"])
    chunk = 0
    for first in range(0, count, 50):
        chunk += 1
        lines = [boxes.connection(f"c{i}") for i in range(first, first + 50)]
        sealed = boxes.box(keeper.published, boxes.CONNECTION_IMPORT, fresh,
                           boxes.import_chunk(begun["session"], chunk, lines))
        doc = document(keeper.ask(admin, IMPORT_CHUNK,
                                  wire.fields((1, begun["session"]), (2, sealed))))
        fresh = base64.b64decode(doc["challenge"])
    document(keeper.ask(admin, IMPORT_COMMIT, wire.fields((1, begun["session"]), (2, count))))


def test_other_connections_do_not_delay_the_keys_of_a_token(keeper, admin):  # noqa: F811
    import_connections(keeper, admin, 1200)
    furnish(keeper, admin)
    keeper.stop()
    del keeper.sign_channel
    keeper.pin_sources = [("", PIN)]
    loads = keeper.token.count(wire.HELPER_LOAD)
    keeper.start()
    begun = time.monotonic()
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_LOAD) > loads)
    assert time.monotonic() - begun < 2  # a turn for 300 of them, and none of those waits


def test_a_token_that_has_no_time_for_keys_is_asked_again(keeper, admin):  # noqa: F811
    channel = furnish(keeper, admin)
    keeper.token.answers[wire.HELPER_LOAD] = lambda h, ident, _: [h.trouble(ident, wire.BUSY)]
    keeper.token.answers[wire.HELPER_SIGN] = lambda h, ident, _: [
        h.trouble(ident, wire.ABSENT, 0xE0, "it is not there")]
    assert problem(sign(keeper, channel))[0] == "token_unavailable"
    loads = keeper.token.count(wire.HELPER_LOAD)
    keeper.token.wait(lambda: keeper.token.count(wire.HELPER_LOAD) > loads)
    keeper.token.answers.clear()
    keeper.wait_for_state(admin, "ready")
    document(sign(keeper, channel))


# The end


@pytest.mark.root
@pytest.mark.plain  # AddressSanitizer maps terabytes
def test_a_mac_that_may_not_be_released_is_wiped(keeper, admin):  # noqa: F811
    channel = furnish(keeper, admin)
    release = hold_signature(keeper, channel)
    asked = [values for kind, values in keeper.token.calls if kind == wire.HELPER_SIGN][-1]
    mac = hmac.digest(boxes.signing_key(), asked[3], "sha256")
    document(keeper.ask(admin, GRANT_REMOVE, wire.fields((1, keeper.grant))))
    release()
    assert problem(answers(channel, 1)[7])[0] == "no_grant"
    found, read = find_in_process(keeper.process.pid, {"mac": mac, "control": boxes.CHECK_PREFIX})
    assert read > 1 << 20 and found == {"control"}


def test_what_is_in_a_token_when_the_service_stops_is_answered_before_the_end(keeper, admin):  # noqa: F811
    channel = furnish(keeper, admin)
    hold_signature(keeper, channel)
    assert keeper.stop() == 0
    assert problem(answers(channel, 1)[7])[0] == "sealed"
    types = [e["type"] for e in log_entries(keeper)]
    assert types[-2:] == ["sign", "service.stop"]


def test_a_stop_while_the_start_waits_for_a_token_is_no_failure(build):
    keeper = TokenHarness(build.libexec / "oxvault-keeper")  # noqa: F811
    try:
        keeper.init_by_token()
        keeper.pin_sources = [("", PIN)]
        opened = threading.Event()

        def hang(*_):
            opened.set()
            return []

        keeper.token.answers[wire.HELPER_OPEN] = hang
        keeper.pump = lambda *_: None  # it will not become ready
        keeper.start(sealed=True)
        del keeper.pump
        watching = threading.Thread(target=keeper._serve, args=(keeper.control,), daemon=True)
        watching.start()
        assert opened.wait(20)
        assert keeper.stop() == 0
        assert keeper.refused is None
    finally:
        keeper.close()
