"""The oxvault command with a real token: SoftHSM, through the whole service."""

import json
import os
import pwd
import secrets
import subprocess

import pytest
from support import oauth
from support.credentials import A1, EMPLOYEE_URL
from support.process import wait_until
from support.service import private_file
from support.terminal import Terminal
from support.token_service import TokenService
from support.tokens import SoftHsm

DONE, FAILED, USAGE, DENIED, LOCKED, NOT_FOUND, TOKEN = 0, 1, 2, 3, 4, 5, 7
WITHOUT_RSA = "CKM_AES_KEY_GEN,CKM_AES_GCM,CKM_SHA256_HMAC,CKM_GENERIC_SECRET_KEY_GEN"
NETSUITE = (
    "--system", "netsuite", "--account-id", A1.account, "--consumer-key", A1.consumer_key, "--token-id", A1.token,
)


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
def token(make_token):
    return make_token()


@pytest.fixture
def start(build, make_token):
    """start(token=..., **options) -> a service that runs."""
    made = []

    def make(token=None, *, init=(), **options):
        service = TokenService(build, token or make_token(), **options)
        made.append(service)
        service.init(*init)
        service.start()
        return service

    yield make
    for service in made:
        if service.stderr_file.exists():
            print(f"--- stderr of {service.base}\n{service.stderr}")
        service.remove()


@pytest.fixture
def sealed_by_key(start, token):
    """A vault that a key file opens, and a token beside it whose PIN the service has."""
    return start(token, seal="keyfile")


def refused(service, code, *arguments, **options):
    done = service.oxvault(*arguments, check=False, **options)
    assert done.returncode == code, done
    assert done.stderr.startswith("oxvault: "), done.stderr
    return done.stderr


def pin_file(service, content):
    return private_file(service.base / f"pin-{secrets.token_hex(4)}", content)


def secrets_file(service, **members):
    return private_file(service.base / f"s-{secrets.token_hex(6)}.json", json.dumps({**A1.secrets, **members}))


def state_of(service, label="ci"):
    """None: it is not in the list yet, as just after a start."""
    return next((token["state"] for token in service.tokens if token["label"] == label), None)


def key_of(service, name="acme"):
    return service.oxvault_json("connection", "show", name)


def signs(service, name="acme"):
    """Asks for a signature and computes the same from the secrets."""
    answer = service.sign_oauth1(EMPLOYEE_URL, connection=name)
    assert answer.status == 200, answer
    assert oauth.verifies(answer.json["authorization"], "GET", EMPLOYEE_URL, A1.secrets)


def objects(token):
    """How many objects are on it, beside the token itself."""
    return len([path for path in token.objects() if path.name != "token.object"])


def may_use(service, name="acme"):
    service.add_caller()
    service.add_grant("order-exchange", name)
    return service


# init


