"""The witness's side of C2SP tlog-witness: verdicts, what it remembers, files in place of HTTP."""

import base64
import http.client
import os
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest
from support import tlog
from support.credentials import EMPLOYEE_URL
from support.service import public_directory
from support.witness import Log, Signer, Witness, body

FAILED, NOT_FOUND, VERIFY = 1, 5, 6
ORIGIN = "example.com/log/testdata"
TESSERA_SEED = base64.b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")[1:]
TESSERA_VKEY = ORIGIN + "+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
WORDS = ("one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"
         ).split()
# As published (access-log.md 1.9): growth from 7 to 15.
TESSERA_15 = (
    "example.com/log/testdata\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n\n"
    "\u2014 example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/"
    "uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=\n"
)
TESSERA_REQUEST = (
    "old 7\n"
    "2Q0P5jSR+TdkwdXWyx+GbBWX0KZbNZkWzCjyTPSozsw=\n"
    "ThcgoV2DYcK+VCxBUDWAlNxmLy2r7dq7dK7+OlgQKWs=\n"
    "ycRkkNklus5eMVRUvkD1pK321vMrA+jjOiZKU8aOcY4=\n"
    "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=\n"
    "5jLpqTgjsBDSEX6SgZiRnbTMdTuRd8bQ5tSsAOxe0Ks=\n\n" + TESSERA_15
)


@pytest.fixture
def base():
    made = public_directory("oxv-witness-")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def make_witness(build, base):
    made = []

    def make(chosen=None):
        made.append(Witness(chosen or build, base))
        made[-1].init()
        made[-1].add_log(TESSERA_VKEY)
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture
def witness(make_witness):
    one = make_witness()
    one.start()
    return one


@pytest.fixture
def log():
    signer = Signer(ORIGIN, TESSERA_SEED)
    assert signer.vkey == TESSERA_VKEY
    return Log(signer, [word.encode() for word in WORDS])


def size_of(witness):
    return tlog.Checkpoint(witness.note_of(ORIGIN).body).size


def test_the_published_request_is_cosigned_and_can_be_read_back(witness, log):
    assert log.request(7, 15) == TESSERA_REQUEST, "our own log is the published one"
    first = witness.add_checkpoint(log.request(0, 7))
    assert (first.status, first.type) == (200, "text/plain; charset=utf-8")
    before = int(time.time())
    answer = witness.add_checkpoint(TESSERA_REQUEST)
    assert answer.status == 200 and answer.body.count("\n") == 1
    assert before <= witness.cosigner.time_of(answer.body, log.text(15)) <= int(time.time())
    note = witness.note_of(ORIGIN)
    assert (note.status, note.body) == (200, TESSERA_15 + answer.body)


def test_each_refusal_has_the_code_of_the_specification_and_changes_nothing(witness, log):
    assert witness.add_checkpoint(log.request(0, 7)).status == 200
    kept = witness.note_of(ORIGIN).body
    other = Log(Signer("example.com/other"), log.leaves)
    forged = Log(Signer(ORIGIN), log.leaves)
    twin = Log(log.signer, [*log.leaves[:6], b"changed", *log.leaves[7:]])
    line = log.signer.line(log.text(15))
    broken = line[:-6] + ("A" if line[-6] != "A" else "B") + line[-5:]
    cases = [
        ("unknown origin", other.request(7, 15), 404),
        ("signed by a key that is not known", forged.request(7, 15), 403),
        ("a forged line of the known key", log.request(7, 15).replace(line, broken), 403),
        ("old above the size", body(9, [], log.checkpoint(8)), 400),
        ("old below what was cosigned", log.request(3, 15), 409),
        ("old 0", log.request(0, 15), 409),
        ("shorter: the log was rolled back", log.request(3, 5), 409),
        ("old above what was cosigned", log.request(8, 15), 409),
        ("another past", twin.request(7, 15), 422),
        ("another root of the same size", twin.request(7, 7), 422),
        ("no proof", body(7, [], log.checkpoint(15)), 422),
        ("a proof too much", body(7, [*log.proof(7, 15), bytes(32)], log.checkpoint(15)), 422),
        ("a proof for the same size", body(7, [bytes(32)], log.checkpoint(7)), 422),
    ]
    for what, request, status in cases:
        answer = witness.add_checkpoint(request)
        assert answer.status == status, (what, answer)
        if status == 409:
            assert (answer.type, answer.body) == ("text/x.tlog.size", "7\n"), what
    assert witness.note_of(ORIGIN).body == kept
    assert witness.add_checkpoint(log.request(7, 7)).status == 200, "the same again"
    code, said = witness.stop()
    assert code == 0
    assert f"{ORIGIN} size 15: refused: the log does not begin with what was cosigned" in said
    assert f"{ORIGIN} size 5: refused: another size was cosigned last" in said


