"""The token helper alone, before SoftHSM: opening, PINs, recovery, what it is sent."""

import hashlib
import hmac
import os
import secrets
import shutil
import stat
from pathlib import Path

import pytest
from support import wire
from support.process import wait_until
from support.token_helper import (
    CKR, IN_TOKEN, LOAD, LOGIN, MAC, OPEN, PIN_STATES, SIGN, TOKEN, TROUBLES, UNWRAP, Helper,
    Trouble,
)
from support.tokens import OpenCryptoki, SoftHsm, Tpm


@pytest.fixture
def softhsm():
    with SoftHsm() as token:
        yield token


@pytest.fixture
def start(build):
    helpers = []

    def make(token, login=True, **options):
        helper = Helper(build, token.env, getattr(token, "wrapper", ()), **options)
        helpers.append(helper)
        helper.open(token.module, token.uri)
        if login:
            helper.login(token.pin)
        return helper

    yield make
    for helper in helpers:
        assert helper.close() == 0, helper.stderr


@pytest.fixture
def fresh(build):
    """A helper that was sent nothing yet."""
    helpers = []

    def make(env=None, **options):
        helpers.append(Helper(build, env, **options))
        return helpers[-1]

    yield make
    for helper in helpers:
        assert helper.close() == 0, helper.stderr


def refused(function, *arguments, **options):
    with pytest.raises(Trouble) as trouble:
        function(*arguments, **options)
    return trouble.value


def new_key(helper, form=IN_TOKEN):
    secret, ident = secrets.token_bytes(64), secrets.token_bytes(16)
    assert form == IN_TOKEN
    return secret, ident, helper.load(form, ident, key=secret, label="oxvault:test")


def mac(secret, message):
    return hmac.new(secret, message, hashlib.sha256).digest()


# URIs


@pytest.mark.parametrize("uri, why", (
    ("", "must begin with pkcs11:"),
    ("token=ci", "must begin with pkcs11:"),
    ("PKCS11:token=ci", "must begin with pkcs11:"),
    ("pkcs11:", "names no token"),
    ("pkcs11:model=SoftHSM%20v2", "names no token"),
    ("pkcs11:token=", "token is empty"),
    ("pkcs11:token=ci;serial=", "serial is empty"),
    ("pkcs11:token=ci;token=ci", "token is there twice"),
    ("pkcs11:token=ci;", "only token, serial, model and manufacturer"),
    ("pkcs11:token=ci ;serial=1", "percent-encoded"),
    ("pkcs11:token=ci;serial=\t1", "percent-encoded"),
    ("pkcs11:token=c%zzi", "malformed"),
    ("pkcs11:token=" + 33 * "x", "longer than any token's"),
    ("pkcs11:token=ci;serial=" + 17 * "1", "longer than any token's"),
    ("pkcs11:token=ci;colour=red", "only token, serial, model and manufacturer"),
    ("pkcs11:token=ci;object-type=cert", "only token, serial, model and manufacturer"),
    ("pkcs11:token=ci;slot-id=1", "no slot-id"),
    ("pkcs11:slot-id=1", "no slot-id"),
    ("pkcs11:token=ci;id=%41", "no id"),
    ("pkcs11:token=ci;object=k", "no object"),
    ("pkcs11:token=ci;type=secret-key", "no type"),
    ("pkcs11:token=ci?module-path=/tmp/evil.so", "no module-path"),
    ("pkcs11:token=ci?module-name=evil", "no module-name"),
    ("pkcs11:token=ci?pin-value=1234", "no pin-value"),
    ("pkcs11:token=ci?pin-source=/etc/passwd", "no pin-source"),
    ("pkcs11:token=ci?pin-value=1&pin-value=2", "no pin-value"),
    ("pkcs11:token=ci?", "only token, serial, model and manufacturer"),
))
def test_uris_that_name_no_token_or_more_are_refused(fresh, softhsm, uri, why):
    helper = fresh(softhsm.env)
    request = wire.fields((1, softhsm.module), (2, uri))
    trouble = refused(helper.answer, helper.ask_raw(OPEN, request))
    assert trouble.word == "refused" and why in trouble.text, trouble
    assert "1234" not in trouble.text


