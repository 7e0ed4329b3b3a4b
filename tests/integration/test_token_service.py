"""A whole service with a token: the exact commands of issue 3, and a token that goes and comes."""

import hashlib
import json
import os
import pwd
import shutil
import signal
import time
from urllib.parse import quote

import pytest
from support import oauth
from support.credentials import A1, EMPLOYEE_URL
from support.load import Load, not_in_log
from support.process import process, wait_until
from support.service import Build, StartFailed, private_file, public_directory
from support.terminal import Terminal
from support.token_service import LoginCounter, TokenService
from support.tokens import SoftHsm, Tpm

BACK_SECONDS = 40.0  # the back-off ends at 30 s, with jitter
# A token that cannot unwrap: its keys are objects of the token, and go when it goes.
WITHOUT_RSA = "CKM_AES_KEY_GEN,CKM_AES_GCM,CKM_SHA256_HMAC,CKM_GENERIC_SECRET_KEY_GEN"


@pytest.fixture
def make_token():
    made = []

    def make(**options):
        made.append(SoftHsm(**options))
        return made[-1]

    yield make
    for token in made:
        token.remove()


@pytest.fixture
def make_token_service(build, make_token):
    made = []

    def make(token=None, build=build, **options):
        made.append(TokenService(build, token or make_token(), **options))
        return made[-1]

    yield make
    for service in made:
        if service.stderr_file.exists():
            print(f"--- stderr of {service.base}\n{service.stderr}")
        service.remove()


def up(service):
    service.init()
    service.start()
    return service


def furnish(service, *more):
    """hsm1 signs in the token, acme in the vault; this uid may use both."""
    service.add_token_connection("hsm1", A1, *more)
    service.add_connection("acme")
    service.add_caller()
    for connection in ("hsm1", "acme"):
        service.add_grant("order-exchange", connection)
    return service


def key_of(service, name):
    """What status says of it."""
    return next(c for c in service.oxvault_json("status")["connections"] if c["name"] == name)


# ---- the exact commands ----


def test_the_exact_commands_of_the_issue(make_token_service):
    service = up(make_token_service())
    furnish(service)
    (token,) = service.tokens
    assert token["state"] == "ready"
    assert token["label"] == "ci"
    assert key_of(service, "hsm1")["key"] == "in token"
    assert key_of(service, "acme")["key"] == "in vault"
    assert [t["state"] for t in service.oxvault_json("status")["tokens"]] == ["ready"]
    for connection in ("hsm1", "acme"):
        answer = service.sign_oauth1(EMPLOYEE_URL, connection=connection)
        assert answer.status == 200, answer
        assert oauth.verifies(answer.json["authorization"], "GET", EMPLOYEE_URL, A1.secrets)
    service.restart()
    answer = service.sign_oauth1(EMPLOYEE_URL, connection="hsm1")
    assert oauth.verifies(answer.json["authorization"], "GET", EMPLOYEE_URL, A1.secrets)
    assert service.stop() == 0
    service.verify_log()


@pytest.mark.root
def test_a_token_helper_under_its_own_user_is_locked_in(make_token_service, make_token):
    token = make_token(owner=pwd.getpwnam("oxvault-token").pw_uid)
    service = furnish(up(make_token_service(token, users="roles")))
    assert service.sign_oauth1(EMPLOYEE_URL, connection="hsm1").status == 200
    (pid,) = service.helper_pids
    status = dict(
        line.split(":\t", 1)
        for line in open(f"/proc/{pid}/status", encoding="ascii").read().splitlines()
    )
    assert set(status["Uid"].split()) == {str(pwd.getpwnam("oxvault-token").pw_uid)}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")[:-1]
    assert sorted(environment) == sorted(
        [b"OPENSSL_CONF=/dev/null", f"SOFTHSM2_CONF={token.conf}".encode()]
    )
    for other in (service.keeper_pid, *service.frontend_pids):
        maps = open(f"/proc/{other}/maps", encoding="ascii").read()
        assert "libsofthsm2" not in maps  # the module is in the helper alone
    assert "libsofthsm2" in open(f"/proc/{pid}/maps", encoding="ascii").read()


# ---- a token that goes and comes ----


