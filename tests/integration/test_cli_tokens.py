"""Tokens at the command line: arguments, PINs, and what is shown. Programs and doors are false ones
here, so that what reaches them can be seen; test_cli_softhsm.py has the real ones."""

import base64
import json
import os
import subprocess

import pytest
from nacl.public import PrivateKey
from support.credentials import A1
from support.fake_door import FakeDoor, ok
from support.service import private_file

DONE, FAILED, USAGE, DENIED, LOCKED, NOT_FOUND, TOKEN = 0, 1, 2, 3, 4, 5, 7
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
CI = "pkcs11:token=ci"
NETSUITE = (
    "--system", "netsuite", "--account-id", A1.account, "--consumer-key", A1.consumer_key,
    "--token-id", A1.token,
)


def run(build, *words, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [str(word) for word in (build.oxvault, *words)], capture_output=True, text=True,
        check=False, timeout=60, start_new_session=True, **options,
    )


def owner():
    """As root the tests make the vault for root itself."""
    return ("--users", "none") if os.geteuid() == 0 else ()


# Lines that are wrong


@pytest.mark.parametrize("line, says", [
    # init
    (f"init --seal {CI}", "a seal in a token needs --module"),
    (f"init --seal {CI} --module {MODULE} --keyfile k", "a token is opened by its PIN"),
    (f"init --seal {CI} --module {MODULE} --generate --key-id 01", "use one of them"),
    (f"init --seal {CI} --module {MODULE}", "use --pin-file FILE or --pin-fd N"),
    (f"init --seal {CI} --module lib/x.so --pin-file p", "--module is the absolute path"),
    (f"init --seal {CI} --module {MODULE} --key-id xyz --pin-file p", "--key-id is a CKA_ID in hex"),
    (f"init --seal {CI} --module {MODULE} --key-id {'00' * 65} --pin-file p", "1 to 64 bytes"),
    (f"init --seal {CI} --module {MODULE} --mechanism aes-cbc --pin-file p", "--mechanism is aes-gcm"),
    (f"init --seal {CI} --module {MODULE} --gcm-iv zero --pin-file p", "--gcm-iv is host"),
    (f"init --seal {CI} --module {MODULE} --mechanism ecdh --gcm-iv host --pin-file p",
     "--gcm-iv goes with --mechanism aes-gcm"),
    (f"init --seal {CI} --module {MODULE} --pin-file p --pin-fd 3", "exclude each other"),
    ("init --seal keyfile --keyfile k --pin-file p", "module, PIN and key go with --seal 'pkcs11:...'"),
    ("init --seal passphrase --single-seal", "module, PIN and key go with --seal 'pkcs11:...'"),
    ("init --seal pkcs11: --module m --pin-file p", "the URI names no token"),
    (f"init --seal {CI};module-path=/tmp/evil.so --module m --pin-file p", "named with --module"),
    # seal add
    ("seal add token", "the token is named once"),
    (f"seal add {CI} --uri {CI} --module {MODULE}", "the token is named once"),
    (f"seal add {CI}", "a seal in a token needs --module"),
    (f"seal add {CI} --module {MODULE} --keyfile k", "a token is opened by its PIN"),
    (f"seal add keyfile --keyfile k --module {MODULE}", "go with a seal in a token"),
    ("seal add passphrase --pin-file p", "go with a seal in a token"),
    # connection add and move
    ("connection add a --module m", "--module goes with --in-token"),
    ("connection add a --key-id 01", "--key-id goes with --in-token"),
    ("connection add a --objects-only", "--objects-only goes with --in-token"),
    ("connection add a --pin-file p", "--pin-file goes with --in-token"),
    ("connection add a --in-token ci", "a token is named by a URI like"),
    (f"connection add a --in-token {CI} --key-id 0", "--key-id is a CKA_ID in hex"),
    (f"connection add a --in-token {CI} --key-id 01 --objects-only", "use one of them"),
    (f"connection add a --in-token {CI} --module ./m.so", "--module is the absolute path"),
    ("connection move", "connection move needs: NAME"),
    ("connection move a", "One of --in-token URI and --in-vault is needed"),
    (f"connection move a --in-vault --in-token {CI}", "One of --in-token URI and --in-vault is needed"),
    ("connection move a --in-vault --module m", "--module goes with --in-token"),
    # token
    ("token list --users none", "go with --module"),
    ("token list --module a/b", "--module is the absolute path"),
    ("token list ci", "token list does not take so many arguments"),
    ("token probe", "token probe needs: URI"),
    ("token probe ci --module m", "a token is named by a URI like"),
    (f"token probe {CI}", "--module is needed"),
    ("token remove", "token remove needs: TOKEN"),
    ("token login a b", "token login does not take so many arguments"),
    ("token login --pin-file p --keyfile k", "there is no option --keyfile"),
])
def test_a_wrong_line_ends_with_2_and_says_what_was_meant(build, tmp_path, line, says):
    done = run(build, "--run", tmp_path, "--dir", tmp_path / "v", *line.split())
    assert done.returncode == USAGE, done
    assert says in done.stderr
    assert "See: oxvault help" in done.stderr
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("line", [
    f"init --seal {CI} --module {MODULE} --pin hunter2",
    f"token probe {CI} --module {MODULE} --pin=hunter2",
    f"seal add {CI} --module {MODULE} --pin-value hunter2",
    f"connection add a --in-token {CI} --user-pin hunter2",
    f"connection move a --in-token {CI} --pin-source=hunter2",
    f"init --seal {CI}?pin-value=hunter2 --module {MODULE}",
    f"seal add {CI};pin-value=hunter2 --module {MODULE}",
    f"seal add token --uri {CI}?pin-value=hunter2 --module {MODULE}",
    f"connection add a --in-token {CI}?pin-source=file:/hunter2",
    f"connection move a --in-token {CI}?module-name=x&pin-value=hunter2",
    f"token probe {CI}?pin-value=hunter2 --module {MODULE}",
    "token login --pin hunter2",
])
def test_a_pin_on_the_command_line_is_refused_with_the_reason_and_not_repeated(build, tmp_path, line):
    done = run(build, "--run", tmp_path, "--dir", tmp_path / "v", *line.split())
    assert done.returncode == USAGE
    assert "hunter2" not in done.stderr + done.stdout
    assert "every user of this machine can read a command line" in done.stderr or "named with --module" in done.stderr