def test_every_attribute_of_the_uri_has_to_fit(build, softhsm):
    with Helper(build, softhsm.env) as helper:
        canonical = helper.open(softhsm.module, softhsm.uri)["uri"]
    assert canonical.startswith(
        "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial="
    ) and canonical.endswith(";token=ci")
    serial = canonical.split("serial=")[1].split(";")[0]
    fitting = (canonical, f"pkcs11:serial={serial}", f"pkcs11:token=c%69;serial={serial}",
               "pkcs11:manufacturer=SoftHSM%20project;token=ci")
    for uri in fitting:
        with Helper(build, softhsm.env) as helper:
            assert helper.open(softhsm.module, uri)["uri"] == canonical
    for uri in ("pkcs11:token=c", "pkcs11:token=cii", f"pkcs11:token=other;serial={serial}",
                "pkcs11:token=ci;serial=0000000000000000", "pkcs11:token=ci;model=SoftHSM",
                "pkcs11:token=ci;manufacturer=SoftHSM"):
        with Helper(build, softhsm.env) as helper:
            assert refused(helper.open, softhsm.module, uri).word == "absent"


def test_two_tokens_of_one_label_are_an_error_that_lists_them(build, softhsm):
    softhsm.add_token(softhsm.label, "5678")
    with Helper(build, softhsm.env) as helper:
        trouble = refused(helper.open, softhsm.module, softhsm.uri)
        assert trouble.word == "ambiguous" and trouble.text.count("serial=") == 2
        serials = [part.split(";")[0] for part in trouble.text.split("serial=")[1:]]
        assert len(set(serials)) == 2
        assert refused(helper.login, softhsm.pin).word == "ambiguous", "and there is no login"
    for serial in serials:
        with Helper(build, softhsm.env) as helper:
            opened = helper.open(softhsm.module, f"pkcs11:token={softhsm.label};serial={serial}")
            assert f"serial={serial};" in opened["uri"]


# Modules


def open_module(build, module, env, **options):
    with Helper(build, env, **options) as helper:
        return helper.open(str(module), "pkcs11:token=ci")


@pytest.mark.parametrize("module, why", (
    ("relative/libsofthsm2.so", "absolute path"),
    ("../softhsm2", "absolute path"),
    ("no-such-module-name", "give an absolute path, or the name"),
    ("/nonexistent/module.so", "no such file"),
    ("/usr/lib", "no regular file"),
    ("/etc/hostname", "cannot be loaded|too short|invalid ELF|file too short"),
    ("/usr/lib/x86_64-linux-gnu/libz.so.1", "no C_GetFunctionList"),
    ("/dev/null", "no regular file"),
))
def test_what_is_no_module_is_refused(build, softhsm, module, why):
    trouble = refused(open_module, build, module, softhsm.env)
    assert trouble.word == "refused"
    assert any(word in trouble.text for word in why.split("|")), trouble.text


def test_a_module_is_found_by_its_p11_kit_name(build, softhsm):
    assert open_module(build, "softhsm2", softhsm.env)["label"] == "ci"


def test_a_module_that_others_may_write_is_refused(build, softhsm):
    place = softhsm.directory / "modules"
    place.mkdir(mode=0o755)
    module = place / "copy.so"
    shutil.copyfile(softhsm.module, module)
    module.chmod(0o644)
    assert open_module(build, module, softhsm.env)["label"] == "ci"
    for path, mode, why in ((module, 0o664, "writable by its owner only"),
                            (module, 0o646, "writable by its owner only"),
                            (place, 0o775, f"the directory {place}"),
                            (place, 0o757, f"the directory {place}")):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        trouble = refused(open_module, build, module, softhsm.env)
        assert trouble.word == "refused" and why in trouble.text, trouble.text
        path.chmod(before)
    link = place / "link.so"
    link.symlink_to(module)
    assert open_module(build, link, softhsm.env)["label"] == "ci"
    module.chmod(0o666)
    assert refused(open_module, build, link, softhsm.env).word == "refused"


