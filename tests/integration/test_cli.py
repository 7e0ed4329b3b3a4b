"""The oxvault command against a real service: words, exit codes, JSON, files and rules."""

import array
import base64
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import termios

import pytest
from support import oauth, process
from support.backends import every_backend
from support.credentials import A1, EMPLOYEE_URL
from support.fake_door import FakeDoor, ok
from support.segments import entry_lines
from support.service import StartFailed, private_file, public_directory

DONE, FAILED, USAGE, DENIED, LOCKED, NOT_FOUND, VERIFY, UNREACHABLE = 0, 1, 2, 3, 4, 5, 6, 8
NETSUITE = (
    "--system", "netsuite", "--account-id", A1.account, "--consumer-key", A1.consumer_key,
    "--token-id", A1.token,
)


def refused(service, code, *arguments, **options):
    """Runs a command that must end with that code; returns what it says on stderr."""
    done = service.oxvault(*arguments, check=False, **options)
    assert done.returncode == code, done
    assert done.stderr.startswith("oxvault: "), done.stderr
    return done.stderr


def names(service):
    return [c["name"] for c in service.oxvault_json("connection", "list")["connections"]]


def secrets_file(service, **members):
    file = service.base / f"s-{secrets.token_hex(6)}.json"
    return private_file(file, json.dumps({**A1.secrets, **members}))


# The command line