# The PIN and the programs that init starts


@pytest.fixture
def false_programs(tmp_path):
    """false_programs(keeper, helper) -> --libexec and where the two are, shell scripts."""
    def make(keeper="exit 1", helper="cat <&3 >/dev/null"):
        (tmp_path / "libexec").mkdir(exist_ok=True)
        for name, script in [("oxvault-keeper", keeper), ("oxvault-token", helper)]:
            path = tmp_path / "libexec" / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        return "--libexec", tmp_path / "libexec"

    return make


def init(build, tmp_path, libexec, *more, **options):
    return run(build, "init", "--dir", tmp_path / "v", "--seal", CI, "--module", MODULE, *libexec, *owner(),
               *more, **options)


GOOD_PINS = [
    (b"1234", b"1234"), (b"1234\n", b"1234"), (b"1234\r\n", b"1234"), (b"1234\n\n", b"1234\n"),
    (b"1234\r", b"1234\r"), (b"user:pass word", b"user:pass word"), (b"x" * 255, b"x" * 255),
    (b"x" * 255 + b"\r\n", b"x" * 255), ("Pässwort\n".encode(), "Pässwort".encode()),
]
BAD_PINS = [
    (b"", "is empty"), (b"\n", "is empty"), (b"\r\n", "is empty"), (b"12\x0034", "a NUL in it"),
    (b"\x00", "a NUL in it"), (b"x" * 256, "longer than 255 bytes"), (b"x" * 256 + b"\n", "longer than 255 bytes"),
    (b"x" * 4096, "longer than 255 bytes"),
]