@pytest.mark.root
def test_a_module_of_another_user_is_refused(build, softhsm):
    place = softhsm.directory / "modules"
    place.mkdir(mode=0o755)
    module = place / "copy.so"
    shutil.copyfile(softhsm.module, module)
    module.chmod(0o644)
    for path in (module, place):
        os.chown(path, 60177, -1)
        trouble = refused(open_module, build, module, softhsm.env)
        assert trouble.word == "refused" and "must belong to root" in trouble.text
        assert "go-w" not in trouble.text  # nobody else may write to it


@pytest.mark.root
def test_a_module_of_the_own_user_is_for_a_service_of_one_user(build):
    """The keeper has no say in it: only the supervisor knows that there is but one user."""
    other_user = ("setpriv", "--reuid=60177", "--regid=60177", "--clear-groups")
    with SoftHsm(owner=60177) as token:
        place = token.directory / "modules"
        place.mkdir(mode=0o755)
        module = place / "copy.so"
        shutil.copyfile(token.module, module)
        module.chmod(0o644)
        for path in (module, place):
            os.chown(path, 60177, 60177)
        with Helper(build, token.env, wrapper=other_user, arguments=()) as helper:
            assert refused(helper.open, str(module), token.uri).word == "refused"
        with Helper(build, token.env, wrapper=other_user) as helper:
            assert helper.open(str(module), token.uri)["label"] == "ci"


def test_one_helper_loads_one_module(fresh, softhsm):
    helper = fresh(softhsm.env)
    assert refused(helper.open, "/etc/hostname", softhsm.uri).word == "refused"
    trouble = refused(helper.open, softhsm.module, softhsm.uri)
    assert trouble.word == "refused" and "another module" in trouble.text


@pytest.mark.parametrize("text, why", (
    ("", "names no module"),
    ("# module: /usr/lib/softhsm/libsofthsm2.so\n", "names no module"),
    ("critical: yes\nmodul: x\n", "names no module"),
    ("module: libsofthsm2.so\nremote: |p11-kit remote /x.so\n", "remote module"),
    ("module: " + 5000 * "x" + "\n", "too long"),
    ("module: /nonexistent.so\n", "no such file"),
))
def test_module_files_that_name_no_module_are_refused(build, softhsm, text, why):
    file = softhsm.directory / "x.module"
    file.write_text(text)
    trouble = refused(open_module, build, file, softhsm.env)
    assert trouble.word == "refused" and why in trouble.text, trouble.text


def test_a_module_file_may_have_spaces_comments_and_crlf(build, softhsm):
    file = softhsm.directory / "x.module"
    file.write_text(f"# ours\r\n\r\n  module :  {softhsm.module}  \r\npriority: 3")
    assert open_module(build, file, softhsm.env)["label"] == "ci"


# PINs


@pytest.mark.parametrize("pin, why", (
    ("123", "has 4 to 255 bytes"),
    ("12\x0034", "holds a NUL"),
))
def test_a_pin_that_cannot_be_right_is_not_tried(start, softhsm, pin, why):
    helper = start(softhsm, login=False)
    for _ in range(3):
        trouble = refused(helper.login, pin)
        assert trouble.word == "pin" and why in trouble.text and "not tried" in trouble.text
        assert trouble.ckr == 0 and "refused_hash" not in trouble.fields
    assert helper.login(softhsm.pin)["logged_in"] == 1


def test_without_a_pin_there_is_no_login(start, softhsm):
    helper = start(softhsm, login=False)
    assert refused(helper.login).word == "needs pin"
    assert refused(helper.seal, generate=1).word == "needs pin"
    assert refused(helper.load, IN_TOKEN, bytes(16)).word == "needs pin"
    assert refused(helper.sign, {"key": 1, "generation": 1}, b"x").word == "needs pin"