def test_a_first_checkpoint_needs_no_proof_and_takes_none(witness, log):
    assert witness.add_checkpoint(body(0, [bytes(32)], log.checkpoint(3))).status == 422
    assert witness.note_of(ORIGIN).status == 404
    assert witness.add_checkpoint(log.request(0, 0)).status == 200
    assert witness.add_checkpoint(log.request(0, 3)).status == 200


@pytest.mark.parametrize("request_text", [
    "", "\n", "old 7\n", "old 07\n\n" + TESSERA_15, "old +7\n\n" + TESSERA_15, "old 7\n" + TESSERA_15,
    "old 9223372036854775808\n\n" + TESSERA_15, "old 7\nAA==\n\n" + TESSERA_15,
    "old 7\n" + 64 * (base64.b64encode(bytes(32)).decode() + "\n") + "\n" + TESSERA_15,
    TESSERA_REQUEST[:-1], TESSERA_REQUEST + "\n", TESSERA_REQUEST.replace("\n15\n", "\n015\n"),
    TESSERA_REQUEST.replace("old", "Old"), "index 7\n\n" + TESSERA_15,
    TESSERA_REQUEST.replace("\n", "\r\n"),
], ids=lambda text: str(len(text)))
def test_what_is_no_request_gets_400(witness, request_text):
    assert witness.add_checkpoint(request_text).status == 400


def test_other_paths_methods_and_sizes(witness):
    assert witness.ask("GET", "/add-checkpoint").status == 405
    assert witness.ask("POST", "/" + 64 * "a" + "/checkpoint", "").status == 405
    assert witness.ask("GET", "/").status == 404
    assert witness.ask("GET", "/" + 64 * "A" + "/checkpoint").status == 404
    assert witness.ask("GET", "/../witness.key").status == 404
    assert witness.ask("GET", "/" + 64 * "a" + "/checkpoint").status == 404
    assert witness.add_checkpoint(70000 * "a").status == 413
    assert witness.ask("GET", "/" + 9000 * "a").status == 413


def test_what_it_cosigned_outlives_it(witness, log):
    assert witness.add_checkpoint(log.request(0, 15)).status == 200
    witness.stop()
    witness.start()
    assert size_of(witness) == 15
    assert witness.add_checkpoint(log.request(0, 7)).status == 409


@pytest.mark.hooks
@pytest.mark.parametrize(("hook", "remembers"), [("witness.save:1", 0), ("witness.saved:1", 7)])
def test_a_kill_between_never_gives_out_what_is_not_remembered(
        make_witness, hooks_build, log, hook, remembers):
    witness = make_witness(hooks_build)
    witness.start(environment={"OXV_HOOK": hook})
    with pytest.raises((http.client.HTTPException, OSError)):
        witness.add_checkpoint(log.request(0, 7))
    witness.wait_for_end()
    witness.start()
    answer = witness.add_checkpoint(log.request(9, 15))
    assert (answer.status, answer.body) == (409, f"{remembers}\n")
    assert witness.add_checkpoint(log.request(remembers, 15)).status == 200


@pytest.mark.hooks
def test_a_state_that_cannot_be_written_is_not_cosigned(make_witness, hooks_build, log):
    witness = make_witness(hooks_build)
    witness.start(environment={"OXV_HOOK": "witness.save:fail:1"})
    answer = witness.add_checkpoint(log.request(0, 7))
    assert answer.status == 500 and "\u2014" not in answer.body
    assert witness.add_checkpoint(log.request(0, 7)).status == 200


def test_of_two_branches_at_once_one_is_cosigned(witness, log):
    twin = Log(log.signer, [*log.leaves[:7], *(b"other" for _ in range(8))])
    assert witness.add_checkpoint(log.request(0, 7)).status == 200
    requests = [log.request(7, 15), twin.request(7, 15)] * 8
    answers = [None] * len(requests)

    def ask(number):
        answers[number] = witness.add_checkpoint(requests[number])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 1 and statuses.count(409) == 15, statuses
    winner = (log, twin)[statuses.index(200) % 2]
    assert tlog.Checkpoint(witness.note_of(ORIGIN).body).root == tlog.root_of(winner.leaves)


def test_a_slow_peer_keeps_nobody_waiting(witness, log):
    slow = []
    for _ in range(8):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(witness.socket))
        one.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Le")
        slow.append(one)
    assert witness.add_checkpoint(log.request(0, 7)).status == 200
    for one in slow:
        one.close()


def test_the_directory_is_one_processs(witness, base, log):
    again = witness.command("--socket", base / "second.sock", check=False)
    assert again.returncode == FAILED and "another process of this witness" in again.stderr
    request = base / "request"
    request.write_text(log.request(0, 7))
    assert witness.command("sign", request, check=False).returncode == FAILED


def test_a_log_is_added_while_it_serves(witness):
    other = Log(Signer("example.com/other"), [b"a", b"b"])
    assert witness.add_checkpoint(other.request(0, 2)).status == 404
    witness.add_log(other.signer.vkey)
    assert witness.add_checkpoint(other.request(0, 2)).status == 200
    assert witness.command("add-log", witness.base / "log.vkey", check=False).returncode == FAILED