@pytest.mark.parametrize("content, pin", GOOD_PINS)
def test_of_a_pin_exactly_one_line_end_goes(build, tmp_path, false_programs, content, pin):
    libexec = false_programs(f"cat <&3 >{tmp_path}/pin; exit 1")
    file = private_file(tmp_path / "p", content)
    assert init(build, tmp_path, libexec, "--pin-file", file).returncode == FAILED
    assert (tmp_path / "pin").read_bytes() == pin
    with open(file, "rb") as source:
        assert init(build, tmp_path, libexec, "--pin-fd", source.fileno(),
                    pass_fds=[source.fileno()]).returncode == FAILED
    assert (tmp_path / "pin").read_bytes() == pin


@pytest.mark.parametrize("content, says", BAD_PINS)
def test_what_is_no_pin_is_refused_before_any_program_runs(build, tmp_path, false_programs, content, says):
    libexec = false_programs(f"touch {tmp_path}/ran; exit 1", f"touch {tmp_path}/ran")
    file = private_file(tmp_path / "p", content)
    done = init(build, tmp_path, libexec, "--pin-file", file)
    assert done.returncode == FAILED and says in done.stderr, done
    with open(file, "rb") as source:
        done = init(build, tmp_path, libexec, "--pin-fd", source.fileno(), pass_fds=[source.fileno()])
    assert done.returncode == FAILED and says in done.stderr, done
    assert not (tmp_path / "ran").exists() and not (tmp_path / "v").exists()


def test_a_pin_file_keeps_the_rules_of_files_with_secrets(build, tmp_path, false_programs):
    libexec = false_programs()
    file = private_file(tmp_path / "p", "1234")
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        done = init(build, tmp_path, libexec, "--pin-file", file)
        assert done.returncode == DENIED and "run chmod 600 on it" in done.stderr, done
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    assert init(build, tmp_path, libexec, "--pin-file", tmp_path / "link").returncode in (DENIED, FAILED)
    assert init(build, tmp_path, libexec, "--pin-file", tmp_path).returncode in (DENIED, FAILED)
    assert init(build, tmp_path, libexec, "--pin-file", tmp_path / "none").returncode == FAILED
    assert init(build, tmp_path, libexec, "--pin-fd", "77").returncode == USAGE
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
        assert init(build, tmp_path, libexec, "--pin-file", file).returncode == DENIED
    assert not (tmp_path / "v").exists()