def test_a_refused_pin_is_final_and_recognised_by_its_hash(start, softhsm):
    helper = start(softhsm, login=False)
    trouble = refused(helper.login, "9999")
    assert trouble.word == "pin" and trouble.ckr == CKR["PIN_INCORRECT"]
    remembered = trouble.fields["refused_salt"], trouble.fields["refused_hash"]
    assert len(remembered[0]) == 16 and len(remembered[1]) == 32
    state = helper.state(lambda s: s["trouble"] == TROUBLES.index("pin"))
    assert (state["refused_salt"], state["refused_hash"]) == remembered
    # In this process, and in the next with what was remembered, it is not tried again.
    for one, known in ((helper, None), (start(softhsm, login=False), remembered)):
        trouble = refused(one.login, "9999", known)
        assert trouble.word == "pin" and trouble.ckr == 0 and "before" in trouble.text
        assert refused(one.seal, generate=1).word == "pin"
    other = start(softhsm, login=False)
    trouble = refused(other.login, "9999", remembered, again=1)
    assert trouble.word == "pin" and trouble.ckr == CKR["PIN_INCORRECT"], "a person asked for it"
    done = other.login(softhsm.pin, remembered)
    assert done["logged_in"] == 1 and "refused_hash" not in done


def test_the_hash_of_a_refused_pin_is_of_this_token_and_salted(start, softhsm):
    first = refused(start(softhsm, login=False).login, "9999").fields
    second = refused(start(softhsm, login=False).login, "9999").fields
    assert first["refused_salt"] != second["refused_salt"]
    assert first["refused_hash"] != second["refused_hash"]
    with SoftHsm() as other:
        known = first["refused_salt"], first["refused_hash"]
        trouble = refused(start(other, login=False).login, "9999", known)
        assert trouble.ckr == CKR["PIN_INCORRECT"], "another token: it may be its PIN"


def test_logged_in_another_pin_is_not_taken_for_right(start, softhsm):
    helper = start(softhsm)
    assert helper.login(softhsm.pin)["logged_in"] == 1
    trouble = refused(helper.login, "9999", again=1)
    assert trouble.word == "refused" and "not tried" in trouble.text


def test_what_was_remembered_has_to_have_its_lengths(start, softhsm):
    helper = start(softhsm, login=False)
    assert refused(helper.login, softhsm.pin, (bytes(15), bytes(32))).word == "refused"
    assert refused(helper.login, softhsm.pin, (bytes(16), bytes(31))).word == "refused"


@pytest.mark.root
def test_a_wrong_pin_costs_one_try_and_the_last_one_is_a_persons(build):
    """opencryptoki counts: three wrong ones lock."""
    with OpenCryptoki() as token:
        def start():
            helper = Helper(build, token.env, token.wrapper)
            return helper, helper.open(token.module, token.uri)

        helper, _ = start()
        trouble = refused(helper.login, "wrongpin")
        known = trouble.fields["refused_salt"], trouble.fields["refused_hash"]
        helper.close()
        for _ in range(3):
            helper, opened = start()
            assert PIN_STATES[opened["pin_state"]] == "count low"
            assert refused(helper.login, "wrongpin", known).ckr == 0
            helper.close()
        helper, _ = start()
        assert refused(helper.login, "wrongpi2").ckr == CKR["PIN_INCORRECT"]
        trouble = refused(helper.login, token.pin)
        assert trouble.word == "pin" and "last try" in trouble.text and trouble.ckr == 0
        state = helper.state(lambda s: s.get("pin_state") == 2)
        assert state["trouble"] == TROUBLES.index("pin")
        assert helper.login(token.pin, again=1)["logged_in"] == 1
        helper.close()
        helper, opened = start()
        assert opened.get("pin_state", 0) == 0, "the right one makes all good"
        for wrong in ("wrongpi1", "wrongpi2", "wrongpi3"):
            refused(helper.login, wrong, again=1)
        helper.close()
        helper, opened = start()
        assert PIN_STATES[opened["pin_state"]] == "locked"
        trouble = refused(helper.login, token.pin, again=1)
        assert trouble.word == "pin" and trouble.ckr == 0 and "locked" in trouble.text
        helper.close()