def test_init_seals_with_a_token_and_no_process_is_left(build, token, tmp_path):
    environment = {**os.environ, **token.env}
    users = ("--users", "none") if os.geteuid() == 0 else ()
    arguments = (build.oxvault, "init", "--dir", tmp_path / "v", "--seal", token.uri, "--module", token.module,
                 "--pin-file", token.pin_file, *users)
    done = subprocess.run([*arguments, "--generate"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == DONE, done
    assert "the token is the only seal" in done.stderr
    assert "Give this to your auditor now" in done.stdout and f"--pin-file {token.pin_file}" in done.stdout
    assert objects(token) == 1
    assert token.pin not in done.stdout + done.stderr


@pytest.mark.parametrize("change, code, says", [
    ({"--pin-file": "bad"}, LOCKED, "refused the PIN"),
    ({"--seal": "pkcs11:token=other"}, TOKEN, "token other"),
    ({"--module": "/usr/lib/none.so"}, None, "/usr/lib/none.so"),
    ({"--mechanism": "rsa-oaep-sha256"}, None, "rsa-oaep-sha256"),
    ({"--generate": None}, None, "token ci"),
])
def test_init_that_fails_says_why_and_leaves_nothing(build, token, tmp_path, change, code, says):
    private_file(tmp_path / "bad", "9999\n")
    line = {"--dir": tmp_path / "v", "--seal": token.uri, "--module": token.module, "--pin-file": token.pin_file,
            "--generate": ""}
    line.update({name: tmp_path / "bad" if value == "bad" else value for name, value in change.items()})
    words = [word for name, value in line.items() if value is not None for word in (name, value) if word != ""]
    users = ("--users", "none") if os.geteuid() == 0 else ()
    done = subprocess.run([str(word) for word in (build.oxvault, "init", *words, *users)],
                          env={**os.environ, **token.env}, capture_output=True, text=True, check=False)
    assert done.returncode not in (DONE,) and (code is None or done.returncode == code), done
    assert says in done.stderr, done
    assert not (tmp_path / "v").exists()
    assert objects(token) == 0 or "--mechanism" in change


@pytest.mark.root
def test_as_root_the_helper_runs_as_a_user_of_its_own(build, start, make_token):
    try:
        uid = pwd.getpwnam("oxvault-token").pw_uid
    except KeyError:
        pytest.skip("there is no user oxvault-token here")
    token = make_token(owner=uid)
    listed = subprocess.run([build.oxvault, "token", "list", "--module", token.module, "--json"],
                            env={**os.environ, **token.env}, capture_output=True, text=True, check=True)
    assert [entry["label"] for entry in json.loads(listed.stdout)["tokens"]] == ["ci"]
    service = start(token, users="roles")
    assert {path.stat().st_uid for path in token.tokens.rglob("*.object")} == {uid}
    service.add_token_connection("acme", A1)
    may_use(service)
    signs(service)


# Seals and unseal


def test_a_token_is_a_second_seal_and_opens_the_vault(sealed_by_key):
    service = sealed_by_key
    service.oxvault(
        "seal", "add", service.token.uri, "--module", service.module, "--generate", "--existing-keyfile",
        service.secret_file, "--pin-file", service.pin_file)
    assert [s["kind"] for s in service.oxvault_json("seal", "list")["seals"]] == ["keyfile", "token"]
    assert " ci " in service.oxvault("seal", "list").stdout
    service.oxvault("lock")
    assert service.oxvault("unseal", "--pin-file", service.pin_file).stdout == "The vault is open.\n"
    service.oxvault("lock")
    assert service.oxvault("unseal", "--seal", "2").stdout == "The vault is open.\n"  # the service has the PIN
    service.oxvault("seal", "remove", "1")
    service.oxvault("lock")
    assert service.oxvault("unseal").returncode == DONE


def test_seal_add_says_what_is_wrong(sealed_by_key):
    service = sealed_by_key
    add = ("seal", "add", "token", "--uri", service.token.uri, "--module", service.module)
    existing = ("--existing-keyfile", service.secret_file)
    wrong = private_file(service.base / "other-key", b"x" * 32)
    refused(service, LOCKED, *add, "--generate", "--existing-keyfile", wrong)
    assert objects(service.token) == 0  # no key that nobody uses
    assert "refused the PIN" in refused(
        service, LOCKED, *add, "--generate", *existing, "--pin-file", pin_file(service, "9999"))
    refused(service, TOKEN, "seal", "add", "pkcs11:token=gone", "--module", service.module, *existing)
    assert [s["kind"] for s in service.oxvault_json("seal", "list")["seals"]] == ["keyfile"]


def test_a_token_that_opens_the_vault_adds_a_passphrase(start):
    service = start()
    passphrase = private_file(service.base / "pp", "correct horse\n")
    add = ("seal", "add", "passphrase", "--passphrase-file", passphrase)
    refused(service, LOCKED, *add)
    refused(service, LOCKED, *add, "--existing-pin-file", pin_file(service, "0000"))
    assert service.oxvault(*add, "--existing-pin-file", service.pin_file).stdout == (
        "Seal 2 (passphrase) opens the vault now.\n")
    assert service.oxvault(*add, "--existing-pin-file", service.pin_file, "--existing-seal", "1").returncode == DONE
    refused(service, NOT_FOUND, *add, "--existing-pin-file", service.pin_file, "--existing-seal", "9")
    service.oxvault("lock")
    assert service.oxvault("unseal", "--passphrase-file", passphrase).stdout == "The vault is open.\n"


def test_a_wrong_pin_is_exit_4_and_the_right_one_opens(start):
    service = start()
    service.oxvault("lock")
    for _ in range(2):
        text = refused(service, LOCKED, "unseal", "--pin-file", pin_file(service, "0000\n"))
        assert "refused the PIN" in text and "0000" not in text
    refused(service, DENIED, "unseal", "--pin-file", private_file(service.base / "open", "1234").chmod(0o644)
            or service.base / "open")
    refused(service, FAILED, "unseal", "--pin-file", pin_file(service, ""))
    refused(service, USAGE, "unseal", "--pin-file", service.pin_file, "--keyfile", service.pin_file)
    assert service.oxvault("unseal", "--pin-file", pin_file(service, "1234\r\n")).stdout == "The vault is open.\n"


def test_unseal_asks_for_the_pin_without_echo(start):
    service = start()
    service.oxvault("lock")
    for pin, says, code in [("0000", "refused the PIN", LOCKED), ("1234", "The vault is open.", DONE)]:
        terminal = Terminal(service.build.oxvault, "--run", service.run, "unseal")
        try:
            terminal.expect("PIN of the token ci (empty")
            assert not terminal.echoes()
            terminal.type(f"{pin}\n")
            text = terminal.wait()
            assert says in text and pin not in text
            assert terminal.code == code
        finally:
            terminal.close()


# Connections


def test_a_key_goes_into_the_token_in_the_form_it_takes(start, make_token):
    for options, more, form in [
        ({}, (), "unwrap"), ({}, ("--objects-only",), "token"), ({"mechanisms": WITHOUT_RSA}, (), "token"),
    ]:
        service = start(make_token(**options))
        before = objects(service.token)
        done = service.add_token_connection("acme", A1, *more)
        assert "There is no way out of a token" in done.stdout
        shown = key_of(service)
        assert (shown["key"], shown["key_form"], len(shown["key_id"])) == ("in token", form, 32)
        assert objects(service.token) == before + (1 if form == "token" else 2)
        may_use(service)
        signs(service)
        service.oxvault("connection", "remove", "acme")
        assert objects(service.token) == before + (0 if form == "token" else 2)


def test_a_key_that_is_in_the_token_already_is_used_where_the_secrets_fit(start, token):
    first = start(token)
    first.add_token_connection("acme", A1, "--objects-only")
    key_id = key_of(first)["key_id"]
    first.stop()
    second = start(token)
    add = ("connection", "add", "pre", *NETSUITE, "--in-token", token.uri, "--key-id")
    refused(second, FAILED, *add, key_id, "--secrets-file", secrets_file(second, token_secret="0" * 64))
    refused(second, NOT_FOUND, *add, "00" * 16, "--secrets-file", secrets_file(second))
    assert second.oxvault_json("connection", "list")["connections"] == []
    done = second.oxvault(*add, key_id, "--secrets-file", secrets_file(second))
    assert "the one that was in the token already" in done.stdout
    assert key_of(second, "pre")["key_form"] == "pre-provisioned"
    may_use(second, "pre")
    signs(second, "pre")
    before = token.objects()
    second.oxvault("connection", "remove", "pre")
    assert token.objects() == before  # it was others' and stays


def test_keeping_the_secrets_is_warned_of(start):
    service = start()
    done = service.add_token_connection("acme", A1, "--keep-secrets")
    assert "the token does not protect them" in done.stderr


def test_a_connection_is_not_added_where_the_token_or_the_pin_is_wrong(sealed_by_key):
    service = sealed_by_key
    add = ("connection", "add", "acme", *NETSUITE, "--secrets-file", secrets_file(service), "--module", service.module)
    refused(service, TOKEN, *add, "--in-token", "pkcs11:token=gone")
    assert "refused the PIN" in refused(
        service, LOCKED, *add, "--in-token", service.token.uri, "--pin-file", pin_file(service, "0000"))
    refused(service, USAGE, "connection", "add", "acme", *NETSUITE, "--secrets-file", secrets_file(service),
            "--in-token", "pkcs11:token=gone")
    assert service.oxvault_json("connection", "list")["connections"] == []
    assert objects(service.token) == 0
    # A person gives the right PIN, and that mends it.
    service.oxvault(*add, "--in-token", service.token.uri, "--pin-file", service.pin_file)
    assert key_of(service)["key"] == "in token"


def test_a_key_moves_into_the_token_and_back_with_the_secrets_entered_again(start):
    service = start()
    service.add_connection("acme", A1, "--origin", "https://more.example:8443", "--role-id", "3")
    may_use(service)
    before = key_of(service)
    places = [
        ("--in-token", service.token.uri), ("--in-token", service.token.uri, "--objects-only"), ("--in-vault",),
        ("--in-token", service.token.uri),
    ]
    for place, form in zip(places, ("unwrap", "token", None, "unwrap")):
        done = service.oxvault("connection", "move", "acme", *place, "--secrets-file", secrets_file(service))
        assert ("no way out of a token" in done.stdout) == (form is not None)
        shown = key_of(service)
        assert shown.get("key_form") == form
        assert {k: v for k, v in shown.items() if not k.startswith("key") and k != "version"} == {
            k: v for k, v in before.items() if not k.startswith("key") and k != "version"}
        signs(service)
    assert objects(service.token) == 3  # the seal's key and one pair: the object is destroyed
    service.restart()
    signs(service)


def test_a_mistyped_secret_does_not_replace_the_key(start):
    service = start()
    service.add_token_connection("acme", A1, "--objects-only")
    may_use(service)
    count = objects(service.token)
    other = ("--secrets-file", secrets_file(service, token_secret=A1.token_secret[::-1]))
    for place in (("--in-vault",), ("--in-token", service.token.uri), ("--in-token", service.token.uri, "--key-id",
                                                                      key_of(service)["key_id"])):
        said = refused(service, FAILED, "connection", "move", "acme", *place, *other)
        assert "another key" in said and "--new-secrets" in said
    assert key_of(service)["key_form"] == "token"
    signs(service)
    own = ("--in-token", service.token.uri, "--key-id", key_of(service)["key_id"])
    service.oxvault("connection", "move", "acme", *own, "--secrets-file", secrets_file(service))
    assert (key_of(service)["key_form"], objects(service.token)) == ("pre-provisioned", count + 2)  # and a pair
    signs(service)
    service.oxvault("connection", "move", "acme", "--in-vault", "--new-secrets", *other)
    assert key_of(service)["key"] == "in vault"


def test_move_says_what_is_wrong(start):
    service = start()
    service.add_connection("acme")
    move = ("connection", "move", "acme")
    file = ("--secrets-file", secrets_file(service))
    assert "in the vault already" in refused(service, FAILED, *move, "--in-vault", *file)
    refused(service, NOT_FOUND, "connection", "move", "nobody", "--in-vault", *file)
    refused(service, USAGE, *move, "--in-token", "pkcs11:token=other", *file)
    refused(service, USAGE, *move, "--in-token", service.token.uri, start_new_session=True)  # no secrets
    assert key_of(service)["key"] == "in vault"


# token


def test_token_list_and_probe_of_a_module(build, token):
    users = ("--users", "none") if os.geteuid() == 0 else ()
    environment = {"PATH": os.environ["PATH"], **token.env}

    def command(*words):
        return subprocess.run([str(word) for word in (build.oxvault, "token", *words, *users)], env=environment,
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    listed = json.loads(command("list", "--module", token.module, "--json").stdout)
    assert [entry["label"] for entry in listed["tokens"]] == ["ci"]
    assert "ci" in command("list", "--module", token.module).stdout
    probe = ("probe", token.uri, "--module", token.module, "--pin-file", token.pin_file)
    probed = json.loads(command(*probe, "--json").stdout)
    works = {step["mechanism"]: step["works"] for step in probed["seal"]}
    assert works["aes-gcm"] and works["rsa-oaep-sha1"] and not works["rsa-oaep-sha256"]
    assert probed["sign"]["grade"] == "good"
    words = command(*probe)
    assert words.returncode == DONE and "aes-gcm          yes" in words.stdout, words
    assert "rsa-oaep-sha256  no: " in words.stdout and "CKR_ARGUMENTS_BAD" in words.stdout
    assert objects(token) == 0  # nothing is left of the trying
    assert command("probe", "pkcs11:token=gone", "--module", token.module).returncode == TOKEN
    assert command("probe", token.uri, "--module", "/usr/lib/none.so").returncode not in (DONE, TOKEN)
    assert command("list", "--module", "/etc/passwd").returncode not in (DONE, TOKEN)


def test_a_person_logs_in_after_a_wrong_pin(build, start, token):
    service = start(token, seal="keyfile", pin_file=private_file(token.directory / "wrong", "0000"))
    refused(service, LOCKED, "connection", "add", "acme", *NETSUITE, "--secrets-file", secrets_file(service),
            "--in-token", token.uri, "--module", token.module)
    add = ("connection", "add", "acme", *NETSUITE, "--secrets-file", secrets_file(service), "--in-token", token.uri,
           "--module", token.module, "--pin-file", token.pin_file)
    service.oxvault(*add)
    service.restart()  # what was typed is forgotten; the file is still wrong
    wait_until(lambda: state_of(service) in ("pin refused", "needs pin"), 20.0, "the token's state")
    assert "oxvault token login" in service.oxvault("token", "list").stdout
    assert "oxvault token login" in service.oxvault("status").stdout
    refused(service, LOCKED, "token", "login", "--pin-file", pin_file(service, "1111"))
    refused(service, NOT_FOUND, "token", "login", "other", "--pin-file", service.token.pin_file)
    refused(service, FAILED, "token", "login", "ci", "--pin-file", pin_file(service, "\n"))
    done = service.oxvault("token", "login", "ci", "--pin-file", token.pin_file)
    assert done.stdout == "The service is logged in to the token ci.\n"
    assert state_of(service) == "ready"
    may_use(service)
    signs(service)


def test_a_token_is_forgotten_only_when_no_connection_uses_it(sealed_by_key):
    service = sealed_by_key
    service.add_token_connection("acme", A1)
    assert "1 connection" in refused(service, FAILED, "token", "remove", "ci")
    refused(service, NOT_FOUND, "token", "remove", "other")
    service.oxvault("connection", "remove", "acme")
    before = service.token.objects()
    assert "What is on it stays there" in service.oxvault("token", "remove", "ci").stdout
    assert service.tokens == [] and service.token.objects() == before


def test_status_and_exit_codes_while_the_token_is_away(start):
    service = start()
    service.add_token_connection("acme", A1, "--objects-only")
    may_use(service)
    signs(service)
    service.token.move_away()
    try:
        wait_until(lambda: service.oxvault("sign", "acme", "GET", EMPLOYEE_URL, check=False).returncode == TOKEN,
                   20.0, "the absence to be noticed")
        assert "absent" in service.oxvault("token", "list").stdout
        assert "absent" in service.oxvault("status").stdout
    finally:
        service.token.move_back()
    wait_until(lambda: service.oxvault("sign", "acme", "GET", EMPLOYEE_URL, check=False).returncode == DONE, 60.0,
               "the token's return")