def test_without_a_command_it_shows_the_commands(build):
    done = subprocess.run([build.oxvault], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert "Commands:" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("line, says", [
    ("statsu", "there is no command statsu; did you mean status?"),
    ("log exprot", "there is no command log exprot; did you mean log export?"),
    ("log export --formt csv", "there is no option --formt; did you mean --format?"),
    ("status --keyfile x", "there is no option --keyfile here"),
    ("connection show", "connection show needs: NAME"),
    ("connection show a b", "connection show does not take so many arguments: b"),
    ("log export --format xml", "--format is jsonl, csv, ocsf, ecs, cef, leef, rfc5424 or tiles, not: xml"),
    ("log show --since yesterday", "--since wants a date"),
    ("grant add a b --method GET --path /x", "--kind is needed"),
    ("grant add a b --kind oauth1", "kind oauth1 needs at least one --path"),
    ("grant add a b --kind token-passport --path /x", "--path, --method and --query bind kind oauth1 only"),
    ("grant add a b --kind oauth1 --path /x --query script", "--query wants NAME=VALUE, not: script"),
    ("caller add a", "one of --uid N and --user NAME is needed"),
    ("caller add a --uid 1 --user root", "one of --uid N and --user NAME is needed"),
    ("caller add a --uid 4294967295", "this is no uid: 4294967295"),
    ("sign acme GET", "oauth1 needs: CONNECTION METHOD URL"),
    ("init", "--seal is needed: passphrase, keyfile, or the URI of a token"),
    ("log verify", "--key is needed"),
    ("seal add rock", "a seal is a passphrase, a keyfile or a token, not: rock"),
    ("seal add token", "seal add token --uri 'pkcs11:...'"),
])
def test_a_wrong_line_ends_with_2_and_says_what_was_meant(build, tmp_path, line, says):
    done = subprocess.run(
        [build.oxvault, "--run", tmp_path, "--dir", tmp_path / "v", *line.split()],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == USAGE, done
    assert says in done.stderr
    assert "See: oxvault help" in done.stderr


@pytest.mark.parametrize("line", [
    "init --passphrase hunter2", "unseal --passphrase=hunter2", "unseal --pin hunter2",
    "connection add a --consumer-secret hunter2", "connection add a --token-secret=hunter2",
    "connection add a --private-key hunter2", "seal add keyfile --key hunter2",
])
def test_an_option_with_a_secret_is_refused_with_the_reason_and_not_repeated(build, line):
    done = subprocess.run([build.oxvault, *line.split()], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert "every user of this machine can read a command line" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_an_error_is_json_too_where_that_is_asked_for(service):
    done = service.oxvault("connection", "show", "nobody", "--json", check=False)
    assert done.returncode == NOT_FOUND
    assert json.loads(done.stdout) == {
        "error": {"code": "not_found", "detail": "there is no connection of that name", "exit": 5}
    }


def test_directories_come_from_the_environment_too(service):
    done = subprocess.run(
        [service.build.oxvault, "status", "--json"], capture_output=True, text=True, check=True,
        env={"OXVAULT_RUN": str(service.run)},
    )
    assert json.loads(done.stdout)["state"] == "open"


def test_output_that_cannot_be_written_is_an_error(service):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = service.oxvault("status", check=False, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == FAILED
    assert "the output could not be written: No space left on device" in done.stderr


# The service is not as one wishes


def test_a_service_that_does_not_run_is_exit_8(service):
    service.stop()
    for command in [("status",), ("health",), ("sign", "a", "GET", EMPLOYEE_URL), ("log", "show"), ("unseal",)]:
        assert "Start it (oxvaultd" in refused(service, UNREACHABLE, *command)
    text = refused(service, UNREACHABLE, "connection", "add", "x", *NETSUITE,
                   "--secrets-file", secrets_file(service))
    assert "the service does not run" in text


def test_a_run_directory_that_is_not_there_is_exit_8(build, tmp_path):
    done = subprocess.run(
        [build.oxvault, "--run", tmp_path / "none", "status"], capture_output=True, text=True, check=False
    )
    assert done.returncode == UNREACHABLE
    assert f"there is no {tmp_path}/none/admin.sock" in done.stderr


@pytest.mark.root
def test_a_user_without_rights_is_told_so(service, other_uids):
    assert "this user may not open" in refused(service, DENIED, "status", uid=other_uids[0])
    text = refused(service, DENIED, "sign", "acme", "GET", EMPLOYEE_URL, uid=other_uids[0])
    assert f"oxvault caller add NAME --uid {other_uids[0]}" in text


def test_a_sealed_service_is_exit_4_and_says_what_to_do(acme):
    acme.oxvault("lock")
    for command in [("sign", "acme", "GET", EMPLOYEE_URL), ("connection", "list"), ("log", "show")]:
        assert "oxvault unseal" in refused(acme, LOCKED, *command)
    done = acme.oxvault("health", check=False)
    assert (done.returncode, done.stdout.split(":")[0]) == (LOCKED, "sealed")


# Keys in, by vault.pub only


@pytest.mark.parametrize("spoil, says", [
    (lambda pub: (pub.rename(f"{pub}.real"), pub.symlink_to(f"{pub}.real")), "is a symbolic link"),
    (lambda pub: pub.chmod(0o664), "others can write to"),
    (lambda pub: pub.parent.chmod(0o777), "others can write to"),
    (lambda pub: (pub.unlink(), pub.mkdir()), "is not a regular file"),
    (lambda pub: (pub.parent.rename(f"{pub.parent}.real"), pub.parent.symlink_to(f"{pub.parent}.real")),
     "is a symbolic link, or no directory"),
    (lambda pub: pub.write_text("oxvault-vault-pub/1 x y\n"), "vault.pub"),
])
def test_no_secret_goes_to_a_key_that_others_could_have_placed(service, spoil, says):
    spoil(service.run / "vault.pub")
    text = refused(service, FAILED, "connection", "add", "acme", *NETSUITE, "--secrets-file",
                   secrets_file(service))
    assert says in text
    assert names(service) == []


@pytest.mark.root
def test_no_secret_goes_to_a_key_of_another_user(service, other_uids):
    os.chown(service.run / "vault.pub", other_uids[0], -1)
    text = refused(service, FAILED, "connection", "add", "acme", *NETSUITE, "--secrets-file",
                   secrets_file(service))
    assert f"vault.pub belongs to uid {other_uids[0]}, which is neither root nor you" in text
    assert f"--service-uid {other_uids[0]}" in text
    assert names(service) == []


@pytest.mark.root
def test_nothing_secret_is_sent_to_a_service_of_another_user(service, other_uids):
    """All of it is that user's: run directory, key and door. Only --service-uid makes it good."""
    stranger = other_uids[0]
    run = service.base / "theirs"
    run.mkdir(mode=0o755)
    pub = run / "vault.pub"
    pub.write_text((service.run / "vault.pub").read_text())
    pub.chmod(0o644)
    seals = [{"id": 1, "kind": "keyfile"}]
    health = json.dumps({"state": "sealed", "seals": seals})

    def answer(target, body):
        return ok(json.dumps({"seals": seals}) if "seals" in target else health)

    door = FakeDoor(run / "admin.sock", answer)
    for path in (run, pub, run / "admin.sock"):
        os.chown(path, stranger, stranger)
    lines = private_file(service.base / "lines", line(1) + "\n")
    commands = [
        ("connection", "add", "acme", *NETSUITE, "--secrets-file", secrets_file(service)),
        ("connection", "import", lines),
        ("unseal", "--keyfile", service.secret_file),
        ("seal", "add", "keyfile", "--keyfile", service.base / "k2", "--existing-keyfile", service.secret_file),
    ]
    def command_there(*command):
        return subprocess.run([str(word) for word in (service.build.oxvault, "--run", run, *command)],
                              capture_output=True, text=True, check=False, timeout=60)

    for command in commands:
        done = command_there(*command)
        assert done.returncode == FAILED, done
        assert f"{run} belongs to uid {stranger}, which is neither root nor you" in done.stderr
        assert {method for method, _, _ in door.requests} <= {"GET"}, command
    for command in commands:
        command_there(*command, "--service-uid", stranger)
        assert door.requests[-1][0] == "POST", command
    asked = len(door.requests)
    assert command_there(*commands[0], "--service-uid", other_uids[1]).returncode == FAILED
    assert len(door.requests) == asked
    door.close()


def test_no_secret_goes_to_a_key_of_another_vault(service, make_service):
    other = make_service()
    other.init()
    other.start()
    (service.run / "vault.pub").write_text((other.run / "vault.pub").read_text())
    text = refused(service, FAILED, "connection", "add", "acme", *NETSUITE, "--secrets-file",
                   secrets_file(service))
    assert "belongs to another vault" in text


# init


def init(build, *arguments, **options):
    users = ["--users", "none"] if os.geteuid() == 0 else []
    return subprocess.run(
        [str(word) for word in [build.oxvault, "init", *users, *arguments]], capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, **options,
    )


def test_init_makes_a_key_file_and_prints_the_auditors_key(build, tmp_path):
    done = init(build, "--dir", tmp_path / "v", "--seal", "keyfile", "--keyfile", tmp_path / "k", "--json")
    assert done.returncode == DONE, done
    made = json.loads(done.stdout)
    assert set(made) == {"dir", "vault_id", "origin", "vkey", "fingerprint"}
    assert (tmp_path / "v/log/genesis.vkey").read_text().strip() == made["vkey"]
    assert (tmp_path / "v/log/origin").read_text().strip() == made["origin"]
    assert re.fullmatch(r"[0-9a-f]{32}", made["vault_id"])
    assert made["fingerprint"].startswith("SHA256:")
    stat = (tmp_path / "k").stat()
    assert (stat.st_mode & 0o7777, stat.st_size) == (0o600, 32)
    assert (tmp_path / "v").stat().st_mode & 0o7777 == 0o700


def test_init_says_it_in_words_too(build, tmp_path):
    private_file(tmp_path / "p", "correct horse battery staple\n")
    done = init(build, "--dir", tmp_path / "v", "--seal", "passphrase", "--passphrase-file", tmp_path / "p")
    assert "Give this to your auditor now" in done.stdout
    assert (tmp_path / "v/log/genesis.vkey").read_text().strip() in done.stdout
    assert f"--passphrase-file {tmp_path}/p" in done.stdout


def test_init_takes_no_directory_with_something_in_it(build, tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v/mine").write_text("x")
    done = init(build, "--dir", tmp_path / "v", "--seal", "keyfile", "--keyfile", tmp_path / "k")
    assert done.returncode == FAILED
    assert "is not empty" in done.stderr
    assert os.listdir(tmp_path / "v") == ["mine"]
    assert not (tmp_path / "k").exists()


def test_init_twice_is_refused_and_harms_nothing(build, tmp_path):
    arguments = ("--dir", tmp_path / "v", "--seal", "keyfile", "--keyfile", tmp_path / "k")
    assert init(build, *arguments).returncode == DONE
    before = {path: path.read_bytes() for path in (tmp_path / "v").rglob("*") if path.is_file()}
    key = (tmp_path / "k").read_bytes()
    assert init(build, *arguments).returncode == FAILED
    assert before == {path: path.read_bytes() for path in (tmp_path / "v").rglob("*") if path.is_file()}
    assert (tmp_path / "k").read_bytes() == key


@pytest.mark.parametrize("content, mode, code, says", [
    (b"x" * 31, 0o600, FAILED, "one has exactly 32 bytes"),
    (b"x" * 33, 0o600, FAILED, "one has exactly 32 bytes"),
    (b"x" * 32, 0o644, DENIED, "others can read"),
])
def test_init_refuses_a_file_that_is_no_key_file(build, tmp_path, content, mode, code, says):
    private_file(tmp_path / "k", content).chmod(mode)
    done = init(build, "--dir", tmp_path / "v", "--seal", "keyfile", "--keyfile", tmp_path / "k")
    assert done.returncode == code
    assert says in done.stderr
    assert not (tmp_path / "v").exists()
    assert (tmp_path / "k").read_bytes() == content


def test_init_without_a_passphrase_says_where_to_put_it(build, tmp_path):
    done = init(build, "--dir", tmp_path / "v", "--seal", "passphrase", start_new_session=True)
    assert done.returncode == USAGE
    assert "use --passphrase-file FILE" in done.stderr
    assert not (tmp_path / "v").exists()


@pytest.fixture
def false_keeper(tmp_path):
    """false_keeper(script) -> --libexec and where its oxvault-keeper is, a shell script."""
    def make(script):
        (tmp_path / "libexec").mkdir()
        keeper = tmp_path / "libexec/oxvault-keeper"
        keeper.write_text(f"#!/bin/sh\n{script}\n")
        keeper.chmod(0o755)
        return "--libexec", keeper.parent

    return make


def test_init_gives_the_keeper_one_variable_and_no_other(build, tmp_path, false_keeper):
    libexec = false_keeper(f"cat /proc/$$/environ >{tmp_path}/environment; exit 1")
    done = init(build, *libexec, "--dir", tmp_path / "v", "--seal", "keyfile", "--keyfile", tmp_path / "k",
                env={"OXVAULT_RUN": "/nowhere", "HOME": "/root", "LC_ALL": "C"})
    assert done.returncode == FAILED
    assert (tmp_path / "environment").read_bytes() == b"OPENSSL_CONF=/dev/null\0"


def test_init_that_fails_leaves_everything_as_it_was(build, tmp_path, false_keeper):
    libexec = false_keeper("exit 1")
    v, k = tmp_path / "v", tmp_path / "k"
    v.mkdir()
    v.chmod(0o2755)
    before = v.stat()
    for arguments in [("passphrase", "--passphrase-file", tmp_path / "none"), ("keyfile", "--keyfile", k)]:
        done = init(build, *libexec, "--dir", v, "--seal", *arguments)
        assert done.returncode == FAILED
        after = v.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert not k.exists()


@pytest.mark.root
def test_init_for_the_role_user_that_fails_gives_the_directory_back(build, tmp_path, false_keeper):
    libexec = false_keeper("exit 1")
    tmp_path.chmod(0o755)
    v = tmp_path / "v"
    v.mkdir()
    v.chmod(0o750)
    os.chown(v, 1234, 1235)
    passwd = tmp_path / "passwd"
    passwd.write_text("root:x:0:0::/root:/bin/sh\noxvault:x:60171:60172::/:/bin/false\n")
    script = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", build.oxvault, "init", *libexec, "--dir", v,
         "--seal", "keyfile", "--keyfile", tmp_path / "k"], capture_output=True, check=False)
    stat = v.stat()
    assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o750, 1234, 1235)


@pytest.mark.parametrize("end", ["exit 1", "exit 0", "echo vault_id=x"])
def test_init_keeps_the_key_file_of_what_may_be_a_vault(build, tmp_path, false_keeper, end):
    v, k = tmp_path / "v", tmp_path / "k"
    done = init(build, *false_keeper(f"touch {v}/vault.db; {end}"), "--dir", v, "--seal", "keyfile", "--keyfile", k)
    assert done.returncode == FAILED
    assert k.stat().st_size == 32 and (v / "vault.db").exists()
    assert f"{v} is not empty: look at what is there" in done.stderr and str(k) in done.stderr


@pytest.mark.root
def test_init_as_root_without_the_role_users_names_both_ways(build, tmp_path):
    passwd = tmp_path / "passwd"
    passwd.write_text("root:x:0:0::/root:/bin/sh\n")
    script = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", build.oxvault, "init", "--dir", tmp_path / "v",
         "--seal", "keyfile", "--keyfile", tmp_path / "k"],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == USAGE
    assert "there is no user oxvault" in done.stderr
    assert "--users none" in done.stderr and "systemd-sysusers" in done.stderr
    assert not (tmp_path / "v").exists()


@pytest.mark.root
def test_init_as_root_makes_the_vault_the_role_users(build, tmp_path):
    base = public_directory()
    passwd = tmp_path / "passwd"
    passwd.write_text("root:x:0:0::/root:/bin/sh\noxvault:x:60171:60172::/:/bin/false\n")
    script = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    try:
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", build.oxvault, "init", "--dir", base / "v",
             "--seal", "keyfile", "--keyfile", base / "k"], capture_output=True, check=True)
        made = [base / "v", *(base / "v").rglob("*")]
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(60171, 60172)}
        assert (base / "v").stat().st_mode & 0o7777 == 0o700
        assert (base / "k").stat().st_uid == 0
    finally:
        shutil.rmtree(base)