def test_init_tells_the_keeper_all_about_the_seal_and_gives_it_the_helper(build, tmp_path, false_programs):
    keeper = (f'printf "%s\\n" "$@" >{tmp_path}/arguments; ls -l /proc/$$/fd >{tmp_path}/fds; '
              f'tr "\\0" "\\n" </proc/$$/environ >{tmp_path}/environment; exit 1')
    helper = (f'printf "%s\\n" "$@" >{tmp_path}/helper-arguments; ls -l /proc/$$/fd >{tmp_path}/helper-fds; '
              f'tr "\\0" "\\n" </proc/$$/environ >{tmp_path}/helper-environment')
    private_file(tmp_path / "p", "1234\n")
    done = init(build, tmp_path, false_programs(keeper, helper), "--pin-file", tmp_path / "p", "--key-id", "0A0b",
                "--mechanism", "aes-gcm", "--gcm-iv", "hsm-appended", "--allow-oaep-sha1", "--allow-pkcs1",
                env={"SOFTHSM2_CONF": "/some/conf", "HOME": "/root", "OXVAULT_RUN": "/nowhere"})
    assert done.returncode == FAILED
    arguments = (tmp_path / "arguments").read_text().split("\n")[:-1]
    assert arguments[:6] == ["--init", "--dir", str(tmp_path / "v"), "--seal", "token", "--admin-uid"]
    assert arguments[7:] == [
        "--module", MODULE, "--token-uri", CI, "--key-id", "0A0b", "--mechanism", "aes-gcm", "--gcm-iv",
        "hsm-appended", "--allow-oaep-sha1", "--allow-pkcs1",
    ]
    fds = {line.split()[8]: line.split()[10] for line in (tmp_path / "fds").read_text().splitlines()[1:]}
    assert fds["3"].startswith("pipe:") and fds["4"].startswith("socket:") and fds["0"] == "/dev/null"
    # A shell opens descriptors of its own, from 10 on.
    assert {fd for fd in fds if int(fd) < 10} == {"0", "1", "2", "3", "4"}
    assert (tmp_path / "environment").read_text().split() == ["OPENSSL_CONF=/dev/null"]
    fds = {line.split()[8]: line.split()[10] for line in (tmp_path / "helper-fds").read_text().splitlines()[1:]}
    assert fds["3"].startswith("socket:") and {fd for fd in fds if int(fd) < 10} == {"0", "1", "2", "3"}
    assert set((tmp_path / "helper-environment").read_text().split()) == {
        "SOFTHSM2_CONF=/some/conf", "OPENSSL_CONF=/dev/null"}
    assert (tmp_path / "helper-arguments").read_text() == "\n"
    assert not (tmp_path / "v").exists()


def test_init_generates_where_that_is_asked_for(build, tmp_path, false_programs):
    private_file(tmp_path / "p", "1234\n")
    libexec = false_programs(f'printf "%s\\n" "$@" >{tmp_path}/arguments; exit 7')
    done = init(build, tmp_path, libexec, "--pin-file", tmp_path / "p", "--generate")
    assert done.returncode == TOKEN
    assert (tmp_path / "arguments").read_text().split("\n")[7:-1] == [
        "--module", MODULE, "--token-uri", CI, "--generate"]


def test_no_pin_is_in_the_arguments_or_the_environment_of_any_process(build, tmp_path, false_programs):
    pin = "unique-0123-pin"
    look = f"cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' >>{tmp_path}/seen"
    libexec = false_programs(f"{look}; cat <&3 >{tmp_path}/pin; exit 1", look)
    file = private_file(tmp_path / "p", pin + "\n")
    with open(file, "rb") as source:
        for option in [("--pin-file", file), ("--pin-fd", source.fileno())]:
            assert init(build, tmp_path, libexec, *option, pass_fds=[source.fileno()]).returncode == FAILED
            assert (tmp_path / "pin").read_text() == pin  # it was there to be seen
    run(build, "token", "probe", CI, "--module", MODULE, "--pin-file", file, *libexec, *owner())
    seen = (tmp_path / "seen").read_bytes()
    assert b"oxvault" in seen and pin.encode() not in seen


def test_a_helper_that_hangs_ends_with_init(build, tmp_path, false_programs):
    private_file(tmp_path / "p", "1234\n")
    libexec = false_programs("exit 4", f"echo $$ >{tmp_path}/pid; trap '' TERM; exec sleep 600")
    assert init(build, tmp_path, libexec, "--pin-file", tmp_path / "p").returncode == LOCKED
    pid = tmp_path / "pid"
    assert not pid.exists() or not os.path.exists(f"/proc/{pid.read_text().strip()}")


def made(tmp_path):
    return (f'mkdir -p {tmp_path}/v; echo vault_id=1; echo origin=o; echo "vkey=o+1+k"; echo fingerprint=SHA256:f')


