"""The oxvault command at a terminal, and before a door that does not behave."""

import json
import os
import secrets
import signal
import socket
import subprocess
import termios
import threading

import pytest
from support.credentials import A1, EMPLOYEE_URL
from support.fake_door import FakeDoor, ok
from support.process import wait_until
from support.service import private_file
from support.terminal import Terminal

NETSUITE = (
    "--system", "netsuite", "--account-id", A1.account, "--consumer-key", A1.consumer_key,
    "--token-id", A1.token,
)


@pytest.fixture
def at_terminal():
    """at_terminal(*command) -> a Terminal, closed at the end."""
    made = []

    def start(*command, **options):
        made.append(Terminal(*command, **options))
        return made[-1]

    yield start
    for terminal in made:
        terminal.close()


def test_secrets_are_asked_for_without_echo(service, at_terminal):
    terminal = at_terminal(service.build.oxvault, "--run", service.run, "connection", "add", "acme", *NETSUITE)
    terminal.expect("Consumer secret: ")
    assert not terminal.echoes()
    terminal.type(f"{A1.consumer_secret}\n")
    terminal.expect("Token secret: ")
    assert not terminal.echoes()
    terminal.type(f"{A1.token_secret}\n")
    terminal.expect("Connection acme is in the vault")
    assert A1.consumer_secret not in terminal.wait()
    assert terminal.code == 0
    service.add_caller()
    service.add_grant()
    assert service.oxvault("sign", "acme", "GET", EMPLOYEE_URL).stdout.startswith("Authorization: OAuth ")


def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(service, at_terminal):
    for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
        terminal = at_terminal(
            service.build.oxvault, "--run", service.run, "connection", "add", "acme", *NETSUITE)
        before = termios.tcgetattr(terminal.fd)
        terminal.expect("Consumer secret: ")
        assert not terminal.echoes()
        terminal.type("half a secr")
        terminal.signal(number)
        terminal.wait()
        assert terminal.code == -number
        assert termios.tcgetattr(terminal.fd) == before
        assert "half" not in terminal.text


def test_a_stopped_prompt_is_asked_again(service, at_terminal):
    terminal = at_terminal(service.build.oxvault, "--run", service.run, "connection", "add", "acme", *NETSUITE)
    terminal.expect("Consumer secret: ")
    # The kernel does not stop the only job of a session; it asks again all the same.
    terminal.signal(signal.SIGTSTP)
    terminal.expect("Consumer secret: ")
    terminal.wait_for_silence()
    terminal.type(f"{A1.consumer_secret}\n")
    terminal.expect("Token secret: ")


def test_a_new_passphrase_is_asked_for_twice(build, tmp_path, at_terminal):
    users = ["--users", "none"] if os.geteuid() == 0 else []
    command = (build.oxvault, "--dir", tmp_path / "v", "init", *users, "--seal", "passphrase")
    terminal = at_terminal(*command)
    terminal.expect("New passphrase for the vault: ")
    terminal.type("correct horse\n")
    terminal.expect("The same again: ")
    terminal.type("battery staple\n")
    assert "the two passphrases are not the same" in terminal.wait()
    assert terminal.code == 1
    assert not (tmp_path / "v").exists()
    terminal = at_terminal(*command)
    for question in ["New passphrase for the vault: ", "The same again: "]:
        terminal.expect(question)
        terminal.type("correct horse\n")
    assert "Give this to your auditor now" in terminal.wait()
    assert terminal.code == 0


def test_unseal_asks_for_the_passphrase(make_service, at_terminal):
    service = make_service(seal="passphrase", source=False)
    service.init()
    service.start()
    terminal = at_terminal(service.build.oxvault, "--run", service.run, "unseal")
    terminal.expect("Passphrase of the vault: ")
    terminal.type("wrong\n")
    assert "wrong passphrase" in terminal.wait()
    assert terminal.code == 4
    terminal = at_terminal(service.build.oxvault, "--run", service.run, "unseal")
    terminal.expect("Passphrase of the vault: ")
    terminal.type(service.secret_file.read_text().strip() + "\n")
    assert "The vault is open." in terminal.wait()
    assert terminal.code == 0


def test_colours_are_for_terminals_that_want_them(service, at_terminal):
    command = (service.build.oxvault, "--run", service.run, "status")
    for options, environment, colours in [
        ((), {}, True), (("--no-color",), {}, False), ((), {"NO_COLOR": "1"}, False), ((), {"TERM": "dumb"}, False),
    ]:
        terminal = at_terminal(*command, *options, environment=environment)
        assert ("\033[32mopen\033[0m" in terminal.wait()) == colours, (options, environment)