@pytest.fixture
def loads():
    made = []

    def make(service, connection):
        made.append(Load(service.socket("sign"), threads=2, connection=connection))
        made[-1].go()
        return made[-1]

    yield make
    for load in made:
        load.end()


def nothing_is_lost(service, *loads):
    for load in loads:
        load.pause()
    service.verify_log()
    entries = service.log_entries()
    for load in loads:
        assert load.released
        assert not load.unexpected, load.unexpected[0]
        assert not_in_log(load.released, entries) == []
    return entries


def states(entries):
    return [entry["reason"] for entry in entries if entry["type"] == "token.state"]


def test_a_token_that_was_pulled_is_used_again_when_it_is_back(make_token_service, make_token, loads):
    token = make_token(mechanisms=WITHOUT_RSA)
    service = furnish(up(make_token_service(token)))
    assert key_of(service, "hsm1")["key_form"] == "token"
    objects = [path.name for path in token.objects()]
    in_token, in_vault = loads(service, "hsm1"), loads(service, "acme")
    in_token.wait_for(20)
    token.move_away()
    wait_until(lambda: in_token.refused["token_unavailable"] > 3, 15, "token_unavailable")
    answer = service.sign_oauth1(EMPLOYEE_URL, connection="hsm1")
    assert (answer.status, answer.code) == (503, "token_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "token" in answer.json["detail"]
    before = len(in_vault.released)
    in_vault.wait_for(200)  # nobody else waits for it
    assert len(in_vault.released) > before and not in_vault.refused
    moved_back = time.monotonic()
    token.move_back()
    in_token.wait_for_one_asked_after(moved_back, BACK_SECONDS)
    in_token.wait_for(20)
    entries = nothing_is_lost(service, in_token, in_vault)
    assert [path.name for path in token.objects()] == objects
    assert len(states(entries)) >= 2  # it went, and it came
    assert len(states(entries)) <= 8  # and nothing else was worth an entry
    answer = service.sign_oauth1(EMPLOYEE_URL, connection="hsm1")
    assert oauth.verifies(answer.json["authorization"], "GET", EMPLOYEE_URL, A1.secrets)


def test_a_token_helper_that_was_killed_is_replaced(make_token_service, loads):
    service = furnish(up(make_token_service()))
    objects = [path.name for path in service.token.objects()]
    in_token, in_vault = loads(service, "hsm1"), loads(service, "acme")
    for _ in range(3):
        in_token.wait_for(20)
        (helper,) = service.helper_pids
        os.kill(helper, signal.SIGKILL)
        killed = time.monotonic()
        in_token.wait_for_one_asked_after(killed, BACK_SECONDS)
        assert process(helper) is None or process(helper).state in "ZX"
    in_token.wait_for(20)
    nothing_is_lost(service, in_token, in_vault)
    assert not in_vault.refused
    assert [path.name for path in service.token.objects()] == objects
    assert len(service.helper_pids) == 1


def test_a_keeper_that_was_killed_opens_the_vault_by_the_token_again(make_token_service, loads):
    service = furnish(up(make_token_service()))
    objects = [path.name for path in service.token.objects()]
    in_token = loads(service, "hsm1")
    in_token.wait_for(20)
    (helper,) = service.helper_pids
    os.kill(service.keeper_pid, signal.SIGKILL)
    killed = time.monotonic()
    in_token.wait_for_one_asked_after(killed, BACK_SECONDS)
    wait_until(lambda: helper not in service.helper_pids, 5, "the end of its helper")
    nothing_is_lost(service, in_token)
    assert [path.name for path in service.token.objects()] == objects


def test_a_stopped_token_helper_is_given_up_and_replaced(make_token_service, loads):
    service = furnish(up(make_token_service()))
    in_token, in_vault = loads(service, "hsm1"), loads(service, "acme")
    in_token.wait_for(20)
    (helper,) = service.helper_pids
    os.kill(helper, signal.SIGSTOP)
    stopped = time.monotonic()
    in_vault.wait_for(200)
    in_token.wait_for_one_asked_after(stopped + 1, BACK_SECONDS)
    assert helper not in service.helper_pids
    nothing_is_lost(service, in_token, in_vault)
    assert not in_vault.refused


def test_without_its_token_the_service_does_not_start_and_says_why(make_token_service):
    service = make_token_service()
    service.init()
    service.token.move_away()
    with pytest.raises(StartFailed) as failed:
        service.start()
    assert failed.value.code == 7
    assert failed.value.stderr.startswith("oxvaultd: token ci: ")
    assert failed.value.stderr.count("\n") == 1
    service.token.move_back()
    service.start()
    assert service.stop() == 0


def test_the_pin_of_a_token_that_is_new_is_asked_for(make_token_service):
    service = up(make_token_service())
    service.token.add_token("other", "5678")
    file = private_file(service.base / "secrets.json", json.dumps(A1.secrets))
    terminal = Terminal(
        service.build.oxvault, "--run", service.run, "connection", "add", "hsm2", "--system", "netsuite",
        "--account-id", A1.account, "--consumer-key", A1.consumer_key, "--token-id", A1.token,
        "--secrets-file", file, "--in-token", "pkcs11:token=other", "--module", service.module)
    try:
        terminal.expect("PIN of the token")
        assert not terminal.echoes()
        terminal.type("5678\n")
        terminal.wait()
        assert terminal.code == 0
    finally:
        terminal.close()
    assert key_of(service, "hsm2")["key_form"] == "unwrap"


def test_a_seal_whose_key_is_gone_says_what_to_do(make_token_service):
    service = make_token_service()
    service.init()
    for path in service.token.objects():
        path.unlink()
    with pytest.raises(StartFailed) as failed:
        service.start()
    assert "open the vault by another seal, and do not initialise the token again" in failed.value.stderr
    assert "import the connection" not in failed.value.stderr


# ---- a helper that hangs at the start ----


@pytest.fixture
def stopping(hooks_build):
    """A build whose token helper stops once before it does anything, where DIR/once is there."""
    place = public_directory()
    shutil.copytree(hooks_build.prefix, place / "tree", symlinks=True)
    build = Build(place / "tree")
    real = build.libexec / "real/oxvault-token"
    real.parent.mkdir()
    (build.libexec / "oxvault-token").rename(real)
    (build.libexec / "oxvault-token").write_text(
        f"#!/bin/sh\nif rmdir {place}/marks/once 2>/dev/null; then echo $$ >{place}/marks/pid; "
        f'kill -STOP $$; fi\nexec {real} "$@"\n')
    (build.libexec / "oxvault-token").chmod(0o755)
    (place / "marks").mkdir()
    (place / "marks").chmod(0o777)
    yield build, place / "marks"
    shutil.rmtree(place)


def test_a_token_helper_that_hangs_at_the_start_is_replaced(make_token_service, stopping):
    build, marks = stopping
    service = make_token_service(build=build)
    service.init()
    (marks / "once").mkdir()
    service.start(environment={"OXV_HOOK": "token.open_us:1000000"})  # else it is 30 s
    assert not (marks / "once").exists()
    assert "it did not answer in time" in service.stderr
    assert len(service.helper_pids) == 1
    assert int((marks / "pid").read_text()) not in service.helper_pids


# ---- a PIN of one token is for no other ----


def test_a_token_that_is_named_first_gets_no_pin_that_was_meant_for_others(make_token_service):
    service = up(make_token_service())
    service.token.add_token("other", service.token.pin)
    service.token.uri = "pkcs11:token=other"
    module = ("--module", service.module)
    with pytest.raises(AssertionError) as failed:
        service.add_token_connection("hsm2", A1, *module)
    assert "exit 4" in str(failed.value)
    assert "the service has no PIN for it; give its PIN with the command: --pin-file" in str(failed.value)
    assert b"token=other" not in (service.dir / "token-pins").read_bytes()  # it was not even tried
    service.add_token_connection("hsm2", A1, *module, "--pin-file", service.pin_file)
    service.restart()  # now it is one of the vault's
    wait_until(lambda: [t["state"] for t in service.tokens if t["label"] == "other"] == ["ready"], 10,
               "its login by the service's PIN")


# ---- a keeper that is replaced while the vault does not open ----


def replace_keeper(service):
    """Kills it; the new one has said that it is up, sealed, and on stderr once what to run."""
    said = service.stderr.count("you run oxvault unseal")
    service.close_doors()
    os.kill(service.keeper_pid, signal.SIGKILL)
    wait_until(lambda: "the new keeper is up, sealed" in service.stderr, 10, "a keeper that is up")
    assert service.stderr.count("you run oxvault unseal") == said + 1
    answer = service.sign_oauth1(EMPLOYEE_URL, connection="acme")
    assert (answer.status, answer.code) == (503, "sealed")
    assert "sealed" in service.oxvault("health", check=False).stdout


def is_open(service):
    return service.sign_oauth1(EMPLOYEE_URL, connection="acme").status == 200


def test_a_replaced_keeper_opens_the_vault_when_its_token_is_back(make_token_service):
    service = up(make_token_service())
    service.add_connection("acme")
    service.add_caller()
    service.add_grant("order-exchange", "acme")
    assert is_open(service)
    service.token.move_away()
    replace_keeper(service)
    service.token.move_back()
    wait_until(lambda: is_open(service), BACK_SECONDS, "the token's return")
    entries = [e for e in service.log_entries() if e["type"] == "vault.unseal"]
    assert [e.get("code") for e in entries[-2:]] == ["token_unavailable", None]
    assert entries[-1]["reason"] == "its token is back"
    assert service.stderr.count("the vault is sealed until the token is back") == 1
    service.oxvault("lock")  # and what a person locks stays so
    service.token.move_away()
    service.token.move_back()
    assert service.sign_oauth1(EMPLOYEE_URL, connection="acme").code == "sealed"
    assert service.stop() == 0


@pytest.mark.parametrize("content", ["4321", "", "\n", "12\x0034", "1" * 300])
def test_a_replaced_keeper_whose_pin_was_changed_is_sealed_and_opens_by_the_right_one(
    make_token_service, content
):
    service = furnish(up(make_token_service()))
    pin = service.pin_file.read_text()
    service.pin_file.write_text(content)
    replace_keeper(service)
    service.pin_file.write_text(pin)
    service.oxvault("unseal", "--pin-file", service.pin_file)
    assert is_open(service)
    assert service.stop() == 0


@pytest.mark.parametrize("content", [b"k" * 32, b"", b"short"])
def test_a_replaced_keeper_whose_key_file_was_changed_is_sealed(make_token_service, content):
    service = furnish(up(make_token_service(seal="keyfile")))
    key = service.secret_file.read_bytes()
    service.secret_file.write_bytes(content)
    replace_keeper(service)
    service.secret_file.write_bytes(key)
    service.oxvault("unseal", "--keyfile", service.secret_file)
    assert is_open(service)
    assert service.stop() == 0


@pytest.mark.parametrize(("content", "reason"), [("", "the PIN is empty"), ("\n", "the PIN is empty"),
                                                 ("12\x0034", "the PIN has a NUL")])
def test_a_pin_file_without_a_pin_ends_the_first_start_with_the_reason(
    make_token_service, content, reason
):
    service = make_token_service()
    service.init()
    service.pin_file.write_text(content)
    with pytest.raises(StartFailed) as failed:
        service.start()
    assert failed.value.code == 4
    assert failed.value.stderr == f"oxvaultd: {service.pin_file}: {reason}\n"


# ---- a TPM ----


def key_of_hmac_sha256(credentials):
    """K0: what the vendor's tool is to import."""
    key = f"{quote(credentials.consumer_secret, safe='')}&{quote(credentials.token_secret, safe='')}"
    assert len(key) > 64
    return hashlib.sha256(key.encode()).digest()


@pytest.fixture
def tpm():
    with Tpm() as made:
        yield made


def test_a_tpm_that_was_restarted_is_used_again(make_token_service, tpm, loads):
    key_id = tpm.import_hmac(key_of_hmac_sha256(A1), "oauth-k0")
    service = furnish(up(make_token_service(tpm)), "--key-id", key_id.hex())
    assert key_of(service, "hsm1")["key_form"] == "pre-provisioned"
    objects = tpm.objects()
    in_token, in_vault = loads(service, "hsm1"), loads(service, "acme")
    in_token.wait_for(20)
    tpm.stop()
    wait_until(lambda: in_token.refused["token_unavailable"] > 3, 30, "token_unavailable")
    in_vault.wait_for(200)
    tpm.start()
    restarted = time.monotonic()
    in_token.wait_for_one_asked_after(restarted, BACK_SECONDS)
    in_token.wait_for(20)
    nothing_is_lost(service, in_token, in_vault)
    answer = service.sign_oauth1(EMPLOYEE_URL, connection="hsm1")
    assert oauth.verifies(answer.json["authorization"], "GET", EMPLOYEE_URL, A1.secrets)
    assert tpm.lockout_counter() == 0
    assert tpm.objects() == objects


def test_a_wrong_pin_costs_a_tpm_one_try_over_three_starts(make_token_service, tpm):
    service = make_token_service(tpm)
    service.init()
    assert tpm.lockout_counter() == 0
    right, service.pin_file = service.pin_file, wrong_pin(service)
    for _ in range(3):
        with pytest.raises(StartFailed) as failed:
            service.start()
        assert failed.value.code == 4
    assert tpm.lockout_counter() == 1
    service.pin_file = right
    service.start()
    assert service.stop() == 0
    assert tpm.lockout_counter() == 1


# ---- PINs ----


def wrong_pin(service):
    return private_file(service.base / "wrong-pin", "4321")


def test_a_wrong_pin_is_tried_once_over_three_starts(make_token_service):
    counter = LoginCounter()
    try:
        service = make_token_service(module=counter.module)
        service.init()
        right, before = service.pin_file, counter.count
        assert before >= 1
        service.pin_file = wrong_pin(service)
        for _ in range(3):
            with pytest.raises(StartFailed) as failed:
                service.start()
            assert failed.value.code == 4
            assert "PIN" in failed.value.stderr
            assert "4321" not in failed.value.stderr
        assert counter.count == before + 1
        service.pin_file = right
        service.start()
        assert counter.count > before + 1
        assert service.stop() == 0
    finally:
        shutil.rmtree(counter.directory)


def test_a_wrong_pin_for_connections_leaves_the_others_alone(make_token_service):
    counter = LoginCounter()
    try:
        service = make_token_service(seal="keyfile", module=counter.module)
        furnish(up(service))
        service.stop()
        service.options[-1] = str(wrong_pin(service))
        before = counter.count
        for _ in range(3):
            service.start()
            assert service.sign_oauth1(EMPLOYEE_URL, connection="acme").status == 200
            wait_until(lambda: service.tokens[0]["state"] == "pin refused", 10, "the refusal")
            answer = service.sign_oauth1(EMPLOYEE_URL, connection="hsm1")
            assert (answer.status, answer.code) == (503, "token_unavailable")
            service.stop()
        assert counter.count == before + 1
        service.verify_log()
    finally:
        shutil.rmtree(counter.directory)


def test_the_pin_is_in_no_argument_environment_log_or_message(make_token_service, make_token):
    pin = "hunter2-is-long"
    service = furnish(up(make_token_service(make_token(pin=pin))))
    for one in service.processes:
        for name in ("cmdline", "environ"):
            assert pin.encode() not in open(f"/proc/{one.pid}/{name}", "rb").read()
    assert service.stop() == 0
    assert pin not in service.stderr
    for path in service.dir.rglob("*"):
        assert not path.is_file() or pin.encode() not in path.read_bytes()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_newline_behind_the_pin_does_no_harm(make_token_service, ending):
    service = make_token_service()
    service.pin_file = private_file(service.base / "pin", f"1234{ending}")
    up(service)
    assert service.stop() == 0


def test_a_pin_by_descriptor_opens_the_vault_once(make_token_service):
    service = make_token_service(source=False)
    service.init()
    service.wrapper = ["sh", "-c", f'exec 9<"{service.pin_file}"; exec "$@"', "sh"]
    service.start("--pin-fd", "9", expect="oxvaultd ready")
    os.kill(service.keeper_pid, signal.SIGKILL)
    wait_until(lambda: "was not kept" in service.stderr, 10, "the line")
    wait_until(lambda: service.pids("keeper"), 10, "another keeper")
    wait_until(lambda: service.oxvault_json("status")["state"] == "sealed", 10, "a sealed vault")