def test_a_single_token_seal_is_warned_of_unless_that_is_what_was_wanted(build, tmp_path, false_programs):
    private_file(tmp_path / "p", "1234\n")
    libexec = false_programs(made(tmp_path))
    done = init(build, tmp_path, libexec, "--pin-file", tmp_path / "p")
    assert done.returncode == DONE, done
    assert "the token is the only seal" in done.stderr and "--single-seal" in done.stderr
    assert f"--pin-file {tmp_path}/p" in done.stdout
    done = init(build, tmp_path, libexec, "--pin-file", tmp_path / "p", "--single-seal", "--json")
    assert (done.returncode, done.stderr) == (DONE, "")
    assert json.loads(done.stdout)["vkey"] == "o+1+k"


# What a module and a token can do

LISTED = {
    "module": MODULE,
    "tokens": [{
        "uri": "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=a1;token=ci", "label": "ci",
        "manufacturer": "SoftHSM project", "model": "SoftHSM v2", "serial": "a1", "flags": ["LOGIN_REQUIRED"],
        "mechanisms": 70, "pin": "count low", "pin_pad": False,
    }],
}
PROBED = {
    "token": LISTED["tokens"][0],
    "seal": [
        {"step": 1, "mechanism": "aes-gcm", "works": True, "reason": ""},
        {"step": 2, "mechanism": "aes-kwp", "works": False, "reason": "C_EncryptInit", "ckr": "CKR_MECHANISM_INVALID"},
        {"step": 5, "mechanism": "ecdh", "works": False, "reason": "C_DeriveKey: CKR_GENERAL_ERROR",
         "ckr": "CKR_GENERAL_ERROR"},
    ],
    "sign": {
        "grade": "leaky", "hashes": ["sha256", "sha1"], "message_max_bytes": 8192,
        "forms": [{"form": "unwrap", "works": False, "reason": "the template is ignored"}],
    },
    "notes": ["Keys can be got out of it again.", "\u001b[31mred"],
}


def test_the_tokens_of_a_module_are_listed(build, tmp_path, false_programs):
    document = json.dumps(LISTED)
    libexec = false_programs(helper=f"printf '%s\\n' \"$@\" >{tmp_path}/arguments; echo '{document}'")
    done = run(build, "token", "list", "--module", "softhsm2", *libexec, *owner())
    assert (done.returncode, done.stderr) == (DONE, ""), done
    assert (tmp_path / "arguments").read_text().split() == ["--list", "--module", "softhsm2"]
    assert done.stdout.splitlines()[1].split("  ")[0] == "ci"
    assert "count low" in done.stdout and "serial=a1" in done.stdout
    done = run(build, "token", "list", "--module", "softhsm2", "--json", *libexec, *owner())
    assert json.loads(done.stdout) == LISTED