def test_a_long_import_shows_a_bar(service, at_terminal):
    lines = [json.dumps({
        "name": f"c{i}", "system": "netsuite", "account_id": str(1000000 + i),
        "consumer_key": secrets.token_hex(32), "token_id": secrets.token_hex(32),
        "consumer_secret": secrets.token_hex(32), "token_secret": secrets.token_hex(32),
    }) for i in range(3000)]
    file = private_file(service.base / "import.jsonl", "\n".join(lines))
    terminal = at_terminal(service.build.oxvault, "--run", service.run, "connection", "import", file)
    terminal.expect("Importing [")
    terminal.expect("%")
    text = terminal.wait(60)
    assert terminal.code == 0
    assert "\r\033[K" in text
    assert "3000 connections are in the vault" in text


# A door that does not behave


@pytest.fixture
def fake(build, tmp_path):
    """fake(door, answer) -> (the door, a function that runs the command before it)."""
    doors = []

    def start(door, answer):
        doors.append(FakeDoor(tmp_path / f"{door}.sock", answer))

        def command(*arguments):
            return subprocess.run(
                [str(word) for word in [build.oxvault, "--run", tmp_path, *arguments]],
                capture_output=True, text=True, check=False, timeout=60, env={"LC_ALL": "C.UTF-8"})

        return doors[-1], command

    yield start
    for door in doors:
        door.close()


@pytest.mark.parametrize("answer, says", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not good JSON"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not good JSON"),
    (b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"a":1,"a":2}', "a name that is there twice"),
    (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops", "no error document of oxvault"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n",
     "no error document of oxvault"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer of an oxvault service"),
])
def test_what_is_no_answer_of_the_service_is_told_and_ends_with_1(fake, answer, says):
    _, command = fake("admin", lambda target, body: answer)
    done = command("status")
    assert done.returncode == 1, done
    assert says in done.stderr


@pytest.mark.parametrize("state, code", [("open", 0), ("sealed", 4), ("failed", 1), ("melted", 1)])
def test_health_tells_sealed_from_failed_by_its_exit_code(fake, state, code):
    _, command = fake("admin", lambda target, body: ok(json.dumps({"state": state, "detail": "why"})))
    done = command("health")
    assert (done.returncode, done.stdout) == (code, f"{state}: why\n")


def test_a_connection_that_breaks_is_exit_8(fake):
    _, command = fake("admin", lambda target, body: b"")
    done = command("status")
    assert done.returncode == 8
    assert "closed the connection before its answer was whole" in done.stderr


def test_text_from_the_service_cannot_steer_the_terminal(fake):
    evil = "\033[2Jevil\u202etxt\u0007\n"
    _, command = fake("admin", lambda target, body: ok(json.dumps({
        "connections": [{"id": 1, "name": evil, "system": "oauth1"}]})))
    done = command("connection", "list")
    assert done.returncode == 0, done
    assert "\\u{1B}[2Jevil\\u{202E}txt\\u{07}\\u{0A}" in done.stdout
    assert not any(character in done.stdout for character in "\033\u202e\u0007")
    assert len(done.stdout.splitlines()) == 2


def test_columns_are_aligned_whatever_the_script(fake):
    items = [{"name": "Zürich", "uid": 4000000001}, {"name": "東京", "uid": 4000000002}, {"name": "x", "uid": 4000000003}]
    _, command = fake("admin", lambda target, body: ok(json.dumps({"callers": items}, ensure_ascii=False)))
    rows = command("caller", "list").stdout.splitlines()

    def column(row):
        """Where the uid begins, on a screen: these two characters are twice as wide."""
        before = row[: row.index("4000") if "4000" in row else row.index("UID")]
        return len(before) + before.count("東") + before.count("京")

    assert len({column(row) for row in rows}) == 1


def test_a_problem_from_the_service_is_printed_escaped(fake):
    problem = json.dumps({"type": "urn:oxvault:error:conflict", "title": "T", "status": 409,
                          "detail": "\u202eno\033[0m", "code": "conflict"}).encode()
    answer = b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(problem), problem)
    _, command = fake("admin", lambda target, body: answer)
    done = command("lock")
    assert (done.returncode, done.stderr) == (1, "oxvault: \\u{202E}no?[0m\n")