# Seals


def test_seals_are_added_used_and_removed(passphrase_service):
    service = passphrase_service
    existing = ("--existing-passphrase-file", service.secret_file)
    key = service.base / "second"
    assert service.oxvault("seal", "add", "keyfile", "--keyfile", key, *existing).stdout == (
        "Seal 2 (keyfile) opens the vault now.\n")
    assert key.stat().st_mode & 0o7777 == 0o600
    private_file(service.base / "p2", "another passphrase\n")
    service.oxvault("seal", "add", "passphrase", "--passphrase-file", service.base / "p2",
                    "--existing-keyfile", key)
    kinds = [(seal["id"], seal["kind"]) for seal in service.oxvault_json("seal", "list")["seals"]]
    assert kinds == [(1, "passphrase"), (2, "keyfile"), (3, "passphrase")]
    for option in [("--keyfile", key), ("--passphrase-file", service.base / "p2"),
                   ("--passphrase-file", service.secret_file, "--seal", "1")]:
        service.oxvault("lock")
        assert service.oxvault("unseal", *option).stdout == "The vault is open.\n"
    service.oxvault("lock")
    assert "wrong passphrase" in refused(
        service, LOCKED, "unseal", "--passphrase-file", service.base / "p2", "--seal", "1")
    service.oxvault("unseal", "--keyfile", key)
    assert service.oxvault("unseal").stdout == "The vault is open already.\n"
    service.oxvault("seal", "remove", "1")
    service.oxvault("seal", "remove", "3")
    assert "only seal" in service.oxvault("seal", "list").stdout
    refused(service, FAILED, "seal", "remove", "2")
    refused(service, NOT_FOUND, "seal", "remove", "9")