def test_a_probe_is_told_in_plain_words(build, tmp_path, false_programs):
    document = json.dumps(PROBED)
    helper = (f"printf '%s\\n' \"$@\" >{tmp_path}/arguments; cat <&3 >{tmp_path}/pin; "
              f"cat <<'END'\n{document}\nEND")
    libexec = false_programs(helper=helper)
    private_file(tmp_path / "p", "1234\n")
    arguments = ("token", "probe", CI, "--module", MODULE, "--pin-file", tmp_path / "p", *libexec, *owner())
    done = run(build, *arguments, env={"LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (DONE, ""), done
    assert (tmp_path / "arguments").read_text().split() == [
        "--probe", "--module", MODULE, "--uri", CI, "--pin-fd", "3"]
    assert (tmp_path / "pin").read_bytes() == b"1234"
    assert done.stdout == (
        "Token ci, manufacturer SoftHSM project, model SoftHSM v2, serial a1\n"
        "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=a1;token=ci\n"
        "\nSeal the vault, best first:\n"
        "  aes-gcm          yes\n"
        "  aes-kwp          no: C_EncryptInit (CKR_MECHANISM_INVALID)\n"
        "  ecdh             no: C_DeriveKey: CKR_GENERAL_ERROR\n"
        "\nSign in the token: it signs, but keys can be got out of it again: not protected by it\n"
        "  unwrap           no: the template is ignored\n"
        "  HMAC with sha256 sha1; messages of up to 8192 bytes\n"
        "\nKeys can be got out of it again.\n\\u{1B}[31mred\n")
    assert json.loads(run(build, *arguments, "--json").stdout) == PROBED


@pytest.mark.parametrize("helper, code, says", [
    ("echo 'oxvault-token: no such module' >&2; exit 2", USAGE, "oxvault-token: no such module"),
    ("echo 'oxvault-token: the token refused the PIN' >&2; exit 4", LOCKED, "the token refused the PIN"),
    ("echo 'oxvault-token: absent' >&2; exit 7", TOKEN, "oxvault-token: absent"),
    ("kill -9 $$", FAILED, "oxvault-token ended in an unexpected way"),
    ("echo 'no JSON'", FAILED, "what oxvault-token prints is not good JSON"),
    ("exit 99", FAILED, "oxvault-token ended in an unexpected way"),
])
def test_what_the_helper_says_of_a_failure_is_passed_on(build, false_programs, helper, code, says):
    libexec = false_programs(helper=helper)
    for command in [("token", "list", "--module", MODULE), ("token", "probe", CI, "--module", MODULE)]:
        done = run(build, *command, *libexec, *owner())
        assert done.returncode == code and says in done.stderr, done


# Before a false service

URI = "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=a1;token=ci"
TOKENS = {"tokens": [
    {"id": 1, "uri": URI, "label": "ci", "module": MODULE, "state": "ready", "detail": "", "logged_in": True,
     "pin": "ok", "pin_pad": False, "form": "unwrap", "oaep": "sha1", "connections": 2},
    {"seal_id": 1, "uri": URI.replace("a1;token=ci", "b2;token=seal"), "label": "seal", "module": MODULE,
     "state": "pin refused", "detail": "CKR_PIN_INCORRECT", "logged_in": False, "pin": "final try",
     "pin_pad": False, "form": "token", "connections": 0},
]}


@pytest.fixture
def false_service(build, tmp_path):
    """false_service(answers) -> the door and command(*words); answers: {target: document}."""
    doors = []

    def start(answers):
        def answer(target, _body):
            if target in answers:
                return ok(json.dumps(answers[target]))
            detail = json.dumps({"type": "x", "title": "x", "status": 404, "code": "not_found", "detail": target})
            return ok(detail).replace(b"200 OK", b"404 Not Found")

        doors.append(FakeDoor(tmp_path / "admin.sock", answer))
        return doors[-1], lambda *words, **more: run(build, "--run", tmp_path, *words, **more)

    yield start
    for door in doors:
        door.close()


def test_the_tokens_of_the_service_are_a_table_and_sentences(false_service):
    _, command = false_service({"/v1/admin/tokens": TOKENS})
    done = command("token", "list")
    assert (done.returncode, done.stderr) == (DONE, ""), done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ID", "LABEL", "STATE", "PIN", "KEYS", "USED", "BY", "URI"]
    assert lines[1].split("  ")[0] == "1" and "unwrap (OAEP sha1)" in lines[1] and "2 connections" in lines[1]
    assert lines[2].startswith("-") and "pin refused" in lines[2] and "seal 1" in lines[2]
    assert lines[3] == ""
    assert lines[4] == ("seal: refused the PIN; not tried again by itself (oxvault token login); PIN counter: final try "
                        "(CKR_PIN_INCORRECT)")
    assert json.loads(command("token", "list", "--json").stdout) == TOKENS


def test_no_token_says_how_to_look_for_one(false_service):
    _, command = false_service({"/v1/admin/tokens": {"tokens": []}})
    assert "oxvault token list --module MODULE" in command("token", "list").stdout


def test_a_token_is_removed_by_id_label_or_uri(false_service):
    door, command = false_service({"/v1/admin/tokens": TOKENS, "/v1/admin/tokens/1": {}})
    for which in ("1", "ci", CI, URI):
        assert command("token", "remove", which).returncode == DONE
        assert door.requests[-1][:2] == ("DELETE", "/v1/admin/tokens/1")
    done = command("token", "remove", "nothing")
    assert done.returncode == NOT_FOUND and "knows no such token, nothing" in done.stderr
    done = command("token", "remove", "pkcs11:manufacturer=SoftHSM%20project")
    assert done.returncode == USAGE and "2 tokens fit" in done.stderr
    done = command("token", "remove", "seal")
    assert done.returncode == FAILED and "oxvault seal remove" in done.stderr


def test_status_says_where_each_key_is(false_service):
    status = {"state": "open", "version": "1", "connections": 2, "seals": [{"id": 1, "kind": "token", "token_uri": "pkcs11:token=my%20seal"}],
              "tokens": TOKENS["tokens"], "warnings": []}
    connections = {"connections": [
        {"id": 1, "name": "a", "key": "in vault"},
        {"id": 2, "name": "b", "key": "in token", "key_form": "unwrap", "key_token": 1, "other": "x"},
    ]}
    _, command = false_service({"/v1/admin/status": status, "/v1/admin/connections": connections})
    document = json.loads(command("status", "--json").stdout)
    assert document.pop("connections") == [
        {"name": "a", "key": "in vault"},
        {"name": "b", "key": "in token", "key_form": "unwrap", "key_token": 1},
    ]
    assert document.pop("connection_count") == status.pop("connections")
    assert document == status
    words = command("status").stdout
    assert "Opened by    token my seal (seal 1)" in words
    assert "Tokens       ci: ready\n" in words
    assert "             seal: refused the PIN; not tried again by itself" in words
    assert "the only seal is in a token, and tokens die" in words


def test_a_sealed_service_has_no_keys_to_tell(false_service):
    _, command = false_service({"/v1/admin/status": {"state": "sealed", "version": "1"}})
    assert json.loads(command("status", "--json").stdout) == {"state": "sealed", "version": "1"}


def test_a_pin_is_for_one_of_several_token_seals(false_service, tmp_path):
    seals = [{"id": 1, "kind": "token", "token_uri": "pkcs11:token=a"}, {"id": 2, "kind": "token"}]
    _, command = false_service({"/v1/health": {"state": "sealed", "seals": seals}, "/v1/admin/seals": {"seals": seals}})
    pin = private_file(tmp_path / "p", "1234\n")
    assert [line.split()[:3] for line in command("seal", "list").stdout.splitlines()] == [
        ["ID", "KIND", "TOKEN"], ["1", "token", "a"], ["2", "token", "-"]]
    done = command("unseal", "--pin-file", pin)
    assert done.returncode == USAGE and "name it with --seal ID" in done.stderr
    done = command("seal", "add", "keyfile", "--keyfile", tmp_path / "k", "--existing-pin-file", pin)
    assert done.returncode == USAGE and "--existing-seal ID" in done.stderr
    for wrong in [("--keyfile", tmp_path / "k"), ("--passphrase-file", pin)]:
        done = command("unseal", "--pin-file", pin, *wrong)
        assert done.returncode == USAGE and "exclude each other" in done.stderr
    assert command("unseal", "--keyfile", private_file(tmp_path / "k3", b"x" * 32)).returncode == NOT_FOUND


def test_an_unknown_token_needs_its_module(false_service, tmp_path):
    door, command = false_service({"/v1/admin/tokens": TOKENS})
    file = private_file(tmp_path / "s", json.dumps(A1.secrets))
    add = ("connection", "add", "acme", *NETSUITE, "--secrets-file", file, "--in-token")
    done = command(*add, "pkcs11:token=other")
    assert done.returncode == USAGE and "name the PKCS#11 module with --module" in done.stderr
    done = command(*add, "pkcs11:model=SoftHSM%20v2")
    assert done.returncode == USAGE and "several tokens of the service fit" in done.stderr
    done = command("connection", "add", "acme", "--system", "oauth1", "--consumer-key", "c", "--origin",
                   "https://h", "--signature-method", "RSA-SHA256", "--private-key-file", "k", "--in-token", CI)
    assert done.returncode == USAGE and "in a token only the HMAC methods sign" in done.stderr
    assert {request[0] for request in door.requests} == {"GET"}


# A door that lies about tokens

ADD_ANSWER = {"id": 1, "token_uri": URI, "form": "unwrap", "oaep": "sha256", "added": True}


@pytest.fixture
def lying_door(false_service, tmp_path):
    """lying_door(answer to the token, its line of vault.pub) -> what `connection add` does."""
    vault_id = b"\x11" * 16
    secret_file = private_file(tmp_path / "s", json.dumps(A1.secrets))
    pin_file = private_file(tmp_path / "p", "1234\n")
    key = base64.b64encode(bytes(PrivateKey.generate().public_key)).decode()
    answers = {
        "/v1/admin/challenge": {"challenge": base64.b64encode(bytes(32)).decode(), "vault_id": vault_id.hex()},
        "/v1/admin/connections": {"id": 1, "name": "acme"},
    }
    door, command = false_service(answers)

    def add(answer, line, *more):
        (tmp_path / "vault.pub").write_text(f"oxvault-vault-pub/1 {vault_id.hex()} {key}\n{line}\n")
        (tmp_path / "vault.pub").chmod(0o644)
        answers["/v1/admin/tokens"] = {**answer, "tokens": []}  # POST adds, GET lists
        door.requests.clear()
        done = command("connection", "add", "acme", *NETSUITE, "--secrets-file", secret_file, "--in-token", CI,
                       "--module", MODULE, "--pin-file", pin_file, *more)
        return done, "/v1/admin/connections" in [request[1] for request in door.requests]

    return add


def rsa_key():
    """A public key of 2048 bits, as SubjectPublicKeyInfo in base64."""
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                         check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=pem, check=True,
                         capture_output=True).stdout
    return base64.b64encode(der).decode()


def test_a_key_goes_to_no_other_token_than_the_one_that_was_named(lying_door):
    other = f"token 1 {URI.replace('token=ci', 'token=evil')}"
    for line, answer, more in [
        (f"{other} oaep-sha256 {rsa_key()}", ADD_ANSWER, ()),
        (f"{other} none -", {**ADD_ANSWER, "form": "token"}, ()),
        (f"{other} none -", {**ADD_ANSWER, "form": "token"}, ("--objects-only",)),
        (f"{other} none -", {**ADD_ANSWER, "form": "token"}, ("--key-id", "0a")),
    ]:
        done, sent = lying_door(answer, line, *more)
        assert done.returncode == FAILED and not sent, done
        assert "answered with another token" in done.stderr and "token=evil" in done.stderr


def test_the_service_does_not_get_to_see_a_key_that_the_token_takes_sealed(lying_door):
    line = f"token 1 {URI} oaep-sha256 {rsa_key()}"
    done, sent = lying_door({**ADD_ANSWER, "form": "token"}, line)
    assert done.returncode == FAILED and not sent, done
    assert "wants to see the key" in done.stderr and "--objects-only" in done.stderr
    done, sent = lying_door({**ADD_ANSWER, "form": "token"}, line, "--objects-only")
    assert (done.returncode, sent, done.stderr) == (DONE, True, "")


def test_it_is_warned_of_that_the_service_will_see_a_key(lying_door):
    line = f"token 1 {URI} none -"
    done, sent = lying_door({**ADD_ANSWER, "form": "token"}, line)
    assert done.returncode == DONE and sent, done
    assert "will see the key for a moment" in done.stderr and "--objects-only" in done.stderr
    done, sent = lying_door({**ADD_ANSWER, "form": "token"}, line, "--objects-only")
    assert (done.returncode, sent, done.stderr) == (DONE, True, "")