def test_pages_of_a_list_are_followed_to_their_end(fake):
    def answer(target, body):
        after = int(target.split("after=")[1]) if "after=" in target else 0
        page = {"callers": [{"id": after + 1, "name": f"n{after + 1}", "uid": after}]}
        return ok(json.dumps({**page, "next": after + 1} if after < 4 else page))

    door, command = fake("admin", answer)
    listed = json.loads(command("caller", "list", "--json").stdout)["callers"]
    assert [caller["name"] for caller in listed] == ["n1", "n2", "n3", "n4", "n5"]
    assert [target for _, target, _ in door.requests] == [
        "/v1/admin/callers", *(f"/v1/admin/callers?after={n}" for n in range(1, 5))]


def test_an_empty_page_with_a_next_one_is_not_the_end(fake):
    pages = {0: ([], 10), 10: ([1], 20), 20: ([], 30), 30: ([], 40), 40: ([2, 3], None)}

    def answer(target, body):
        numbers, following = pages[int(target.split("after=")[1]) if "after=" in target else 0]
        page = {"grants": [{"id": n} for n in numbers]}
        return ok(json.dumps({**page, "next": following} if following else page))

    door, command = fake("admin", answer)
    listed = json.loads(command("grant", "list", "--json").stdout)["grants"]
    assert [grant["id"] for grant in listed] == [1, 2, 3]
    assert len(door.requests) == 5


def test_pages_that_do_not_go_forward_are_an_error_and_no_shorter_list(fake):
    _, command = fake("admin", lambda target, body: ok('{"callers":[],"next":7}'))
    done = command("caller", "list", "--json")
    assert done.returncode == 1
    assert "the pages of the service's answer do not go forward" in done.stderr


def test_an_export_that_breaks_off_leaves_no_file(fake, tmp_path):
    chunk = b'{"seq":1}\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = b"%x\r\n%s\r\n" % (len(chunk), chunk)
    _, command = fake("audit", lambda target, body: head + whole + b"ff\r\ncut")
    (tmp_path / "out").write_text("older")
    done = command("log", "export", "-o", tmp_path / "out")
    assert done.returncode == 8, done
    assert (tmp_path / "out").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_interrupted_leaves_no_file(build, tmp_path, number):
    """The door's answer has begun, and does not end."""
    began, over = threading.Event(), threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "audit.sock"))
    listener.listen()

    def answer():
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{...}\r\n")
            began.set()
            over.wait(30)

    thread = threading.Thread(target=answer)
    thread.start()
    out = tmp_path / "out"
    out.write_text("older")
    with subprocess.Popen([build.oxvault, "--run", tmp_path, "log", "export", "-o", out]) as command:
        assert began.wait(30)
        wait_until(lambda: any(path.stat().st_size == 5 for path in tmp_path.glob("out.*")))
        command.send_signal(number)
        assert command.wait(30) == -number
    over.set()
    thread.join()
    listener.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.sock", "out"]
    assert out.read_text() == "older"


def test_filters_reach_the_service_encoded(fake):
    door, command = fake("audit", lambda target, body: ok("", "application/jsonl"))
    command("log", "show", "--connection", "a&b=c d", "--since", "2026-01-02T03:04:05+01:00", "-n", "7")
    command("log", "export", "--format", "csv", "--caller", "ü", "--outcome", "denied", "--type", "sign",
            "--until", "2026-01-02")
    assert [target for _, target, _ in door.requests] == [
        "/v1/audit/log?purpose=show&format=jsonl&since=2026-01-02T02%3A04%3A05.000000Z"
        "&connection=a%26b%3Dc%20d&limit=7",
        "/v1/audit/log?purpose=export&format=csv&until=2026-01-02T00%3A00%3A00.000000Z"
        "&caller=%C3%BC&outcome=denied&type=sign",
    ]


@pytest.mark.parametrize("name", ["a/b", "a?b", "a b", "ü"])
def test_a_name_is_one_segment_of_the_path(fake, name):
    door, command = fake("admin", lambda target, body: ok("{}"))
    command("connection", "show", name)
    [(_, target, _)] = door.requests
    assert target.count("/") == 4 and "?" not in target


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_a_name_that_would_be_another_path_is_not_sent(fake, name):
    door, command = fake("admin", lambda target, body: ok("{}"))
    assert command("connection", "remove", name).returncode == 2
    assert door.requests == []