def test_seal_add_takes_the_existing_passphrase_from_standard_input(passphrase_service):
    service = passphrase_service
    service.oxvault("seal", "add", "keyfile", "--keyfile", service.base / "k2",
                    input=service.secret_file.read_text(), start_new_session=True)
    text = refused(service, LOCKED, "seal", "add", "keyfile", "--keyfile", service.base / "k2",
                   input="wrong\n", start_new_session=True)
    assert "the existing passphrase does not open this vault" in text


def test_a_single_seal_is_reminded_of(service):
    assert "only one seal" in service.oxvault("status").stdout or "one seal only" in service.oxvault("status").stdout


# Connections


def test_a_connection_by_descriptor(service):
    reader, writer = os.pipe()
    os.write(writer, json.dumps(A1.secrets).encode())
    os.close(writer)
    service.oxvault("connection", "add", "acme", *NETSUITE, "--secrets-fd", reader, pass_fds=[reader])
    assert names(service) == ["acme"]
    assert "descriptor 77 is not open" in refused(
        service, USAGE, "connection", "add", "b", *NETSUITE, "--secrets-fd", "77")


@pytest.mark.parametrize("mode, says", [(0o640, "others can read"), (0o604, "others can read")])
def test_a_secrets_file_that_others_can_read_is_refused(service, mode, says):
    file = secrets_file(service)
    file.chmod(mode)
    assert says in refused(service, DENIED, "connection", "add", "acme", *NETSUITE, "--secrets-file", file)


def test_a_secrets_file_behind_a_link_is_refused(service):
    link = service.base / "link"
    link.symlink_to(secrets_file(service))
    assert "symbolic link" in refused(
        service, DENIED, "connection", "add", "acme", *NETSUITE, "--secrets-file", link)


def test_secrets_of_an_odd_shape_are_warned_of(service):
    done = service.oxvault("connection", "add", "acme", *NETSUITE, "--secrets-file",
                           secrets_file(service, token_secret="swordfish", consumer_secret=' "x"'))
    assert done.stderr == (
        "oxvault: warning: the consumer secret begins or ends with white space, which is taken as part of it\n"
        "oxvault: warning: the token secret is not 64 hex characters, as NetSuite's are\n")
    assert "swordfish" not in done.stdout


@pytest.mark.parametrize("member, value, says", [
    ("token_secret", A1.token, "the token secret is the token id"),
    ("consumer_secret", A1.consumer_key, "the consumer secret is the consumer key"),
])
def test_a_public_id_in_place_of_a_secret_is_refused(service, member, value, says):
    text = refused(service, FAILED, "connection", "add", "acme", *NETSUITE, "--secrets-file",
                   secrets_file(service, **{member: value}))
    assert says in text
    assert names(service) == []