def test_a_wrong_pin_raises_a_tpms_counter_by_one(build):
    """Its flags show nothing, ever; what was remembered has to do."""
    with Tpm() as token:
        known = None
        for _ in range(3):
            with Helper(build, token.env) as helper:
                helper.open(token.module, token.uri)
                trouble = refused(helper.login, "wrongpin", known)
                assert trouble.word == "pin"
                known = trouble.fields["refused_salt"], trouble.fields["refused_hash"]
            assert token.lockout_counter() == 1


# Handles


def test_handles_of_before_are_stale(start, softhsm):
    helper = start(softhsm)
    secret, ident, key = new_key(helper)
    assert helper.sign(key, b"x") == mac(secret, b"x")
    for wrong in ({**key, "generation": key["generation"] - 1},
                  {**key, "generation": key["generation"] + 1}, {**key, "key": key["key"] + 1},
                  {**key, "key": key["key"] + (1 << 32)}, {**key, "key": 0},
                  {**key, "key": (1 << 64) - 1}):
        assert refused(helper.sign, wrong, b"x").word == "stale"
        assert refused(helper.drop, wrong, destroy=1).word == "stale"
        helper.drop(wrong)
    other = start(softhsm)
    assert refused(other.sign, key, b"x").word == "stale"
    helper.drop(key)
    assert refused(helper.sign, key, b"x").word == "stale"
    again = helper.load(IN_TOKEN, ident)
    assert again != key and helper.sign(again, b"y") == mac(secret, b"y")
    helper.drop(again, destroy=1)
    assert refused(helper.load, IN_TOKEN, ident).word == "no key"


def test_many_keys_and_a_place_that_was_free(start, softhsm):
    helper = start(softhsm)
    made = [new_key(helper) for _ in range(70)]
    helper.drop(made[5][2])
    made[5] = (made[5][0], made[5][1], helper.load(IN_TOKEN, made[5][1]))
    for secret, ident, key in made:
        assert helper.sign(key, ident) == mac(secret, ident)


# Recovery


def test_a_token_pulled_and_put_back_recovers_by_itself(start, softhsm):
    helper = start(softhsm)
    secret, ident, key = new_key(helper)
    before = len(softhsm.objects())
    softhsm.move_away()
    trouble = refused(helper.sign, key, b"x")
    assert trouble.word == "stale", "the object's handle is what SoftHSM says is wrong"
    trouble = refused(helper.load, IN_TOKEN, ident)
    assert trouble.word == "absent", "zero hits are no missing key while the token is away"
    assert "logged_in" not in helper.state(lambda s: s.get("trouble") == TROUBLES.index("absent"))
    assert refused(helper.sign, key, b"x").word in ("absent", "stale")
    assert refused(helper.load, IN_TOKEN, secrets.token_bytes(16), key=bytes(64)).word == "absent"
    softhsm.move_back()
    state = helper.state(lambda s: s.get("trouble", 0) == 0 and s.get("logged_in") == 1)
    assert state["generation"] > key["generation"]
    assert refused(helper.sign, key, b"x").word == "stale"
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")
    assert len(softhsm.objects()) == before, "no key was made"


def test_a_token_that_comes_later_is_found(start, fresh, softhsm):
    softhsm.move_away()
    helper = fresh(softhsm.env)
    assert refused(helper.open, softhsm.module, softhsm.uri).word == "absent"
    softhsm.move_back()
    assert helper.state(lambda s: s.get("trouble") == TROUBLES.index("needs pin"))["label"] == "ci"
    assert helper.open(softhsm.module, softhsm.uri)["label"] == "ci"
    assert helper.login(softhsm.pin)["logged_in"] == 1


def test_another_token_in_its_place_is_not_taken(start, softhsm):
    helper = start(softhsm)
    secret, ident, key = new_key(helper)
    softhsm.move_away()
    softhsm.tokens.mkdir(mode=0o700)
    softhsm.add_token(softhsm.label, softhsm.pin)
    assert refused(helper.load, IN_TOKEN, ident).word == "absent"
    time_out = [s for s in helper.states if s.get("logged_in")]
    assert all(s["generation"] == key["generation"] for s in time_out)
    shutil.rmtree(softhsm.tokens)
    softhsm.move_back()
    helper.state(lambda s: s.get("trouble", 0) == 0 and s.get("logged_in") == 1)
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")


