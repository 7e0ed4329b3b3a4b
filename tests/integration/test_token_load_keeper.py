"""The keeper under load, and while keys come and go: with helpers that the test plays."""

import threading

from support import wire
from test_tokens_keeper import (  # noqa: F401
    add_connection, admin, answers, document, furnish, give_grant, hold_signature, keeper,
    log_entries, move, only_sign_entry, problem, sign, sign_message, states_logged,
)


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
