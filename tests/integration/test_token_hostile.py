"""
The token helper before a module that breaks rules (tests/support/hostile_pkcs11.c): whatever it
does, there is no wrong MAC, no key made or left, no second C_Login, and no crash of ours.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from support.process import wait_until
from support.token_helper import (
    APPENDED, CKR, HOST, IN_TOKEN, PIN_STATES, PRE_PROVISIONED, TROUBLES, UNWRAP, WRITEBACK,
    Helper, Trouble,
)
from support.tokens import SoftHsm

TOP = Path(__file__).resolve().parent.parent.parent


class Hostile(SoftHsm):
    """SoftHSM behind the hostile module, with its script and its log."""

    def __init__(self):
        super().__init__()
        built = Path(os.environ.get("OXV_BUILD") or TOP / "build") / "tests/support"
        self.place = self.directory / "module"
        self.place.mkdir(mode=0o755)
        self.module = str(self.place / "hostile_pkcs11.so")
        shutil.copyfile(built / "hostile_pkcs11.so", self.module)
        os.chmod(self.module, 0o644)

    def script(self, *lines):
        """From the next call on; without lines it is SoftHSM."""
        new = self.place / "hostile.new"
        new.write_text("".join(line + "\n" for line in lines))
        new.rename(self.place / "hostile.conf")

    def calls(self, name):
        log = self.place / "hostile.log"
        return log.read_text().split().count(name) if log.exists() else 0


@pytest.fixture
def token():
    with Hostile() as one:
        yield one


@pytest.fixture
def start(build, token):
    helpers = []

    def make(login=True):
        helper = Helper(build, token.env)
        helpers.append(helper)
        helper.open(token.module, token.uri)
        if login:
            helper.login(token.pin)
        return helper

    yield make
    token.script()
    for helper in helpers:
        assert helper.close() == 0, helper.stderr


def refused(function, *arguments, **options):
    with pytest.raises(Trouble) as trouble:
        function(*arguments, **options)
    return trouble.value


def mac(secret, message):
    return hmac.new(secret, message, hashlib.sha256).digest()


def new_key(helper):
    secret, ident = secrets.token_bytes(64), secrets.token_bytes(16)
    return secret, ident, helper.load(IN_TOKEN, ident, key=secret, label="oxvault:test")


def run_probe(build, token):
    reader, writer = os.pipe()
    os.write(writer, token.pin.encode())
    os.close(writer)
    done = subprocess.run(
        [build.libexec / "oxvault-token", "--probe", "--module", token.module, "--uri", token.uri,
         "--pin-fd", str(reader)], pass_fds=[reader], text=True, capture_output=True, check=True,
        env={"PATH": os.environ["PATH"], **token.env},
    )
    os.close(reader)
    return json.loads(done.stdout)


def is_fine(state):
    return state.get("trouble", 0) == 0 and state.get("logged_in") == 1


# MACs


@pytest.mark.parametrize("line", (
    "C_Sign length 8", "C_Sign length 0", "C_Sign length 31", "C_Sign length 33",
    "C_Sign length 64", "C_Sign length 1000", "C_Sign length 18446744073709551615",
))
def test_a_mac_of_another_length_is_none(start, token, line):
    helper = start()
    secret, _, key = new_key(helper)
    token.script(line)
    trouble = refused(helper.sign, key, b"x")
    assert trouble.word == "unfit" and "instead of 32" in trouble.text
    token.script()
    assert helper.sign(key, b"x") == mac(secret, b"x")


@pytest.mark.parametrize("count", (33, 64, 128, 500, 1000))
def test_a_module_that_writes_too_much_hits_nothing(start, token, count):
    helper = start()
    _, _, key = new_key(helper)
    token.script(f"C_Sign write {count}")
    assert helper.sign(key, b"x") == b"\xaa" * 32, "what it says is its MAC; the check value tells"
    assert helper.process.poll() is None


# Codes


CODES = sorted({
    *range(1, 11), *range(0x10, 0x14), 0x1B, 0x20, 0x21, *range(0x30, 0x33), 0x40, 0x41, 0x50,
    0x51, 0x54, *range(0x60, 0x6B), 0x70, 0x71, 0x82, 0x90, 0x91, *range(0xA0, 0xA5),
    *range(0xB0, 0xB9), 0xC0, 0xC1, 0xD0, 0xD1, 0xE0, 0xE1, 0xE2, 0xF0, 0xF1, 0xF2,
    *range(0x100, 0x106), *range(0x110, 0x116), 0x120, 0x121, 0x130, 0x140, 0x150, 0x160, 0x170,
    0x180, 0x190, 0x191, 0x1A0, 0x1A1, 0x1B0, 0x1B1, *range(0x1C0, 0x1C5), 0x200, 0x80000001,
    0xFFFFFFFF,
})
WORDS = {"absent", "stale", "unfit", "data", "no key", "pin", "needs pin", "busy"}


@pytest.mark.parametrize("call", (
    "C_SignInit", "C_Sign", "C_OpenSession", "C_FindObjectsInit", "C_FindObjects",
    "C_FindObjectsFinal", "C_GetAttributeValue", "C_CreateObject", "C_UnwrapKey", "C_Decrypt",
    "C_DecryptInit", "C_GetTokenInfo", "C_CloseSession",
))
def test_every_code_at_every_call_once(start, token, call):
    """One failure, then all is well: at most a reload, and all right again without a hand."""
    helper = start()
    secret, ident, key = new_key(helper)
    sealed = helper.seal(generate=1, mechanism="aes-gcm")
    pair = helper.pair() if call == "C_UnwrapKey" else None
    before = len(token.objects())
    for code in CODES:
        made, fresh = [], secrets.token_bytes(16)
        token.script(f"{call} return {code} 0 1")
        for action in (
            lambda: helper.sign(key, b"x"), lambda: helper.unseal(sealed) and None,
            lambda: helper.load(IN_TOKEN, fresh, key=bytes(64)),
            lambda: pair and helper.load(UNWRAP, secrets.token_bytes(16), pair_id=pair["key_id"],
                                         oaep=2, blob=bytes(384)),
        ):
            try:
                done = action()
            except Trouble as trouble:
                assert trouble.word in WORDS, (hex(code), trouble)
            else:
                if isinstance(done, dict):
                    made.append(done)
        token.script()
        key = wait_until(lambda: loaded(helper, ident), what=f"the token after {code:#x}")
        assert helper.sign(key, b"x") == mac(secret, b"x"), hex(code)
        for one in made:
            with contextlib.suppress(Trouble):  # it may be stale
                helper.drop(one, destroy=1)
        with contextlib.suppress(Trouble):
            helper.drop(helper.load(IN_TOKEN, fresh), destroy=1)
        assert len(token.objects()) == before, hex(code)
    assert helper.unseal(sealed) == sealed["value"]


def loaded(helper, ident):
    try:
        return helper.load(IN_TOKEN, ident)
    except Trouble as trouble:
        assert trouble.word in ("absent", "busy"), trouble
        return None


@pytest.mark.parametrize("code", (0x5, 0x6, 0x30, 0x32, 0xE0, 0x90, 0xB3, 0x80000001))
def test_a_device_that_fails_for_good_is_given_up_after_one_recovery(start, token, code):
    helper = start()
    _, ident, key = new_key(helper)
    token.script(f"C_SignInit return {code}")
    tries, initialized, logins = (token.calls(c) for c in ("C_SignInit", "C_Initialize", "C_Login"))
    answers = set()
    for _ in range(20):
        answers.add(refused(helper.sign, key, b"x").word)
        try:
            key = helper.load(IN_TOKEN, ident)
        except Trouble as trouble:
            answers.add(trouble.word)
    assert answers <= {"absent", "stale"} and "absent" in answers
    # By itself it tries again with growing pauses, so a few more may have come meanwhile.
    assert token.calls("C_Initialize") - initialized <= 6
    assert token.calls("C_SignInit") - tries <= 12
    assert token.calls("C_Login") - logins == token.calls("C_Initialize") - initialized
    token.script()
    secret2, _, key2 = wait_until(lambda: key_when_back(helper), 20, "the token")
    assert helper.sign(key2, b"y") == mac(secret2, b"y")


def key_when_back(helper):
    try:
        return new_key(helper)
    except Trouble as trouble:
        assert trouble.word == "absent", trouble
        return None


def test_one_failed_call_is_all_before_the_module_is_initialized_anew(start, token):
    helper = start()
    secret, ident, key = new_key(helper)
    assert helper.sign(key, b"x")
    token.script("C_Sign return 0x30 0 1")
    before = token.calls("C_Sign"), token.calls("C_Initialize")
    assert refused(helper.sign, key, b"x").word == "stale"
    assert (token.calls("C_Sign"), token.calls("C_Initialize")) == (before[0] + 1, before[1] + 1)
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")


def test_of_many_in_flight_one_is_tried_after_a_recovery(start, token):
    """Each failure may count on a TPM; those that were in the module already cannot be called back."""
    helper = start()
    _, ident, key = new_key(helper)
    assert helper.sign(key, b"x")
    token.script("C_Sign delay 40 0x30")
    initialized = token.calls("C_Initialize")
    for asked in [helper.ask_sign(key, b"%d" % n) for n in range(24)]:
        assert refused(helper.answer, asked).word in ("stale", "absent")
    assert token.calls("C_Initialize") == initialized + 1
    key = helper.load(IN_TOKEN, ident)
    signed = token.calls("C_Sign")
    for asked in [helper.ask_sign(key, b"%d" % n) for n in range(24)]:
        assert refused(helper.answer, asked).word in ("stale", "absent")
    assert token.calls("C_Sign") == signed + 1
    # One failure, so the pause is the first one: 24 would have made it half a minute.
    wait_until(lambda: token.calls("C_Initialize") > initialized + 1, what="the next try",
               seconds=5)
    token.script()
    assert helper.sign(wait_until(lambda: loaded(helper, ident), what="the token"), b"x")


def test_what_one_blob_or_one_lost_key_costs_the_others(start, token):
    helper = start()
    pair = helper.pair()
    secret, _, key = new_key(helper)
    assert helper.sign(key, b"x")
    initialized = token.calls("C_Initialize")
    for _ in range(3):
        trouble = refused(helper.load, UNWRAP, secrets.token_bytes(16), pair_id=pair["key_id"],
                          oaep=2, blob=secrets.token_bytes(384))
        assert trouble.word == "data"
        assert refused(helper.load, IN_TOKEN, secrets.token_bytes(16)).word == "no key"
    assert helper.sign(key, b"x") == mac(secret, b"x")
    assert token.calls("C_Initialize") == initialized


def test_a_session_in_which_something_failed_is_not_used_again(start, token):
    helper = start()
    secret, _, key = new_key(helper)
    assert helper.sign(key, b"x")
    token.script("C_Sign return 0x70 0 1")
    assert refused(helper.sign, key, b"x").word == "unfit"
    # SoftHSM itself answers CKR_OPERATION_ACTIVE on the session in which the operation hangs.
    initialized = token.calls("C_Initialize")
    for n in range(20):
        assert helper.sign(key, b"%d" % n) == mac(secret, b"%d" % n)
    assert token.calls("C_Initialize") == initialized


def test_a_lost_login_is_made_again_once(start, token):
    helper = start()
    secret, ident, key = new_key(helper)
    token.script("C_SignInit return 0x101 0 1")
    logins, initialized = token.calls("C_Login"), token.calls("C_Initialize")
    assert refused(helper.sign, key, b"x").word == "stale"
    assert token.calls("C_Login") == logins + 1
    assert token.calls("C_Initialize") == initialized, "sessions and login are enough"
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")


def test_no_more_sessions_than_the_token_has(start, token):
    token.script("C_GetTokenInfo sessions 5")
    helper = start()
    state = helper.login(token.pin)
    assert state["workers"] == 2, "the anchor, the owner of session objects and one to write"
    secret, _, key = new_key(helper)
    assert helper.sign(key, b"x")
    # What the token says may be wrong: then it is what it gives.
    token.script("C_OpenSession return 0xb1")
    sent = {helper.ask_sign(key, b"%d" % n): b"%d" % n for n in range(50)}
    for ident, message in sent.items():
        assert helper.answer(ident)[1]["mac"] == mac(secret, message)


# Login


def test_a_pin_that_the_device_failed_to_check_is_not_sent_again_for_a_minute(start, token):
    helper = start(login=False)
    token.script("C_Login return 0x30")
    before = token.calls("C_Login")
    assert refused(helper.login, token.pin).word == "absent"
    for _ in range(5):
        assert refused(helper.login, token.pin).word == "absent"
    assert token.calls("C_Login") == before + 1
    token.script()
    assert refused(helper.login, token.pin).word == "absent", "not yet"
    assert helper.login(token.pin, again=1)["logged_in"] == 1, "a person may"


def test_one_request_spends_one_try_of_the_pin(start, token):
    """The token was away, its PIN is another now: the kept PIN and the given one are not both tried."""
    helper = start()
    _, _, key = new_key(helper)
    begun = token.calls("C_Initialize")
    token.script("C_SignInit return 0x30", "C_Initialize return 5")
    assert refused(helper.sign, key, b"x").word == "absent"
    wait_until(lambda: token.calls("C_Initialize") >= begun + 4, what="a longer pause")
    logins = token.calls("C_Login")
    token.script("C_Login return 0xa0")
    assert refused(helper.login, token.pin).word == "pin"
    assert token.calls("C_Login") == logins + 1
    assert refused(helper.login, token.pin).word == "pin"
    assert token.calls("C_Login") == logins + 1
    token.script()
    assert helper.login(token.pin, again=1)["logged_in"] == 1


@pytest.mark.parametrize("code, word", (
    (0xA0, "pin"), (0xA1, "pin"), (0xA2, "pin"), (0xA3, "pin"), (0xA4, "pin"), (0x102, "pin"),
))
def test_a_credential_error_is_final(start, token, code, word):
    helper = start(login=False)
    token.script(f"C_Login return {code}")
    before = token.calls("C_Login")
    trouble = refused(helper.login, token.pin)
    assert trouble.word == word and trouble.ckr == code
    assert "refused_hash" in trouble.fields, "whatever the code was"
    assert refused(helper.login, token.pin).word == "pin"
    assert token.calls("C_Login") == before + 1
    assert refused(helper.seal, generate=1).word == "pin"
    assert token.calls("C_Login") == before + 1


def test_logged_in_already_by_somebody_else_proves_nothing(start, token):
    helper = start(login=False)
    token.script("C_Login return 0x100 0 1")
    assert helper.login(token.pin)["logged_in"] == 1
    assert token.calls("C_Initialize") == 2, "a fresh start, then the PIN is really checked"
    other = start(login=False)
    token.script("C_Login return 0x100")
    assert refused(other.login, token.pin).word == "absent"


@pytest.mark.parametrize("flags, state", ((0x10000, "count low"), (0x20000, "final try"),
                                          (0x40000, "locked"), (0x70000, "locked")))
def test_flags_of_the_pin_are_told_and_kept_to(start, token, flags, state):
    token.script(f"C_GetTokenInfo flags {flags}")
    helper = start(login=False)
    opened = helper.open(token.module, token.uri)
    assert PIN_STATES[opened["pin_state"]] == state
    before = token.calls("C_Login")
    if state == "count low":
        assert helper.login(token.pin)["logged_in"] == 1
        return
    trouble = refused(helper.login, token.pin)
    assert trouble.word == "pin" and trouble.ckr == 0 and "not tried" in trouble.text
    assert token.calls("C_Login") == before
    if state == "final try":
        assert helper.login(token.pin, again=1)["logged_in"] == 1
    else:
        assert refused(helper.login, token.pin, again=1).word == "pin"
        assert token.calls("C_Login") == before


def test_with_a_pin_pad_no_pin_is_sent(start, token):
    """SoftHSM answers CKR_ARGUMENTS_BAD to a NULL PIN: it got one."""
    token.script("C_GetTokenInfo flags 0x100")
    helper = start(login=False)
    assert helper.open(token.module, token.uri)["pin_pad"] == 1
    assert refused(helper.login).ckr == CKR["ARGUMENTS_BAD"]
    assert refused(helper.login, token.pin, again=1).ckr == CKR["ARGUMENTS_BAD"]


def test_at_a_pin_pad_nobody_is_asked_by_a_recovery(start, token):
    token.script("C_GetTokenInfo flags 0x100", "C_Login return 0")
    helper = start(login=False)
    helper.login()
    logins = token.calls("C_Login")
    token.script("C_GetTokenInfo flags 0x100", "C_FindObjectsInit return 0x30 0 1")
    assert refused(helper.load, IN_TOKEN, bytes(16)).word == "absent"
    helper.state(lambda s: s.get("trouble") == TROUBLES.index("needs pin"))
    trouble = refused(helper.load, IN_TOKEN, bytes(16))
    assert trouble.word == "needs pin"
    assert token.calls("C_Login") == logins


@pytest.mark.parametrize("call, mechanism", (("C_GenerateKey", "aes-gcm"),
                                             ("C_GenerateKeyPair", "rsa-oaep-sha1")))
@pytest.mark.parametrize("times", (1, 2))
def test_a_key_to_seal_with_that_failed_late_is_not_left(start, token, call, mechanism, times):
    helper = start()
    helper.seal(generate=1, mechanism=mechanism)
    one = len(token.objects())
    token.script(f"{call} late 0x30 0 {times}", "C_GetTokenInfo return 0x30 0 1")
    try:
        helper.seal(generate=1, mechanism=mechanism)
        made = 2
    except Trouble as trouble:
        assert trouble.word in ("absent", "unfit")
        made = 1
    token.script()
    wait_until(lambda: len(token.objects()) == made * one, what="the end of what was left")


def test_a_bad_blob_leaves_no_session_behind(start, token):
    helper = start()
    pair = helper.pair()
    public = serialization.load_der_public_key(pair["public_key"])
    good = public.encrypt(bytes(64), padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    options = {"pair_id": pair["key_id"], "oaep": 2}
    helper.sign(helper.load(UNWRAP, secrets.token_bytes(16), blob=good, **options), b"x")
    open_ = lambda: token.calls("C_OpenSession") - token.calls("C_CloseSession")
    assert refused(helper.load, UNWRAP, bytes(16), blob=bytes(384), **options).word == "data"
    before = open_()
    for _ in range(10):
        assert refused(helper.load, UNWRAP, bytes(16), blob=bytes(384), **options).word == "data"
    assert open_() <= before


def test_idle_sessions_are_closed_before_the_device_is_given_up(start, token):
    helper = start()
    _, _, key = new_key(helper)
    assert helper.sign(key, b"x")
    initialized = token.calls("C_Initialize")
    token.script("C_OpenSession return 0xb1 0 1")
    assert new_key(helper)
    assert token.calls("C_Initialize") == initialized


def test_a_refusal_to_unseal_has_one_form(start, token):
    helper = start()
    sealed = helper.seal(generate=1, mechanism="rsa-pkcs1", allow_pkcs1=1)
    token.script("C_Decrypt length 31")
    length = refused(helper.unseal, sealed)
    token.script("C_Decrypt return 0x40")
    padded = refused(helper.unseal, sealed)
    assert length.word == padded.word == "data"
    assert length.fields == padded.fields


def test_a_module_that_cannot_be_finalized_ends_the_process(build, token):
    helper = Helper(build, token.env)
    helper.open(token.module, token.uri)
    helper.login(token.pin)
    _, _, key = new_key(helper)
    assert helper.sign(key, b"x")
    token.script("C_Finalize return 5", "C_SignInit return 0x30 0 1")
    helper.ask_sign(key, b"x")
    assert helper.process.wait(20) == 1
    assert b"cannot be finalized" in helper.process.stderr.read()
    helper.kill()


# Tokens


def test_a_token_swapped_for_another_is_noticed(start, token):
    helper = start()
    secret, ident, key = new_key(helper)
    assert helper.sign(key, b"x")
    token.script("C_GetTokenInfo serial 4711", "C_SignInit return 0x30 0 1")
    trouble = refused(helper.sign, key, b"x")
    assert trouble.word == "absent" and "no token fits" in trouble.text
    token.script()
    helper.state(is_fine)
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")


def test_one_token_twice_is_ambiguous(build, token):
    token.script("C_GetSlotList double")
    with Helper(build, token.env) as helper:
        assert refused(helper.open, token.module, token.uri).word == "ambiguous"


@pytest.mark.parametrize("line", (
    "C_GetSlotList length 65", "C_GetSlotList length 18446744073709551615",
    "C_GetSlotList return 0x30", "C_Initialize return 5", "C_OpenSession return 0xe0",
))
def test_a_module_that_does_not_start_is_an_absent_token(build, token, line):
    token.script(line)
    with Helper(build, token.env) as helper:
        assert refused(helper.open, token.module, token.uri).word == "absent"
        token.script()
        helper.state(lambda s: s.get("trouble") == TROUBLES.index("needs pin"))
        assert helper.login(token.pin)["logged_in"] == 1


def test_finding_nothing_makes_nothing(start, token):
    helper = start()
    secret, ident, key = new_key(helper)
    before, created = len(token.objects()), token.calls("C_CreateObject")
    token.script("C_FindObjectsInit empty")
    for _ in range(5):
        assert refused(helper.load, IN_TOKEN, ident).word == "no key"
    assert token.calls("C_Initialize") == 2, "looked for once more after a fresh start, then not"
    assert token.calls("C_CreateObject") == created and len(token.objects()) == before
    token.script()
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")


# Attributes


@pytest.mark.parametrize("line, why", (
    ("C_GetAttributeValue give 0x103 0", "sensitive"), ("C_GetAttributeValue give 0x162 1",
                                                       "extractable"),
    ("C_GetAttributeValue give 0x103 2", "sensitive"), ("C_GetAttributeValue value 64", "value"),
    ("C_GetAttributeValue value 1", "value"), ("C_GetAttributeValue value 512", "value"),
    ("C_GetAttributeValue length 1000", "sensitive"), ("C_GetAttributeValue return 0x12",
                                                      "sensitive"),
))
def test_a_key_that_is_not_what_was_asked_for_is_destroyed(start, token, line, why):
    helper = start()
    pair = helper.pair()
    before = len(token.objects())
    token.script(line)
    trouble = refused(helper.load, IN_TOKEN, secrets.token_bytes(16), key=bytes(64), label="oxvault:no")
    assert trouble.word == "unfit" and why in trouble.text, trouble
    assert len(token.objects()) == before
    destroyed = token.calls("C_DestroyObject")
    public = serialization.load_der_public_key(pair["public_key"])
    blob = public.encrypt(bytes(64), padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    trouble = refused(helper.load, UNWRAP, secrets.token_bytes(16), pair_id=pair["key_id"], oaep=2,
                      blob=blob)
    assert trouble.word == "unfit" and why in trouble.text, trouble
    assert token.calls("C_DestroyObject") == destroyed + 1


@pytest.mark.parametrize("line, why", (
    ("C_GetAttributeValue private 0x103 0", "sensitive"),
    ("C_GetAttributeValue private 0x162 1", "extractable"),
    ("C_GetAttributeValue private 0x123 1", "value"), ("C_GetAttributeValue private 0x11 1", "value"),
    ("C_GetAttributeValue private 0x105 1", "decrypt"),
    ("C_GetAttributeValue private 0x107 0", "unwrap"),
))
def test_a_private_key_that_may_leave_is_none(start, token, line, why):
    """Exponent (RSA) or value (EC); DECRYPT and UNWRAP matter for the pair of connections only."""
    helper = start()
    pair = helper.pair()
    rsa = helper.seal(generate=1, mechanism="rsa-oaep-sha1")
    before = len(token.objects())
    token.script(line)
    actions = []
    if "0x11 " not in line:
        actions += [lambda: helper.pair(), lambda: helper.pair(pair["key_id"])]
    if why in ("sensitive", "extractable") or "0x123" in line:
        actions += [lambda: helper.seal(generate=1, mechanism="rsa-oaep-sha1"),
                    lambda: helper.seal(key_id=rsa["key_id"], mechanism="rsa-oaep-sha1"),
                    lambda: helper.unseal(rsa)]
    if why in ("sensitive", "extractable") or "0x11 " in line:
        actions.append(lambda: helper.seal(generate=1, mechanism="ecdh"))
    for action in actions:
        trouble = refused(action)
        assert trouble.word in ("unfit", "no key") and why in trouble.text, trouble
    assert len(token.objects()) == before


@pytest.mark.parametrize("line, word", (
    ("C_GetAttributeValue refuse 0x11 0x150", "unfit"),  # more than fits: it does come out
    ("C_GetAttributeValue value 1024", "unfit"),
    ("C_GetAttributeValue refuse 0x11 0x30", "absent"), ("C_GetAttributeValue refuse 0x11 0x7", "unfit"),
))
def test_a_value_that_another_failure_hides_is_not_hidden(start, token, line, word):
    helper = start()
    _, ident, _ = new_key(helper)
    for form, options in ((PRE_PROVISIONED, {}), (IN_TOKEN, {}), (IN_TOKEN, {"key": bytes(64)})):
        token.script(line)
        wanted = secrets.token_bytes(16) if options else ident
        assert refused(helper.load, form, wanted, **options).word == word
        token.script()
        assert wait_until(lambda: loaded(helper, ident), what="the token")
    assert len(token.objects()) == 1


def test_a_key_made_in_a_call_that_failed_is_not_left(start, token):
    helper = start()
    ident = secrets.token_bytes(16)
    token.script("C_CreateObject late 0x30 0 1")
    assert refused(helper.load, IN_TOKEN, ident, key=bytes(64)).word == "absent"
    helper.state(is_fine)
    wait_until(lambda: not token.objects(), what="the end of what was left")
    first = new_key(helper)
    assert helper.sign(first[2], b"x")
    before = len(token.objects())
    token.script("C_CreateObject late 0x31 0 1")
    secret = secrets.token_bytes(64)
    key = helper.load(IN_TOKEN, ident, key=secret, label="oxvault:test")
    assert helper.sign(key, b"x") == mac(secret, b"x")
    assert len(token.objects()) == before + 1, "the first one is gone, the second is there"


def test_a_refused_import_costs_nobody_anything(start, token):
    """Its key is destroyed; the module is not initialized anew for that."""
    helper = start()
    secret, _, key = new_key(helper)
    assert helper.sign(key, b"x")
    initialized = token.calls("C_Initialize")
    token.script("C_GetAttributeValue give 0x162 1")
    assert refused(helper.load, IN_TOKEN, secrets.token_bytes(16), key=bytes(64)).word == "unfit"
    token.script("C_GenerateKeyPair return 0x12")
    assert refused(helper.pair).word == "unfit"
    assert helper.sign(key, b"x") == mac(secret, b"x")
    assert token.calls("C_Initialize") == initialized and len(token.objects()) == 1


def test_at_a_pin_pad_what_is_left_costs_no_login(start, token):
    pad = ("C_GetTokenInfo flags 0x100", f"C_Login pad {token.pin}")
    token.script(*pad)
    helper = start(login=False)
    helper.login()
    secret, _, key = new_key(helper)
    initialized = token.calls("C_Initialize")
    token.script(*pad, "C_GetAttributeValue give 0x162 1", "C_DestroyObject return 0x1b")
    for _ in range(3):
        trouble = refused(helper.load, IN_TOKEN, secrets.token_bytes(16), key=bytes(64))
        assert trouble.word == "unfit", trouble
    token.script(*pad)
    assert helper.sign(key, b"x") == mac(secret, b"x")
    assert token.calls("C_Initialize") == initialized


def test_what_another_application_made_is_not_destroyed(start, token):
    helper = start()
    secret, ident = secrets.token_bytes(64), secrets.token_bytes(16)
    key = helper.load(IN_TOKEN, ident, key=secret, label="theirs")
    assert refused(helper.drop, key, destroy=1).word == "refused"
    assert helper.sign(key, b"x") == mac(secret, b"x")
    # A pulled SoftHSM looks empty, then it fails: what is found afterwards was not made by this.
    token.script("C_FindObjectsInit empty 0 0 1", "C_CreateObject return 0x30 0 1")
    assert refused(helper.load, IN_TOKEN, ident, key=bytes(64), label="x").word == "ambiguous"
    token.script()
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")


def test_a_yubihsm_gets_what_it_takes(start, token):
    token.script("C_CreateObject yubihsm", "C_FindObjectsInit yubihsm")
    helper = start()
    secret, ident, key = new_key(helper)
    assert helper.sign(key, b"x") == mac(secret, b"x")
    assert helper.sign(helper.load(IN_TOKEN, ident), b"x") == mac(secret, b"x")
    assert helper.load(PRE_PROVISIONED, ident)


def test_a_pair_that_does_not_keep_to_its_template_is_refused(start, token):
    """Each proof in turn: the token decrypts with it, and its unwrapped key signs wrong."""
    helper = start()
    before = len(token.objects())
    unwraps = token.calls("C_UnwrapKey")
    helper.pair()
    unwraps = token.calls("C_UnwrapKey") - unwraps
    before += 2
    lines = [("C_Sign write 32", "another HMAC")]
    lines.append(("C_UnwrapKey bare", "is left out"))
    for n in (5, 4, 3):  # these three before the last two are those that have to be refused
        lines.append((f"C_UnwrapKey return 0 {unwraps - n} 1", "CKA_UNWRAP_TEMPLATE"))
    for line, why in lines:
        token.script(line)
        trouble = refused(helper.pair)
        assert trouble.word == "unfit" and why in trouble.text, (line, trouble)
        assert len(token.objects()) == before


@pytest.mark.parametrize("code", (0x30, 0x5, 0xB3, 0x40))
def test_a_device_that_fails_proves_no_refusal(start, token, code):
    """What a pair must not do has to be refused for that, not because the token is gone."""
    helper = start()
    unwraps = token.calls("C_UnwrapKey")
    helper.pair()
    unwraps = token.calls("C_UnwrapKey") - unwraps
    before = len(token.objects())
    token.script(f"C_UnwrapKey return {code} {unwraps - 5} 4", f"C_DecryptInit return {code}")
    assert refused(helper.pair).word in ("absent", "unfit", "data")
    token.script(f"C_DecryptInit return {code}")
    assert refused(helper.pair).word in ("absent", "unfit", "data")
    token.script(f"C_UnwrapKey return 0xf0 {unwraps - 5}")
    assert refused(helper.pair).word in ("absent", "unfit", "data"), "nothing works any more"
    token.script()
    wait_until(lambda: len(token.objects()) == before, what="the end of what was made")


# Seals


@pytest.mark.parametrize("dialect, number", ((WRITEBACK, 2), (APPENDED, 3)))
def test_the_dialects_of_an_iv_of_the_token(start, token, dialect, number):
    token.script(f"C_Encrypt gcm {number}")
    helper = start()
    sealed = helper.seal(generate=1, mechanism="aes-gcm", gcm_iv=dialect)
    assert sealed["gcm_iv"] == dialect
    assert len(sealed["blob"]) == (60 if dialect == WRITEBACK else 64)
    assert helper.unseal(sealed) == sealed["value"]
    assert helper.seal(key_id=sealed["key_id"], gcm_iv=dialect)["blob"][:12] != sealed["blob"][:12]
    other = APPENDED if dialect == WRITEBACK else HOST
    assert refused(helper.unseal, sealed, gcm_iv=other).word == "data"


@pytest.mark.parametrize("dialect", (WRITEBACK, APPENDED, HOST))
@pytest.mark.parametrize("number", (2, 3, 9))
def test_a_token_that_claims_another_dialect_is_refused(start, token, dialect, number):
    if (dialect, number) in ((WRITEBACK, 2), (APPENDED, 3)):
        return  # it speaks it
    token.script(f"C_Encrypt gcm {number}")
    helper = start()
    before = len(token.objects())
    trouble = refused(helper.seal, generate=1, mechanism="aes-gcm", gcm_iv=dialect)
    assert trouble.word == "unfit", trouble
    assert len(token.objects()) == before


@pytest.mark.parametrize("line", (
    "C_Decrypt length 31", "C_Decrypt length 33", "C_Decrypt length 0", "C_Decrypt length 5000",
    "C_Decrypt write 32", "C_Encrypt length 47", "C_Encrypt length 4000",
))
def test_a_seal_that_does_not_come_back_is_none(start, token, line):
    helper = start()
    good = helper.seal(generate=1, mechanism="aes-gcm")
    before = len(token.objects())
    token.script(line)
    trouble = refused(helper.seal, generate=1, mechanism="aes-gcm")
    assert trouble.word == "unfit", trouble
    assert len(token.objects()) == before
    if "Decrypt length" in line:
        assert refused(helper.unseal, good).word in ("data", "unfit")
    token.script()
    assert helper.unseal(good) == good["value"]


@pytest.mark.parametrize("mechanism", ("aes-gcm", "rsa-oaep-sha1", "aes-kwp-wrap"))
@pytest.mark.parametrize("code", (0x31, 0xB3, 0x101, 0x2, 0x70))
def test_a_failure_that_is_not_about_the_blob_proves_no_authentication(
    start, token, mechanism, code):
    call = "C_UnwrapKey" if mechanism == "aes-kwp-wrap" else "C_Decrypt"
    helper = start()
    before, calls = len(token.objects()), token.calls(call)
    assert helper.seal(generate=1, mechanism=mechanism)["mechanism"]
    opened = token.calls(call) - calls
    assert opened == 4, "the good one, two damaged ones, the good one once more"
    for skip, times in ((1, 2), (3, 1)):
        token.script(f"{call} return {code} {skip} {times}")
        assert refused(helper.seal, generate=1, mechanism=mechanism).word in ("unfit", "absent")
        token.script()
        wait_until(lambda: len(token.objects()) <= before + 2, what="the end of what was made")


def test_a_short_rsa_key_seals_and_the_probe_says_so(build, start, token):
    ident = secrets.token_bytes(16)
    subprocess.run(
        ["pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--token-label", token.label,
         "--login", "--pin", token.pin, "--keypairgen", "--key-type", "rsa:2048", "--id",
         ident.hex(), "--usage-decrypt"],
        env={**os.environ, **token.env}, check=True, capture_output=True,
    )
    helper = start()
    sealed = helper.seal(key_id=ident, mechanism="rsa-oaep-sha1")
    assert helper.unseal(sealed) == sealed["value"]
    trouble = refused(helper.pair, ident)
    assert trouble.word == "unfit" and "2048 bits" in trouble.text
    token.script("C_GenerateKeyPair return 0x54")
    assert any("2048 bits" in note for note in run_probe(build, token)["notes"])


def test_what_was_not_tried_makes_no_silent_good_grade(build, token):
    """The token takes no wrapping key that we know; whether it leaks by C_WrapKey nobody knows."""
    notes = {}
    for line in ("", "C_CreateObject yubihsm"):
        token.script(line)
        probe = run_probe(build, token)
        assert probe["sign"]["grade"] == "good"
        notes[line] = [note for note in probe["notes"] if "Not tried" in note]
    assert [len(found) for found in notes.values()] == [0, 1]


# Ends


@pytest.mark.parametrize("call", ("C_Sign", "C_SignInit"))
def test_a_hang_holds_up_its_own_request_only(start, token, call):
    helper = start()
    secret, _, key = new_key(helper)
    sealed = helper.seal(generate=1, mechanism="aes-gcm")
    token.script(f"{call} hang 0 0 1")
    stuck = helper.ask_sign(key, b"x")
    wait_until(lambda: token.calls(call), what="the call")
    token.script()
    assert helper.unseal(sealed) == sealed["value"]
    assert stuck not in helper.kept
    helper.kill()
    again = start()
    assert again.unseal(sealed) == sealed["value"]
    helper.process.returncode = 0
    helper.close = lambda: 0


@pytest.mark.parametrize("call", ("C_Sign", "C_Login", "C_Initialize", "C_GetTokenInfo"))
def test_a_crash_ends_the_helper_and_nothing_is_answered(build, token, call):
    helper = Helper(build, token.env)
    try:
        if call == "C_Sign":
            helper.open(token.module, token.uri)
            helper.login(token.pin)
            _, _, key = new_key(helper)
            token.script(f"{call} crash")
            helper.ask_sign(key, b"x")
        else:
            token.script(f"{call} crash")
            helper.ask(144, (1, token.module), (2, token.uri))
            if call == "C_Login":
                helper.answer(1)
                helper.ask(145, (1, token.pin))
        assert helper.process.wait(20) in (-signal.SIGSEGV, 1)
    finally:
        helper.kill()


def test_a_helper_whose_module_hangs_still_ends(build, token):
    """The keeper closes the channel; nobody waits for what is stuck."""
    helper = Helper(build, token.env)
    helper.open(token.module, token.uri)
    helper.login(token.pin)
    _, _, key = new_key(helper)
    token.script("C_Sign hang")
    helper.ask_sign(key, b"x")
    wait_until(lambda: token.calls("C_Sign"), what="the call")
    assert helper.close() == 0