def test_under_load_a_pulled_token_makes_no_wrong_mac_and_no_key(start, softhsm):
    helper = start(softhsm)
    secret, ident, key = new_key(helper)
    pair = helper.pair()
    before = len(softhsm.objects())
    good = 0
    for round_ in range(3):
        for n in range(300):
            if n == 100:
                softhsm.move_away()
            if n == 200:
                softhsm.move_back()
            message = f"{round_}/{n}".encode()
            try:
                assert helper.sign(key, message) == mac(secret, message)
                good += 1
            except Trouble as trouble:
                assert trouble.word in ("stale", "absent")
                try:
                    key = helper.load(IN_TOKEN, ident)
                except Trouble as load:
                    assert load.word in ("absent", "stale"), load
        helper.open(softhsm.module, softhsm.uri)
        key = wait_until(lambda: loaded(helper, ident), what="the token")
    assert good >= 300
    assert helper.pair(pair["key_id"])["key_id"] == pair["key_id"]
    assert len(softhsm.objects()) == before


def loaded(helper, ident):
    try:
        return helper.load(IN_TOKEN, ident)
    except Trouble as trouble:
        assert trouble.word == "absent", trouble
        return None


def test_a_key_that_another_process_destroyed_is_no_key(start, softhsm):
    helper, other = start(softhsm), start(softhsm)
    _, ident, key = new_key(helper)
    other.drop(other.load(IN_TOKEN, ident), destroy=1)
    assert refused(helper.sign, key, b"x").word == "stale"
    assert refused(helper.load, IN_TOKEN, ident).word == "no key"
    assert helper.seal(generate=1)["mechanism"] == 1, "the token itself is fine"


def test_a_tpm_restarted_recovers_by_itself_and_counts_nothing(build):
    with Tpm() as token:
        secret = secrets.token_bytes(32)
        ident = token.import_hmac(secret, "oauth")
        with Helper(build, token.env) as helper:
            helper.open(token.module, token.uri)
            helper.login(token.pin)
            key = helper.load(3, ident)
            assert helper.sign(key, b"x") == mac(secret, b"x")
            objects = token.objects()
            token.stop()
            assert refused(helper.sign, key, b"x").word in ("absent", "stale")
            token.start()
            helper.state(lambda s: s.get("trouble", 0) == 0 and s.get("logged_in") == 1)

            def signed():
                try:
                    return helper.sign(helper.load(3, ident), b"x")
                except Trouble as trouble:
                    assert trouble.word in ("absent", "stale"), trouble
                    return None

            assert wait_until(signed, 20) == mac(secret, b"x")
            assert token.objects() == objects
        assert token.lockout_counter() == 0


# Several at once


def test_many_requests_in_flight_are_all_answered_right(start, softhsm):
    helper = start(softhsm)
    keys = [new_key(helper) for _ in range(4)]
    expected = {}
    sent = 0
    for burst in range(40):
        for n in range(60):
            secret, _, key = keys[n % 4]
            message = f"{burst}/{n}".encode()
            expected[helper.ask_sign(key, message)] = mac(secret, message)
            sent += 1
        for ident in list(expected):
            kind, fields = helper.answer(ident)
            assert kind == MAC and fields["mac"] == expected.pop(ident)
    assert sent == 2400 and not expected


def test_slow_requests_do_not_hold_up_others(start, softhsm):
    """A pair takes its time to make; signatures go on beside it."""
    helper = start(softhsm)
    secret, _, key = new_key(helper)
    slow = helper.ask(146, (2, 1))
    for n in range(20):
        assert helper.sign(key, b"%d" % n) == mac(secret, b"%d" % n)
    assert slow not in helper.kept, "the pair came before the signatures"
    assert helper.answer(slow)[1]["oaep"] == 2


# What it is sent


def test_before_open_everything_is_refused(fresh, softhsm):
    helper = fresh(softhsm.env)
    for call in (lambda: helper.login("1234"), lambda: helper.seal(generate=1),
                 lambda: helper.sign({"key": 1, "generation": 1}, b"x"),
                 lambda: helper.load(IN_TOKEN, bytes(16))):
        assert refused(call).word == "refused"