@pytest.mark.parametrize("arguments, says", [
    (("--system", "netsuite", "--account-id", "1 2", "--consumer-key", "k", "--token-id", "t"), "account_id: "),
    (("--system", "sap", "--consumer-key", "k"), "system: netsuite or oauth1 is wanted"),
    (("--system", "netsuite", "--account-id", "1", "--token-id", "t"), "consumer_key: missing"),
    (("--system", "netsuite", "--account-id", "1", "--consumer-key", "k"), "token_id: missing"),
    (("--system", "oauth1", "--consumer-key", "k"), "origin: at least one is needed"),
    (("--system", "oauth1", "--consumer-key", "k", "--origin", "http://example.com"), "origin: "),
    (("--system", "oauth1", "--consumer-key", "k", "--origin", "https://h", "--signature-method", "PLAINTEXT"),
     "signature_method: "),
    ((*NETSUITE, "--signature-method", "HMAC-SHA1"), "signature_method: NetSuite"),
])
def test_a_wrong_public_field_is_named_before_any_secret_is_asked_for(service, arguments, says):
    assert says in refused(service, USAGE, "connection", "add", "acme", *arguments)


def test_an_account_in_its_other_form_is_the_same_account(service):
    service.oxvault("connection", "add", "acme", "--system", "netsuite", "--account-id", "1234567-sb1",
                    "--consumer-key", A1.consumer_key, "--token-id", A1.token, "--role-id", "3",
                    "--application-id", "APP", "--origin", "HTTPS://Example.com:443",
                    "--secrets-file", secrets_file(service))
    shown = service.oxvault_json("connection", "show", "acme")
    assert shown["account_id"] == "1234567_SB1"
    assert shown["origins"] == [
        "https://1234567-sb1.suitetalk.api.netsuite.com", "https://1234567-sb1.restlets.api.netsuite.com",
        "https://1234567-sb1.app.netsuite.com", "https://example.com",
    ]
    assert (shown["role_id"], shown["application_id"]) == ("3", "APP")
    assert "signature_method  HMAC-SHA256\n" in service.oxvault("connection", "show", "acme").stdout