def test_a_log_may_have_several_keys_and_other_lines_are_not_kept(witness, log):
    second = Log(Signer(ORIGIN), log.leaves)
    witness.add_log(second.signer.vkey)
    stranger = Signer("stranger.example").line(log.text(7))
    note = second.checkpoint(7) + stranger + log.signer.line(log.text(7))
    answer = witness.add_checkpoint(body(0, [], note))
    assert answer.status == 200
    kept = witness.note_of(ORIGIN).body
    assert kept == second.checkpoint(7) + log.signer.line(log.text(7)) + answer.body


def test_init_prints_the_key_and_keeps_it_to_itself(build, base):
    witness = Witness(build, base)
    said = witness.init()
    key = witness.dir / "witness.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "SHA-256 " in said and "PRIVATE" not in said
    *words, typed = key.read_text().split("+", 4)
    assert words == ["PRIVATE", "KEY", witness.name, witness.cosigner.id.hex()]
    assert tlog.strict_base64(typed.strip())[0] == 4
    assert witness.command("init", "--name", "x", check=False).returncode == FAILED
    key.chmod(0o644)
    assert "chmod" in witness.command(check=False).stderr
    key.unlink()
    assert witness.command(check=False).returncode == NOT_FOUND


def test_a_port_is_loopback_unless_asked(make_witness, log):
    witness = make_witness()
    said = witness.command("--listen", "0.0.0.0:0", check=False)
    assert said.returncode == 2 and "--allow-remote" in said.stderr
    port = int(witness.start("--listen", "127.0.0.1:0"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    assert witness.ask("POST", "/add-checkpoint", log.request(0, 7), connection).status == 200


def test_curl_speaks_to_it(witness, base, log):
    request = base / "request"
    request.write_text(log.request(0, 7))
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", str(witness.socket), "--data-binary", f"@{request}",
         "-H", "Expect: 100-continue", "http://witness/add-checkpoint"],
        check=True, capture_output=True, text=True, timeout=20)
    witness.cosigner.time_of(done.stdout, log.text(7))


def test_a_file_in_and_a_file_out(make_witness, base, log):
    witness = make_witness()
    request, answer = base / "request", base / "answer"
    request.write_text(log.request(0, 7))
    witness.command("sign", request, "-o", answer)
    witness.cosigner.time_of(answer.read_text(), log.text(7))
    request.write_text(log.request(7, 15))
    witness.cosigner.time_of(witness.command("sign", request).stdout, log.text(15))
    request.write_text(log.request(7, 7))
    said = witness.command("sign", request, check=False)
    assert said.returncode == VERIFY and "cosigned last has 15 entries" in said.stderr
    twin = Log(log.signer, [*log.leaves[:6], b"changed", *log.leaves[7:], b"more"])
    request.write_text(twin.request(15, 16))
    assert witness.command("sign", request, check=False).returncode == VERIFY
    request.write_text(Log(Signer("example.com/other"), [b"a"]).request(0, 1))
    assert witness.command("sign", request, check=False).returncode == NOT_FOUND
    assert os.listdir(witness.dir / "logs") != []


def test_a_state_that_was_changed_is_refused(make_witness, log):
    witness = make_witness()
    witness.start()
    assert witness.add_checkpoint(log.request(0, 7)).status == 200
    witness.stop()
    (file,) = (witness.dir / "logs").glob("*.checkpoint")
    file.write_text(file.read_text().replace("\n7\n", "\n6\n"))
    witness.start()
    assert witness.add_checkpoint(log.request(6, 15)).status == 500


def test_a_log_of_a_service_is_cosigned_and_a_rewritten_one_is_not(make_witness, acme, base):
    witness = make_witness()
    witness.add_log((acme.dir / "log/genesis.vkey").read_text().strip())
    for entry in acme.log_entries():
        if entry["type"] == "log.key":
            witness.add_log(entry["log_key"])
    request, kept = base / "request", base / "kept"
    first = acme.oxvault("log", "checkpoint").stdout
    request.write_text("old 0\n\n" + first)
    witness.command("sign", request)
    acme.sign_oauth1(EMPLOYEE_URL)
    acme.oxvault("log", "prove", "--from", tlog.Checkpoint(first).size, "-o", request)
    note = tlog.Proof(request.read_text()).checkpoint
    line = witness.command("sign", request).stdout
    witness.cosigner.time_of(line, note.text)
    # What the witness saw is a checkpoint that the log must contain for ever.
    kept.write_text(request.read_text().split("\n\n", 1)[1] + line)
    assert witness.cosigner.cosigned(kept.read_text())
    verify = ("log", "verify", "--log", acme.dir / "log", "--key", acme.dir / "log/genesis.vkey",
              "--checkpoint", kept)
    acme.oxvault(*verify)
    # Rolled back: an older checkpoint, signed as it should be, is not cosigned again.
    request.write_text("old 0\n\n" + first)
    said = witness.command("sign", request, check=False)
    assert said.returncode == VERIFY and f"cosigned last has {note.size} entries" in said.stderr