def test_one_helper_has_one_token(start, softhsm):
    helper = start(softhsm)
    trouble = refused(helper.open, softhsm.module, "pkcs11:token=other")
    assert trouble.word == "refused" and "one helper, one token" in trouble.text
    assert helper.open(softhsm.module, softhsm.uri)["logged_in"] == 1, "the same again is fine"


@pytest.mark.parametrize("datagram", (
    b"", b"\x01", b"\x02" + wire.message(OPEN, 1), wire.datagram(wire.message(OPEN, 1, b"\xff")),
    wire.datagram(wire.message(200, 1)), wire.datagram(wire.message(TOKEN, 1)),
    wire.datagram(wire.message(SIGN, 1, b"\x01\x00\x00")), bytes(1000),
    wire.datagram(wire.message(LOGIN, 1, wire.fields((1, bytes(256))))),
    wire.datagram(wire.message(LOAD, 1, wire.fields((1, 9), (3, b"x")))),
    wire.datagram(wire.message(OPEN, 1, wire.fields((1, "softhsm2"), (2, "pkcs11:token=ci"))))[:-1],
))
def test_what_breaks_a_rule_of_the_wire_ends_the_helper(build, softhsm, datagram):
    helper = Helper(build, softhsm.env)
    if datagram:
        wire.send(helper.channel, datagram)
        assert helper.process.wait(20) == 1
    assert helper.close() == (1 if datagram else 0)
    if datagram:
        assert "the keeper sent what it must not" in helper.stderr


def test_requests_that_make_no_sense_are_refused(start, softhsm):
    helper = start(softhsm)
    ident, value = secrets.token_bytes(16), secrets.token_bytes(64)
    for options in (
        {"form": 0}, {"hash_": 0}, {"form": UNWRAP}, {"form": UNWRAP, "oaep": 1},
        {"form": UNWRAP, "oaep": 1, "pair_id": b"x"},
        {"form": UNWRAP, "oaep": 1, "pair_id": b"x", "blob": b"y", "key": value},
        {"form": IN_TOKEN, "oaep": 1}, {"form": 3, "key": value},
        {"form": IN_TOKEN, "key": bytes(63)}, {"form": IN_TOKEN, "key": bytes(16)},
        {"form": IN_TOKEN, "hash_": 2, "key": bytes(32)}, {"ident": b""},
    ):
        options = {"form": IN_TOKEN, "ident": ident, **options}
        form, key_id = options.pop("form"), options.pop("ident")
        if key_id == b"":
            payload = wire.fields((1, form), (2, 1), (3, b""))
            with pytest.raises(Trouble) as trouble:
                helper.answer(helper.ask_raw(LOAD, payload))
            assert trouble.value.word == "refused"
            continue
        assert refused(helper.load, form, key_id, **options).word == "refused", options
    assert len(softhsm.objects()) == 0


def test_the_keepers_end_ends_it(build, softhsm):
    helper = Helper(build, softhsm.env)
    helper.open(softhsm.module, softhsm.uri)
    assert helper.close() == 0


# What it keeps to itself


def test_secrets_are_in_no_argument_environment_or_output(start, softhsm):
    helper = start(softhsm)
    secret, ident, key = new_key(helper)
    helper.sign(key, b"x")
    trouble = refused(helper.load, IN_TOKEN, ident, key=secret)
    proc = Path(f"/proc/{helper.process.pid}")
    for name in ("cmdline", "environ"):
        data = (proc / name).read_bytes()
        assert softhsm.pin.encode() not in data and secret[:16] not in data
    assert softhsm.pin not in trouble.text
    helper.channel.close()
    helper.process.wait(20)
    said = helper.process.stderr.read()
    assert softhsm.pin.encode() not in said


@pytest.mark.plain
def test_it_is_not_dumpable_and_cannot_start_programs(start, softhsm):
    helper = start(softhsm)
    status = Path(f"/proc/{helper.process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    limits = Path(f"/proc/{helper.process.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