@pytest.mark.parametrize("method, hash_name", [("RSA-SHA256", "SHA256"), ("RSA-SHA512", "SHA512"), ("RSA-SHA1", "SHA1")])
def test_an_rsa_connection_signs_with_the_key_of_the_pem(service, method, hash_name):
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from oauthlib.oauth1.rfc5849 import signature as rfc5849

    key = rsa.generate_private_key(65537, 2048)
    pem = private_file(service.base / "key.pem", key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    arguments = ("--system", "oauth1", "--consumer-key", "k", "--token-id", "t", "--origin", "https://h.example",
                 "--signature-method", method)
    assert "need --private-key-file" in refused(service, USAGE, "connection", "add", "rsa", *arguments)
    service.oxvault("connection", "add", "rsa", *arguments, "--private-key-file", pem)
    service.add_caller()
    service.add_grant(connection="rsa", kinds="oauth1", paths=("--path", "/**"))
    url = "https://h.example/a?b=c"
    given = oauth.header_parameters(service.oxvault("sign", "rsa", "GET", url).stdout.removeprefix("Authorization: ").strip())
    pairs = rfc5849.collect_parameters(uri_query="b=c", exclude_oauth_signature=False) + [
        (name, value) for name, value in given.items() if name not in ("realm", "oauth_signature")]
    base = rfc5849.signature_base_string("GET", rfc5849.base_string_uri(url), rfc5849.normalize_parameters(pairs))
    key.public_key().verify(
        base64.b64decode(given["oauth_signature"]), base.encode(), padding.PKCS1v15(), getattr(hashes, hash_name)())


def test_secrets_are_kept_where_that_is_asked_for_and_only_there(service):
    """Sealed: the row is longer by both."""
    assert "only the signing key is kept" in service.add_connection("without").stdout
    assert "its secrets are kept too" in service.add_connection("with", A1, "--keep-secrets").stdout
    service.stop()
    with sqlite3.connect(f"file:{service.dir}/vault.db", uri=True) as database:
        [table] = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'connection%'")]
        (without,), (kept,) = database.execute(f"SELECT length(sealed) FROM {table} ORDER BY id")
    assert kept - without >= len(A1.consumer_secret) + len(A1.token_secret)


# Import of many


def line(number, **members):
    return json.dumps({
        "name": f"c{number:05d}", "system": "netsuite", "account_id": f"{1000000 + number}",
        "consumer_key": secrets.token_hex(32), "token_id": secrets.token_hex(32),
        "consumer_secret": secrets.token_hex(32), "token_secret": secrets.token_hex(32), **members,
    })


def import_lines(service, lines, check=True):
    file = private_file(service.base / f"import-{secrets.token_hex(6)}.jsonl", "\n".join(lines) + "\n")
    return service.oxvault("connection", "import", file, check=check)


def test_many_connections_are_one_change_and_one_group_of_the_log(service):
    before = len(service.log_lines())
    done = import_lines(service, [line(i) for i in range(1000)])
    assert done.stdout.startswith("1000 connections are in the vault.")
    assert done.stderr == ""  # no terminal, no bar
    assert len(names(service)) == 1000
    added = service.log_lines()[before:]
    commits = [entry for entry in added if "commit" in entry]
    assert sum(entry.get("type") == "connection.add" for entry in added) == 1000
    assert len({entry["cfg"] for entry in added if entry.get("type") == "connection.add"}) == 1
    assert len(commits) == 2  # the change and its change.done


def test_an_imported_connection_signs(service):
    lines = [line(i) for i in range(3)]
    import_lines(service, lines)
    member = json.loads(lines[1])
    service.add_caller()
    service.add_grant(connection="c00001", kinds="oauth1")
    url = "https://1000001.suitetalk.api.netsuite.com/services/rest/x"
    header = service.oxvault("sign", "c00001", "GET", url).stdout.removeprefix("Authorization: ").strip()
    assert oauth.verifies(header, "GET", url, member)


@pytest.mark.parametrize("bad, says", [
    ("{", "line 3: not good JSON: not a name in quotes at byte 1"),
    (line(7, token_secret=7), "line 3: token_secret: not a string"),
    (line(7, colour="blue"), "line 3: member 8 of the object is not known"),
    (line(7, account_id="a b"), "line 3: account_id: "),
    (line(7, name="-x"), "line 3: name: "),
    (line(1), "line 3: the name c00001 is that of line 2 too"),
    (line(7, token_id="same", token_secret="same"), "line 3: the token secret is the token id"),
])
def test_one_bad_line_and_nothing_is_imported(service, bad, says):
    done = import_lines(service, [line(0), line(1), bad, line(3)], check=False)
    assert done.returncode == FAILED
    assert says in done.stderr and "nothing was imported" in done.stderr
    assert names(service) == []


def test_a_name_that_the_vault_has_already_stops_the_whole_import(acme):
    done = import_lines(acme, [line(0), line(1, name="acme"), line(2)], check=False)
    assert done.returncode == FAILED
    assert names(acme) == ["acme"]
    import_lines(acme, [line(0)])  # and leaves nothing in the way of the next
    assert names(acme) == ["acme", "c00000"]


def test_an_import_file_that_others_can_read_is_refused(service):
    file = private_file(service.base / "i.jsonl", line(0))
    file.chmod(0o644)
    assert "others can read" in refused(service, DENIED, "connection", "import", file)
    file.chmod(0o600)
    service.stop()
    service.secret_file.chmod(0o644)  # the service itself refuses with the same code
    with pytest.raises(StartFailed) as failed:
        service.start()
    assert failed.value.code == DENIED


def test_odd_secrets_of_an_import_are_counted(service):
    done = import_lines(service, [line(0), line(1, token_secret="short"), line(2, consumer_secret="x")])
    assert "2 of 3 lines have a secret of an unexpected shape" in done.stderr
    assert "the first is line 2" in done.stderr


# Callers, grants, admins


def test_callers_by_name_and_number(service):
    service.oxvault("caller", "add", "by-name", "--user", "daemon")
    service.oxvault("caller", "add", "by-number", "--uid", "54321")
    callers = {c["name"]: c["uid"] for c in service.oxvault_json("caller", "list")["callers"]}
    assert callers == {"by-name": 1, "by-number": 54321}
    assert "1 (daemon)" in service.oxvault("caller", "list").stdout
    assert "there is no user nobody-of-that-name" in refused(
        service, NOT_FOUND, "caller", "add", "x", "--user", "nobody-of-that-name")
    service.oxvault("caller", "remove", "by-name")
    refused(service, NOT_FOUND, "caller", "remove", "by-name")


def test_a_disabled_caller_gets_nothing_until_it_is_enabled(acme):
    acme.oxvault("caller", "disable", "order-exchange")
    refused(acme, DENIED, "sign", "acme", "GET", EMPLOYEE_URL)
    assert "disabled" in acme.oxvault("caller", "list").stdout
    acme.oxvault("caller", "enable", "order-exchange")
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)


def test_a_grant_as_the_command_line_says_it(service):
    service.add_connection()
    service.add_caller()
    done = service.oxvault(
        "grant", "add", "order-exchange", "acme", "--kind", "oauth1,token-passport", "--kind", "connect-password",
        "--method", "GET,POST", "--path", "/a/**", "--path", "/b,c", "--query", "script=508,deploy=1\\,2",
        "--rate", "60/m", "--not-before", "2026-01-01", "--not-after", "+30d")
    assert "token-passport opens every SOAP operation" in done.stdout
    assert "connect-password opens one SuiteAnalytics Connect session each" in done.stdout
    [grant] = service.oxvault_json("grant", "list")["grants"]
    assert grant["kinds"] == ["oauth1", "token-passport", "connect-password"]
    assert grant["methods"] == ["GET", "POST"]
    assert grant["paths"] == ["/a/**", "/b,c"]
    assert grant["query"] == [["script", "508"], ["deploy", "1,2"]]
    assert grant["rate"] == "60/m"
    assert grant["not_before"].startswith("2026-01-01T00:00:00")
    assert "script=508,deploy=1,2" in service.oxvault("grant", "list").stdout
    assert service.oxvault_json("grant", "list", "--caller", "order-exchange")["grants"] == [grant]
    service.oxvault("grant", "remove", str(grant["id"]))
    assert service.oxvault("grant", "list").stdout == "There are no grants: oxvault grant add\n"


def test_admins_come_and_go_but_not_the_last(service):
    service.oxvault("admin", "add", "--uid", "54321")
    assert {a["uid"] for a in service.oxvault_json("admin", "list")["admins"]} == {os.getuid(), 54321}
    service.oxvault("admin", "remove", "--uid", "54321")
    refused(service, FAILED, "admin", "remove", "--uid", str(os.getuid()))


# Signing


@every_backend
def test_a_form_is_signed(acme):
    done = acme.oxvault("sign", "acme", "POST", EMPLOYEE_URL, "--form", "a b=c=d", "--form", "e=")
    header = done.stdout.removeprefix("Authorization: ").strip()
    assert oauth.verifies(header, "POST", EMPLOYEE_URL, A1.secrets, form=[("a b", "c=d"), ("e", "")])


@every_backend
def test_the_other_kinds(acme):
    passport = acme.oxvault_json("sign", "acme", "--kind", "token-passport", "--soap-version", "2025_1")
    assert passport["signature"]["value"] == oauth.passport_signature(
        A1.account, A1.consumer_key, A1.token, passport["nonce"], passport["timestamp"], A1.secrets)
    assert "messages_2025_1" in passport["xml"]
    password = acme.oxvault("sign", "acme", "--kind", "connect-password").stdout
    assert password.startswith(f"{A1.account}&{A1.consumer_key}&{A1.token}&")
    assert password.endswith("&HMAC-SHA256\n")


@every_backend
def test_the_proof_of_a_signature_goes_into_a_file(acme):
    key, proof = acme.base / "log.vkey", acme.base / "proof"
    key.write_text([e["log_key"] for e in acme.log_entries() if e["type"] == "log.key"][-1] + "\n")
    for words in (["GET", EMPLOYEE_URL], ["--kind", "token-passport"], ["--kind", "connect-password"]):
        plain = acme.oxvault("sign", "acme", *words, "--proof", proof).stdout
        assert len(plain.splitlines()) == 1 and "tlog-proof" not in plain
        assert proof.stat().st_mode & 0o777 == 0o600
        said = acme.oxvault_json("log", "verify", "--proof", proof, "--key", key)
        assert (said["verdict"], json.loads(said["entry"])["type"]) == ("proved", "sign")
        place = acme.oxvault_json("sign", "acme", *words, "--proof", proof)["log"]
        assert acme.oxvault_json("log", "verify", "--proof", proof, "--key", key)["index"] == place["index"]
    before = len(acme.log_entries())
    refused(acme, FAILED, "sign", "acme", "GET", EMPLOYEE_URL, "--proof", acme.base / "none/proof")
    assert len(acme.log_entries()) == before
    proof.unlink()
    refused(acme, DENIED, "sign", "nobody", "GET", EMPLOYEE_URL, "--proof", proof)
    assert not proof.exists()


@every_backend
def test_a_refused_signature_is_exit_3_and_a_malformed_url_1(acme):
    refused(acme, DENIED, "sign", "acme", "GET", "https://example.com/services/x")
    refused(acme, DENIED, "sign", "nobody", "GET", EMPLOYEE_URL)
    assert "at byte" in refused(acme, FAILED, "sign", "acme", "GET", "https://123456.app.netsuite.com/a b")


# The log


def test_the_log_is_shown_filtered_and_limited(acme):
    for path in "abc":
        acme.oxvault("sign", "acme", "GET", f"https://123456.app.netsuite.com/services/{path}")
    refused(acme, DENIED, "sign", "acme", "GET", "https://example.com/x")
    lines = acme.oxvault("log", "show", "--type", "sign", "--json").stdout.splitlines()
    assert [json.loads(entry)["outcome"] for entry in lines] == ["allowed"] * 3 + ["denied"]
    lines = acme.oxvault("log", "show", "--outcome", "allowed", "--type", "sign", "-n", "1").stdout.splitlines()
    assert len(lines) == 1
    assert "sign allowed caller=order-exchange connection=acme kind=oauth1 method=GET" in lines[0]
    assert "path=/services/c" in lines[0]
    done = acme.oxvault("log", "show", "--until", "1h")
    assert (done.stdout, done.stderr) == ("", "No entry matches.\n")
    assert acme.oxvault("log", "show", "--since", "1h", "--connection", "acme", "--json").stdout.count("\n") >= 4


def test_an_export_holds_the_lines_as_they_stand(acme):
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    file = acme.base / "export.jsonl"
    file.write_text("older")
    done = acme.oxvault("log", "export", "--format", "jsonl", "-o", file)
    entries = entry_lines(acme.dir / "log")
    exported = file.read_bytes().splitlines()
    assert exported == entries[: len(exported)]
    assert done.stdout == f"{len(exported)} entries are in {file}.\n"
    assert file.stat().st_mode & 0o7777 == 0o600
    assert json.loads(exported[-1])["type"] == "log.export"
    assert acme.oxvault("log", "export").stdout.encode().splitlines()[: len(exported)] == exported


def test_an_export_that_cannot_be_written_leaves_the_older_file(acme):
    target = acme.base / "none/export.jsonl"
    assert "cannot make" in refused(acme, FAILED, "log", "export", "-o", target)
    acme.stop()
    file = acme.base / "export.jsonl"
    file.write_text("older")
    refused(acme, UNREACHABLE, "log", "export", "-o", file)
    assert file.read_text() == "older"
    assert [p.name for p in acme.base.iterdir() if "tmp" in p.name] == []


def test_an_export_as_csv(acme):
    file = acme.base / "export.csv"
    done = acme.oxvault("log", "export", "--format", "csv", "-o", file, "--json")
    rows = file.read_text().splitlines()
    assert json.loads(done.stdout) == {
        "entries": len(rows) - 1, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert '"seq"' in rows[0]


def test_follow_shows_what_is_written(acme):
    follow = subprocess.Popen(
        [acme.build.oxvault, "--run", acme.run, "log", "follow", "--type", "sign", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        process.wait_until(
            lambda: any(e.get("reason") == "follow" for e in acme.log_entries()), 10.0, "the follower")
        acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
        assert json.loads(follow.stdout.readline())["type"] == "sign"
    finally:
        follow.terminate()
        follow.communicate()


def test_verify_says_that_all_is_well_and_whose_key_it_was(acme):
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    key = acme.base / "auditor.vkey"
    key.write_text((acme.dir / "log/genesis.vkey").read_text())
    acme.stop()
    done = acme.oxvault("log", "verify", "--log", acme.dir / "log", "--key", key)
    assert "The log is intact." in done.stdout
    assert "key taken from the log itself" not in done.stdout
    assert "key taken from the log itself: a replaced log would pass" in acme.verify_log().stdout
    verdict = acme.oxvault_json("log", "verify", "--dir", acme.dir, "--key", key)
    assert (verdict["verdict"], verdict["findings"], verdict["key_from_log"]) == ("intact", [], False)
    assert verdict["entries"] == len(acme.log_entries())


def test_verify_names_entry_and_byte_and_ends_with_6(acme):
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    acme.stop()
    segment = next((acme.dir / "log/seg").iterdir())
    data = bytearray(segment.read_bytes())
    offset = data.index(b'"connection":"acme"') + len(b'"connection":"')
    entry = data[:offset].count(b"\n") - data[:offset].count(b'\n{"commit"')
    data[offset] ^= 1
    segment.write_bytes(data)
    done = acme.verify_log(check=False)
    assert done.returncode == VERIFY
    assert "The log is NOT what was written." in done.stdout
    assert f"entry {entry}" in done.stdout or "entry" in done.stdout
    verdict = json.loads(acme.oxvault("log", "verify", "--log", acme.dir / "log", "--key",
                                      acme.dir / "log/genesis.vkey", "--json", check=False).stdout)
    assert verdict["verdict"] == "faulty" and len(verdict["findings"]) >= 1
    assert set(verdict["findings"][0]) == {"code", "entry", "file", "offset", "reason"}


def test_verify_needs_a_log_and_a_key(acme, make_service):
    log = acme.dir / "log"
    refused(acme, NOT_FOUND, "log", "verify", "--log", acme.base / "none", "--key", log / "genesis.vkey")
    refused(acme, FAILED, "log", "verify", "--log", log, "--key", acme.base / "none")
    (acme.base / "bad").write_text("no key\n")
    refused(acme, FAILED, "log", "verify", "--log", log, "--key", acme.base / "bad")
    other = make_service()
    other.init()
    done = acme.oxvault("log", "verify", "--log", log, "--key", other.dir / "log/genesis.vkey", check=False)
    assert done.returncode == VERIFY


# What a user sees


def test_status_in_words(acme):
    text = acme.oxvault("status").stdout
    assert text.startswith("State        open: signatures are given out\n")
    assert "Holds        1 connection, 1 caller, 1 grant, 1 admin\n" in text
    assert "\033" not in text
    acme.oxvault("lock")
    assert "State        sealed: nothing is signed until an admin runs: oxvault unseal" in acme.oxvault("status").stdout


def test_doctor_lists_its_checks(service):
    done = service.oxvault("doctor", check=False)
    report = json.loads(service.oxvault("doctor", "--json", check=False).stdout)
    assert len(done.stdout.splitlines()) == len(report["checks"]) + 1
    assert done.returncode == (DONE if report["ok"] else FAILED)


def test_every_list_is_json_where_that_is_asked_for(acme):
    for command, member in [("connection", "connections"), ("caller", "callers"), ("grant", "grants"),
                            ("admin", "admins"), ("seal", "seals")]:
        assert len(acme.oxvault_json(command, "list")[member]) == 1
    assert acme.oxvault_json("version").keys() == {"version"}
    assert acme.oxvault_json("health")["state"] == "open"


def drained(pipe):
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0] == 0


@pytest.mark.root
def test_no_secret_is_in_the_arguments_or_the_environment_of_any_process(service):
    """While the command works: it has read the secrets and waits for their end."""
    reader, writer = os.pipe()
    command = subprocess.Popen(
        [service.build.oxvault, "--run", service.run, "connection", "add", "acme", *NETSUITE,
         "--secrets-fd", str(reader)], pass_fds=[reader], stdout=subprocess.DEVNULL)
    try:
        os.write(writer, json.dumps(A1.secrets).encode())
        process.wait_until(lambda: drained(reader), 10.0, "the command's reading")
        for pid in [command.pid, *(p.pid for p in service.processes)]:
            for name in ["cmdline", "environ"]:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    assert A1.token_secret.encode() not in file.read()
    finally:
        os.close(writer)
        assert command.wait(30) == DONE
        os.close(reader)


@pytest.mark.plain
def test_a_command_with_secrets_is_closed_to_other_processes_of_its_user(service):
    reader, writer = os.pipe()
    command = subprocess.Popen(
        [service.build.oxvault, "--run", service.run, "connection", "add", "acme", *NETSUITE,
         "--secrets-fd", str(reader)], pass_fds=[reader], stdout=subprocess.DEVNULL)
    try:
        os.write(writer, json.dumps(A1.secrets).encode())
        process.wait_until(lambda: drained(reader), 10.0, "the command's reading")
        with open(f"/proc/{command.pid}/limits", encoding="ascii") as limits:
            assert re.search(r"Max core file size +0 +0 ", limits.read())
        if os.getuid() != 0:
            assert os.stat(f"/proc/{command.pid}/mem").st_uid == 0
            with pytest.raises(PermissionError):
                open(f"/proc/{command.pid}/environ", "rb").close()
    finally:
        os.close(writer)
        assert command.wait(30) == DONE
        os.close(reader)
