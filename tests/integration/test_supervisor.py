"""oxvaultd alone, with a keeper that does what each test tells it (support/fake_keeper.py)."""

import fcntl
import json
import os
import pty
import pwd
import resource
import shutil
import signal
import socket
import stat
import subprocess
import termios
import time
from pathlib import Path

import pytest
from support import process
from support.service import private_file, public_directory

FAKE = Path(__file__).resolve().parent.parent / "support/fake_keeper.py"
DOORS = ("sign", "admin", "audit")
SOURCE_NONE, SOURCE_PASSPHRASE, SOURCE_KEYFILE, SOURCE_TERMINAL = range(4)
STOP = 228
FRONTEND, FRONTEND_FAILED = 226, 227
HELPER, HELPER_FAILED = 230, 231
CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7


class Daemon:
    """An oxvaultd with the fake keeper, and what came out of both."""

    def __init__(self, build, users=("--users", "none")):
        self.base = public_directory("oxv-supervisor-")
        self.dir, self.run, self.libexec = (self.base / n for n in ("vault", "run", "libexec"))
        self.stderr_file = self.base / "stderr"
        self.program = build.oxvaultd
        self.users = users if os.geteuid() == 0 else ()
        self.dir.mkdir()
        self.libexec.mkdir()
        for directory in (self.dir, self.libexec):
            directory.chmod(0o777)  # the role users write down what they see
        for name in ("oxvault-keeper", "oxvault-frontend", "oxvault-token"):
            shutil.copy(FAKE, self.libexec / name)
            (self.libexec / name).chmod(0o755)
        self.behave()
        self.child = None

    def behave(self, **behaviour):
        (self.dir / "behaviour.json").write_text(json.dumps(behaviour))

    def command(self, *more):
        return [str(word) for word in (
            self.program, "--dir", self.dir, "--run", self.run, "--libexec", self.libexec,
            *self.users, *more,
        )]

    def start(self, *more, wrap=(), environment=None, **options):
        with open(self.stderr_file, "ab") as stderr:
            self.child = subprocess.Popen(
                [*wrap, *self.command(*more)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=stderr, start_new_session=True,
                env={"PATH": os.environ["PATH"], **(environment or {})}, **options,
            )
        return self

    def line(self):
        return self.child.stdout.readline().decode()

    def ready(self, *more, **options):
        self.start(*more, **options)
        line = self.line()
        assert line == "oxvaultd ready\n", (line, self.stderr)
        return self

    def end(self, seconds=20):
        """Waits for the end; returns the exit code and what else came on stdout."""
        rest = self.child.stdout.read().decode()
        code = self.child.wait(seconds)
        self.child.stdout.close()
        process.wait_until(
            lambda: not process.processes_of_group(self.child.pid), 3, "the end of all children"
        )
        return code, rest

    def stop(self, signal_number=signal.SIGTERM):
        self.child.send_signal(signal_number)
        return self.end()

    @property
    def stderr(self):
        return self.stderr_file.read_text()

    @property
    def seen(self):
        file = self.dir / "seen"
        return [json.loads(x) for x in file.read_text().splitlines()] if file.exists() else []

    def events(self, name):
        return [event for event in self.seen if event["event"] == name]

    def wait_for(self, name, count=1, seconds=10):
        return process.wait_until(
            lambda: len(self.events(name)) >= count and self.events(name), seconds, f"{count} {name}"
        )

    @property
    def frontends(self):
        return self._children("frontends")

    @property
    def helpers(self):
        return self._children("tokens")

    def _children(self, name):
        file = self.libexec / name
        return [json.loads(x) for x in file.read_text().splitlines()] if file.exists() else []

    def living(self, role):
        return [p.pid for p in process.processes_of_group(self.child.pid) if p.role == role]

    def remove(self):
        if self.child is not None:
            process.kill_group(self.child.pid)
            self.child.wait()
        shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture
def make_daemon(build):
    made = []

    def make(**options):
        made.append(Daemon(build, **options))
        return made[-1]

    yield make
    for daemon in made:
        daemon.remove()


@pytest.fixture
def daemon(make_daemon):
    return make_daemon()


def refused(daemon, *options, **more):
    """Exit code and stderr of a start that must fail without a word on stdout."""
    daemon.start(*options, **more)
    code, out = daemon.end()
    assert out == ""
    return code, daemon.stderr


def left_in(directory):
    return {path.name for path in directory.iterdir()}


# ---- the life of a service ----


def test_an_open_vault_is_told_by_one_line_and_sigterm_ends_it_with_0(daemon):
    daemon.ready()
    assert daemon.stop() == (0, "")
    assert daemon.stderr == ""
    assert [e["event"] for e in daemon.seen] == [
        "started", "start", "published", "message", "stopped",
    ]
    assert daemon.events("message")[0]["type"] == STOP
    assert left_in(daemon.run) == {"lock"}


def test_a_sealed_vault_is_told_by_another_line(daemon):
    daemon.behave(sealed=1)
    daemon.start()
    assert daemon.line() == "oxvaultd up, sealed\n"
    assert daemon.stop(signal.SIGINT) == (0, "")


def test_sighup_is_harmless(daemon):
    daemon.ready()
    daemon.child.send_signal(signal.SIGHUP)
    os.kill(daemon.living("keeper")[0], signal.SIGHUP)
    time.sleep(0.1)
    assert daemon.stop() == (0, "")
    assert len(daemon.events("started")) == 1


def test_the_keeper_gets_only_what_is_meant_for_it(daemon):
    daemon.ready("--secret-memory", "sodium", environment={"SECRET_OF_MINE": "x"})
    (seen,) = daemon.events("started")
    assert seen["argv"] == ["--dir", str(daemon.dir), "--secret-memory", "sodium"]
    environment = {k: v for k, v in seen["environment"].items() if k != "LC_CTYPE"}  # Python's own
    assert environment == {"OPENSSL_CONF": "/dev/null"}
    assert seen["descriptors"] == [0, 1, 2, 3]
    assert seen["stdin"] == "/dev/null"
    assert seen["stdout_is_stderr"]
    assert seen["group"] == daemon.child.pid
    assert seen["blocked_signals"] == "0" * 16
    assert seen["no_new_privs"] == "1"
    assert int(seen["capabilities"], 16) == 0
    (start,) = daemon.events("start")
    assert start["service_uid_plus1"] == os.geteuid() + 1
    assert start["single_uid"] == 1
    assert start["listening"] == [1, 1, 1]
    assert (start["memory_unlocked"], start["require_sandbox"], start["userns_allowed"]) == (0, 0, 0)
    daemon.stop()


def test_options_for_the_keeper_are_handed_on(daemon):
    daemon.ready("--allow-unlocked-memory", "--require-sandbox")
    assert "--allow-unlocked-memory" in daemon.events("started")[0]["argv"]
    (start,) = daemon.events("start")
    assert (start["memory_unlocked"], start["require_sandbox"]) == (1, 1)
    daemon.stop()


def test_vault_pub_is_there_for_everyone_before_the_doors_open(daemon):
    daemon.ready()
    file = daemon.run / "vault.pub"
    assert file.read_text() == f"public key of {daemon.living('keeper')[0]}\n"
    assert file.stat().st_mode & 0o7777 == 0o644
    assert file.stat().st_uid == os.geteuid()
    daemon.stop()


def test_dir_and_run_can_come_from_the_environment(daemon):
    command = daemon.command()
    child = subprocess.Popen(
        [command[0], *command[5:]], stdout=subprocess.PIPE, start_new_session=True,
        env={"OXVAULT_DIR": str(daemon.dir), "OXVAULT_RUN": str(daemon.run)},
    )
    daemon.child = child
    assert daemon.line() == "oxvaultd ready\n"
    assert daemon.stop() == (0, "")


def test_closed_standard_descriptors_do_no_harm(daemon):
    daemon.start(wrap=["sh", "-c", 'exec "$@" 0<&- 2>&-', "sh"])
    assert daemon.line() == "oxvaultd ready\n"
    assert daemon.events("started")[0]["descriptors"] == [0, 1, 2, 3]
    assert daemon.stop() == (0, "")


def test_the_supervisor_hardens_itself(daemon):
    daemon.ready()
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{daemon.child.pid}/status").read_text().splitlines()
    )
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 0
    limits = Path(f"/proc/{daemon.child.pid}/limits").read_text()
    assert next(x for x in limits.splitlines() if "core" in x).split()[4:6] == ["0", "0"]
    daemon.stop()


# ---- doors ----


def test_the_doors_have_their_modes(daemon):
    old = os.umask(0)
    try:
        daemon.ready()
    finally:
        os.umask(old)
    modes = {door: (daemon.run / f"{door}.sock").stat().st_mode for door in DOORS}
    assert all(stat.S_ISSOCK(mode) for mode in modes.values())
    assert {door: mode & 0o7777 for door, mode in modes.items()} == {
        "sign": 0o666, "admin": 0o660, "audit": 0o660,
    }
    assert daemon.run.stat().st_mode & 0o7777 == 0o755
    daemon.stop()


def test_a_run_directory_of_a_strict_user_gets_open_doors_too(daemon):
    old = os.umask(0o077)
    try:
        daemon.ready()
    finally:
        os.umask(old)
    assert daemon.run.stat().st_mode & 0o7777 == 0o755
    assert (daemon.run / "sign.sock").stat().st_mode & 0o7777 == 0o666
    daemon.stop()


def test_stale_doors_are_replaced(daemon):
    daemon.ready()
    process.kill_group(daemon.child.pid)
    daemon.end()
    assert (daemon.run / "sign.sock").exists()
    daemon.ready()
    assert daemon.stop() == (0, "")


def test_a_door_at_which_a_stranger_listens_is_left_alone(daemon):
    daemon.run.mkdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(daemon.run / "admin.sock"))
        stranger.listen()
        code, stderr = refused(daemon)
        assert code == 1
        assert f"somebody listens at {daemon.run}/admin.sock" in stderr
        assert (daemon.run / "admin.sock").exists()
    assert not (daemon.run / "sign.sock").exists()  # the one it had made


def test_what_is_no_socket_is_not_removed(daemon):
    daemon.run.mkdir()
    (daemon.run / "sign.sock").write_text("mine")
    code, stderr = refused(daemon)
    assert code == 1
    assert "is no socket" in stderr
    assert (daemon.run / "sign.sock").read_text() == "mine"


def test_a_second_service_on_the_same_run_directory_refuses_and_harms_nothing(daemon, make_daemon):
    daemon.ready()
    second = make_daemon()
    second.run = daemon.run
    code, stderr = refused(second)
    assert code == 1
    assert stderr == f"oxvaultd: another oxvaultd has its doors in {daemon.run}\n"
    assert left_in(daemon.run) == {*(f"{d}.sock" for d in DOORS), "vault.pub", "lock"}
    assert daemon.stop() == (0, "")


def lock_as_a_stranger(directory):
    """Takes every lock that it can get at; returns what it could open."""
    opened = []
    for path in (directory, directory / "lock"):
        for flags in (os.O_RDONLY, os.O_RDWR):
            try:
                opened.append((os.open(path, flags), path.name))
                fcntl.flock(opened[-1][0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
    return opened


@pytest.mark.root
def test_locks_of_a_stranger_keep_no_service_from_starting(daemon):
    daemon.ready()
    daemon.stop()
    told, tells = os.pipe()
    asked, asks = os.pipe()
    stranger = os.fork()
    if stranger == 0:
        os.setresgid(60101, 60101, 60101)
        os.setresuid(60101, 60101, 60101)
        os.write(tells, " ".join(name for _, name in lock_as_a_stranger(daemon.run)).encode())
        os.close(asks)
        os.read(asked, 1)
        os._exit(0)
    try:
        assert os.read(told, 100) == b"run"  # only to read, and it holds that lock
        daemon.ready()
        assert daemon.stop() == (0, "")
    finally:
        for fd in (asks, asked, told, tells):
            os.close(fd)
        os.waitpid(stranger, 0)


def test_the_lock_is_a_private_file_that_stays(daemon):
    daemon.ready()
    lock = daemon.run / "lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert lock.stat().st_uid == os.geteuid()
    before = lock.stat().st_ino
    daemon.stop()
    daemon.ready()
    assert lock.stat().st_ino == before
    daemon.stop()


@pytest.mark.parametrize("kind", ["symlink", "open", "directory"])
def test_a_lock_that_others_could_take_is_refused(daemon, kind):
    daemon.run.mkdir()
    lock = daemon.run / "lock"
    if kind == "symlink":
        (daemon.base / "elsewhere").touch(mode=0o600)
        lock.symlink_to(daemon.base / "elsewhere")
    elif kind == "open":
        lock.touch()
        lock.chmod(0o604)
    else:
        lock.mkdir()
    code, stderr = refused(daemon)
    assert code == (3 if kind == "open" else 1)
    assert f"{daemon.run}/lock" in stderr


@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_a_run_directory_that_is_a_symlink_is_refused(daemon, ending):
    real = daemon.base / "real"
    real.mkdir(mode=0o755)
    daemon.run.symlink_to(real)
    daemon.run = f"{daemon.run}{ending}"
    code, stderr = refused(daemon)
    assert code == 3
    assert f"{daemon.base}/run is a symbolic link" in stderr
    assert left_in(real) == set()


def test_a_run_directory_may_end_in_a_slash_and_lie_below_a_symlink(daemon):
    (daemon.base / "link").symlink_to(daemon.base)
    doors = daemon.run
    daemon.run = f"{daemon.base}/link/run/"
    daemon.ready()
    assert left_in(doors) == {*(f"{d}.sock" for d in DOORS), "vault.pub", "lock"}
    assert daemon.stop() == (0, "")


def test_doors_are_made_in_the_directory_that_was_checked(daemon, make_daemon):
    """Its path leads elsewhere while the service waits for who has it: the doors follow nobody."""
    daemon.ready()
    second = make_daemon()
    second.run = daemon.run
    second.start()
    checked = daemon.base / "checked"
    locked = f"{daemon.run}/lock"
    process.wait_until(
        lambda: locked in descriptors_of(second.child.pid), 5, "the second at the lock"
    )
    trap = daemon.base / "trap"
    trap.mkdir()
    daemon.run.rename(checked)
    daemon.run.symlink_to(trap)
    daemon.stop()
    assert second.line() == "oxvaultd ready\n", second.stderr
    assert left_in(trap) == set()
    assert left_in(checked) == {*(f"{d}.sock" for d in DOORS), "vault.pub", "lock"}
    assert second.stop() == (0, "")


def descriptors_of(pid):
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue  # closed in between
    return found


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_run_directory_that_others_can_write_to_is_refused(daemon, mode):
    daemon.run.mkdir()
    daemon.run.chmod(mode)
    code, stderr = refused(daemon)
    assert code == 3
    assert "others can write to" in stderr
    assert "chmod go-w" in stderr


def test_a_run_path_too_long_for_a_socket_is_told(daemon):
    daemon.run = daemon.base / ("x" * 120)
    code, stderr = refused(daemon)
    assert code == 1
    assert "too long for a socket" in stderr


# ---- what opens the vault ----


def secret_file(daemon, content="correct horse"):
    return private_file(daemon.base / "secret", content)


@pytest.mark.parametrize(
    ("option", "source"),
    [("--passphrase-file", SOURCE_PASSPHRASE), ("--keyfile", SOURCE_KEYFILE)],
)
def test_a_file_is_opened_and_handed_on_for_each_keeper(daemon, option, source):
    file = secret_file(daemon)
    daemon.ready(option, file)
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    for start in daemon.wait_for("start", 2):
        assert start["source"] == source
        assert start["secret"] == "correct horse"
        assert start["source_path"] == str(file)
        assert start["secret_is_file"]
    daemon.wait_for("published", 2)
    assert daemon.stop() == (0, "")


def test_without_a_source_there_is_none(daemon):
    daemon.ready()
    (start,) = daemon.events("start")
    assert start["source"] == SOURCE_NONE
    assert "secret" not in start
    daemon.stop()


def test_a_descriptor_gives_once(daemon):
    reader, writer = os.pipe()
    os.write(writer, b"from a pipe")
    os.close(writer)
    daemon.ready("--passphrase-fd", reader, pass_fds=[reader])
    os.close(reader)
    (first,) = daemon.events("start")
    assert first["source"] == SOURCE_PASSPHRASE
    assert first["secret"] == "from a pipe"
    assert first["source_path"] == f"descriptor {reader}"
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    second = daemon.wait_for("start", 2)[1]
    assert second["source"] == SOURCE_NONE
    assert f"run oxvault --run {daemon.run} unseal" in daemon.stderr
    daemon.wait_for("published", 2)
    assert daemon.stop() == (0, "")


def test_a_passphrase_can_come_on_stdin(daemon):
    daemon.start("--passphrase-fd", "0", wrap=["sh", "-c", 'echo hello | "$@"', "sh"])
    assert daemon.line() == "oxvaultd ready\n"
    assert daemon.events("start")[0]["secret"] == "hello\n"
    assert daemon.events("started")[0]["stdin"] == "/dev/null"
    os.killpg(daemon.child.pid, signal.SIGTERM)
    daemon.end()


def test_systemds_credential_is_found_by_itself(daemon):
    credentials = daemon.base / "credentials"
    credentials.mkdir()
    private_file(credentials / "passphrase", "from systemd")
    daemon.ready(environment={"CREDENTIALS_DIRECTORY": str(credentials)})
    (start,) = daemon.events("start")
    assert (start["source"], start["secret"]) == (SOURCE_PASSPHRASE, "from systemd")
    daemon.stop()


def test_a_credentials_directory_without_a_passphrase_leaves_the_vault_sealed(daemon):
    daemon.behave(sealed=1)
    daemon.start(environment={"CREDENTIALS_DIRECTORY": str(daemon.base)})
    assert daemon.line() == "oxvaultd up, sealed\n"
    assert daemon.events("start")[0]["source"] == SOURCE_NONE
    daemon.stop()


def test_a_passphrase_file_that_others_can_read_is_refused(daemon):
    file = secret_file(daemon)
    file.chmod(0o640)
    code, stderr = refused(daemon, "--passphrase-file", file)
    assert code == 3
    assert str(file) in stderr
    assert "chmod 600" in stderr
    assert not daemon.events("started")


def test_a_passphrase_file_that_is_missing_is_named(daemon):
    code, stderr = refused(daemon, "--passphrase-file", daemon.base / "nowhere")
    assert code == 1
    assert f"cannot open {daemon.base}/nowhere: No such file" in stderr
    assert left_in(daemon.run) == {"lock"}


def test_a_source_file_that_is_gone_at_a_replacement_leaves_the_vault_sealed(daemon):
    file = secret_file(daemon)
    daemon.ready("--passphrase-file", file)
    file.unlink()
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    assert daemon.wait_for("start", 2)[1]["source"] == SOURCE_NONE
    daemon.wait_for("published", 2)
    assert f"cannot open {file}" in daemon.stderr
    assert "unseal" in daemon.stderr
    assert daemon.stop() == (0, "")


def in_terminal(daemon, *options):
    """Starts it in the foreground of a terminal of its own; returns pid and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execv(daemon.program, daemon.command(*options))
        finally:
            os._exit(126)
    return pid, terminal


def test_a_terminal_is_handed_to_the_keeper_and_control_c_ends_at_once(daemon):
    daemon.behave(die="never")
    pid, terminal = in_terminal(daemon, "--ask-passphrase")
    daemon.child = None
    try:
        process.wait_until(lambda: daemon.events("started"), 10, "the keeper")
        before = termios.tcgetattr(terminal)
        os.write(terminal, b"typed\n")
        (start,) = daemon.wait_for("start")
        assert (start["source"], start["secret"]) == (SOURCE_TERMINAL, "typed\n")
        assert start["source_path"] == "the terminal"
        daemon.wait_for("published")
        os.write(terminal, b"\x03")
        assert os.waitpid(pid, 0)[1] == 0
        assert termios.tcgetattr(terminal)[3] == before[3]
    finally:
        os.close(terminal)


def test_giving_up_at_the_prompt_ends_at_once_and_restores_the_terminal(daemon):
    pid, terminal = in_terminal(daemon, "--ask-passphrase")
    try:
        process.wait_until(lambda: daemon.events("started"), 10, "the keeper")
        time.sleep(0.1)
        before = termios.tcgetattr(terminal)
        silent = [*before]
        silent[3] &= ~termios.ECHO  # as the keeper does while it asks
        termios.tcsetattr(terminal, termios.TCSANOW, silent)
        begin = time.monotonic()
        os.write(terminal, b"\x03")
        assert os.waitpid(pid, 0)[1] == 0
        assert time.monotonic() - begin < 3
        assert termios.tcgetattr(terminal)[3] & termios.ECHO
    finally:
        os.close(terminal)


def test_without_a_terminal_there_is_nobody_to_ask(daemon):
    code, stderr = refused(daemon, "--ask-passphrase")
    assert code == 1
    assert "no terminal" in stderr


# ---- the command line ----


@pytest.mark.parametrize(
    "words",
    [
        ["--passphrase", "hunter2"], ["--passphrase=hunter2"], ["--password=hunter2"],
        ["--pin", "hunter2"], ["--key=hunter2"],
    ],
)
def test_a_secret_on_the_command_line_is_refused_with_the_reason(daemon, words):
    code, stderr = refused(daemon, *words)
    assert code == 2
    assert "never taken from the command line" in stderr
    assert "--passphrase-file" in stderr
    assert "hunter2" not in stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--passphrase-file", "a", "--keyfile", "b"], "not two"),
        (["--frobnicate=hunter2"], "option --frobnicate"),
        (["--dir"], "option --dir"),
        (["--dir", ""], "which vault?"),
        (["--run", ""], "where are the doors?"),
        (["hunter2"], "words behind the options"),
        (["--users", "all"], "one word: none"),
        (["--secret-memory", "paper"], "auto, memfd or sodium"),
        (["--passphrase-fd", "77"], "descriptor 77 is not open"),
        (["--passphrase-fd", "-1"], "number of a descriptor"),
        (["--passphrase-fd", "2"], "descriptor 2"),
        (["--passphrase-f", "3"], "unknown or incomplete option"),
        (["--pin-fd", "77"], "descriptor 77 is not open"),
        (["--pin-file", "label="], "[LABEL=]FILE"),
        (["--pin-file", "a=/x", "--pin-file", "a=/y"], "the same token"),
    ],
)
def test_a_wrong_command_line_is_usage(daemon, words, said):
    code, stderr = refused(daemon, *words)
    assert code == 2
    assert said in stderr
    assert stderr.startswith("oxvaultd: ")
    assert stderr.count("\n") == 1
    assert "hunter2" not in stderr
    assert not daemon.run.exists()


def test_help_and_version(daemon):
    done = subprocess.run([daemon.program, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: oxvaultd --dir DIR --run RUN")
    done = subprocess.run([daemon.program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("oxvaultd ")
    assert done.stderr == ""


def test_a_vault_that_is_not_there_is_told(daemon):
    shutil.rmtree(daemon.dir)
    code, stderr = refused(daemon)
    assert code == 5
    assert stderr == f"oxvaultd: there is no vault at {daemon.dir}: oxvault init makes one\n"
    assert not daemon.run.exists()


def test_missing_programs_are_named(daemon):
    (daemon.libexec / "oxvault-frontend").unlink()
    code, stderr = refused(daemon)
    assert code == 1
    assert f"{daemon.libexec}/oxvault-frontend is missing" in stderr


# ---- a keeper that refuses, dies, hangs or lies ----


def test_a_refusal_ends_with_its_code_and_its_line(daemon):
    daemon.behave(refuse=[4, "wrong passphrase, or seal 1 was changed"])
    code, stderr = refused(daemon)
    assert code == 4
    assert stderr == "oxvaultd: wrong passphrase, or seal 1 was changed\n"
    assert len(daemon.events("started")) == 1
    assert left_in(daemon.run) == {"lock"}


def test_a_token_that_is_away_at_the_start_is_exit_code_7(daemon):
    daemon.behave(refuse=[7, "the token ci is not there: plug it in"])
    assert refused(daemon) == (7, "oxvaultd: the token ci is not there: plug it in\n")


def test_a_token_that_is_away_when_the_keeper_is_replaced_is_waited_for(daemon):
    daemon.ready()
    daemon.behave(refuse=[7, "the token ci is not there: plug it in"])
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    process.wait_until(
        lambda: daemon.stderr.count("the token ci is not there: plug it in\n") == 2, 5, "two tries"
    )
    daemon.behave()
    daemon.wait_for("published", 2)
    assert daemon.stop() == (0, "")


def test_a_refusal_of_a_replacement_ends_the_service_too(daemon):
    daemon.ready()
    daemon.behave(refuse=[6, "the vault was changed"])
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    assert daemon.end() == (6, "")
    assert "oxvaultd: the vault was changed\n" in daemon.stderr


@pytest.mark.parametrize("moment", ["before-start", "before-ready"])
def test_a_keeper_that_dies_before_it_is_ready_ends_the_service_with_1(daemon, moment):
    daemon.behave(die=moment)
    code, stderr = refused(daemon)
    assert code == 1
    assert stderr == "oxvaultd: the keeper was ended by signal 9 (Killed) before it was ready\n"
    assert len(daemon.events("started")) == 1


def test_a_keeper_that_ends_before_it_is_ready_ends_the_service_with_1(daemon):
    daemon.behave(die="before-ready", exit=0)
    code, stderr = refused(daemon)
    assert code == 1
    assert stderr == "oxvaultd: the keeper ended with exit code 0 before it was ready\n"


def test_a_keeper_that_cannot_be_executed_is_told(daemon):
    (daemon.libexec / "oxvault-keeper").write_text("#!/nonexistent/interpreter\n")
    code, stderr = refused(daemon)
    assert code == 1
    assert f"cannot start {daemon.libexec}/oxvault-keeper: execve: No such file" in stderr


def test_a_keeper_that_was_ready_and_died_is_replaced_at_once(daemon):
    daemon.behave(frontends=1)
    daemon.ready()
    process.wait_until(lambda: len(daemon.frontends) == 1, 10, "a frontend")
    (old,) = daemon.living("keeper")
    begin = time.monotonic()
    os.kill(old, signal.SIGKILL)
    daemon.wait_for("published", 2)
    assert time.monotonic() - begin < 2
    (new,) = daemon.living("keeper")
    assert new != old
    process.wait_until(
        lambda: (daemon.run / "vault.pub").read_text() == f"public key of {new}\n", 5, "vault.pub"
    )
    # the old frontend saw the end of its channel, the new keeper has its own
    process.wait_until(lambda: len(daemon.frontends) == 2, 10, "a new frontend")
    process.wait_until(lambda: len(daemon.living("frontend")) == 1, 5, "the end of the old one")
    assert daemon.stop() == (0, "")  # and no second line on stdout


def test_a_replacement_that_dies_before_it_is_ready_is_replaced_too(daemon):
    daemon.ready()
    daemon.behave(die="before-ready")
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    daemon.wait_for("start", 2)
    daemon.behave()
    daemon.wait_for("published", 2)
    assert daemon.stop() == (0, "")


@pytest.mark.timing
def test_a_keeper_that_dies_again_and_again_is_replaced_more_slowly(daemon):
    daemon.behave(die="after-ready")
    daemon.ready()
    moments = []
    for count in range(1, 6):
        daemon.wait_for("published", count)
        moments.append(time.monotonic())
    gaps = [b - a for a, b in zip(moments, moments[1:])]
    assert gaps[0] < 0.6
    assert 0.15 < gaps[1] < 0.9
    assert 0.9 < gaps[2] < 2.5
    assert 4.8 < gaps[3] < 7.0
    assert daemon.stop() == (0, "")


def test_a_keeper_that_breaks_the_channels_rules_is_killed_and_replaced(daemon):
    daemon.behave(garbage=True)
    daemon.ready()
    daemon.behave()
    daemon.wait_for("published", 2)
    assert "breaks the rules of its channel" in daemon.stderr
    assert "signal 9" in daemon.stderr
    assert daemon.stop() == (0, "")


@pytest.mark.timing
def test_a_keeper_that_does_not_stop_is_killed_after_10_seconds(daemon):
    daemon.behave(deaf=True)
    daemon.ready()
    begin = time.monotonic()
    assert daemon.stop() == (0, "")
    assert 9.5 < time.monotonic() - begin < 12
    assert "oxvaultd: the keeper does not end: it is killed\n" in daemon.stderr


def test_a_change_of_state_is_told_on_stderr_only(daemon):
    daemon.behave(lock=1)
    daemon.ready()
    process.wait_until(lambda: daemon.stderr == "oxvaultd: the vault is sealed\n", 5, "the line")
    assert daemon.stop() == (0, "")


@pytest.mark.parametrize("role", ["keeper", "frontend"])
def test_the_death_of_the_supervisor_is_the_death_of_all(daemon, role):
    (daemon.libexec / "stay").touch()  # not even the end of the channel ends this frontend
    daemon.behave(frontends=1)
    daemon.ready()
    process.wait_until(lambda: daemon.frontends and daemon.living("frontend"), 10, "a frontend")
    os.kill(daemon.child.pid, signal.SIGKILL)
    process.wait_until(lambda: not daemon.living(role), 3, f"the death of the {role}")


# ---- frontends ----


def test_frontends_are_started_for_the_door_that_is_asked_for(daemon):
    daemon.behave(frontends=3)
    daemon.ready()
    answers = daemon.wait_for("message", 3)
    assert [a["type"] for a in answers] == [FRONTEND] * 3
    assert [a["id"] for a in answers] == [100, 101, 102]
    assert [a["fds"] for a in answers] == [1, 1, 1]
    assert [a["fields"]["3"] for a in answers] == [50, 51, 52]
    process.wait_until(lambda: len(daemon.frontends) == 3, 10, "three frontends")
    assert sorted(f["argv"][0] for f in daemon.frontends) == ["admin", "audit", "sign"]
    for frontend in daemon.frontends:
        assert frontend["descriptors"] == [0, 1, 2, 3]
        assert int(frontend["capabilities"], 16) == 0
        assert frontend["group"] == daemon.child.pid
    assert daemon.stop() == (0, "")


def test_a_dead_frontend_is_just_reaped(daemon):
    daemon.behave(frontends=2)
    daemon.ready()
    pids = process.wait_until(
        lambda: len(daemon.frontends) == 2 and daemon.living("frontend"), 10, "frontends"
    )
    os.kill(pids[0], signal.SIGKILL)
    process.wait_until(lambda: process.process(pids[0]) is None, 5, "the reaping")
    assert len(daemon.events("started")) == 1
    assert daemon.stop() == (0, "")


def test_frontends_that_do_not_end_with_their_keeper_are_killed(daemon):
    (daemon.libexec / "stay").touch()
    daemon.behave(frontends=2)
    daemon.ready()
    old = process.wait_until(
        lambda: len(daemon.frontends) == 2 and daemon.living("frontend"), 10, "frontends"
    )
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    process.wait_until(lambda: len(daemon.frontends) == 4, 10, "new frontends")
    process.wait_until(lambda: not set(old) & set(daemon.living("frontend")), 5, "the kill")
    assert len(daemon.living("frontend")) == 2
    assert daemon.stop() == (0, "")


def lose(daemon):
    os.kill(daemon.living("keeper")[0], signal.SIGUSR1)


def three_frontends(daemon, **behaviour):
    """Their process ids by door; the fake keeper's serials are 50 sign, 51 admin, 52 audit."""
    daemon.behave(frontends=3, **behaviour)
    daemon.ready()
    daemon.wait_for("message", 3)
    process.wait_until(lambda: len(daemon.frontends) == 3, 10, "three frontends")
    return {frontend["argv"][0]: frontend["pid"] for frontend in daemon.frontends}


def test_a_frontend_that_was_given_up_and_does_not_end_is_killed_after_a_second(daemon):
    (daemon.libexec / "stay").touch()
    pids = three_frontends(daemon, lose=[51])
    began = time.monotonic()
    lose(daemon)
    process.wait_until(lambda: pids["admin"] not in daemon.living("frontend"), 5, "its end")
    assert 0.9 <= time.monotonic() - began < 2
    assert set(daemon.living("frontend")) == {pids["sign"], pids["audit"]}
    assert daemon.stderr == "oxvaultd: a frontend that the keeper gave up does not end: it is killed\n"
    assert len(daemon.events("started")) == 1
    assert daemon.stop() == (0, "")


def test_a_stopped_frontend_that_was_given_up_is_killed(daemon):
    pids = three_frontends(daemon, lose=[50, 52])
    for door in ("sign", "audit"):
        os.kill(pids[door], signal.SIGSTOP)
    lose(daemon)
    process.wait_until(lambda: daemon.living("frontend") == [pids["admin"]], 5, "their end")
    assert daemon.stop() == (0, "")


def test_a_frontend_that_was_given_up_may_end_by_itself(daemon):
    pids = three_frontends(daemon, lose=[51])
    began = time.monotonic()
    lose(daemon)
    process.wait_until(lambda: pids["admin"] not in daemon.living("frontend"), 5, "its end")
    assert time.monotonic() - began < 0.9
    time.sleep(1.2)
    assert set(daemon.living("frontend")) == {pids["sign"], pids["audit"]}
    assert daemon.stop() == (0, "")
    assert daemon.stderr == ""


def test_frontends_given_up_before_their_channel_arrived_are_killed(daemon):
    """The fake keeper gives them up in the same breath, and keeps the channels it gets later."""
    (daemon.libexec / "stay").touch()
    three_frontends(daemon, **{"lose-at-once": True})
    process.wait_until(lambda: not daemon.living("frontend"), 5, "their end")
    assert daemon.stop() == (0, "")


def test_to_give_up_an_unknown_frontend_is_no_crime(daemon):
    pids = three_frontends(daemon, lose=[999, 50, 50])
    lose(daemon)
    process.wait_until(lambda: pids["sign"] not in daemon.living("frontend"), 5, "its end")
    lose(daemon)
    time.sleep(1.2)
    assert set(daemon.living("frontend")) == {pids["admin"], pids["audit"]}
    assert len(daemon.events("started")) == 1
    assert daemon.stop() == (0, "")


def test_frontends_that_were_given_up_leave_room_for_others(daemon):
    """Those of a keeper before have the same serials, and are not meant."""
    (daemon.libexec / "stay").touch()
    old = set(three_frontends(daemon, lose=[50]).values())
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    daemon.wait_for("published", 2)
    process.wait_until(lambda: len(daemon.frontends) == 6, 10, "new frontends")
    lose(daemon)
    process.wait_until(lambda: len(daemon.living("frontend")) == 2, 6, "the end of four")
    left = set(daemon.living("frontend"))
    assert not left & old
    assert {f["argv"][0] for f in daemon.frontends if f["pid"] in left} == {"admin", "audit"}
    assert daemon.stop() == (0, "")


def test_a_keeper_that_hangs_does_not_hang_the_supervisor(daemon):
    """It asks for more than its channel holds and takes no answer: it is replaced."""
    shutil.copy("/bin/true", daemon.libexec / "oxvault-frontend")
    daemon.behave(frontends=1000, hang=True)
    daemon.ready()
    first = daemon.living("keeper")
    daemon.behave()
    process.wait_until(lambda: daemon.living("keeper") not in ([], first), 20, "another keeper")
    daemon.wait_for("published", 2)
    assert "the keeper breaks the rules of its channel (limit)" in daemon.stderr
    assert daemon.stop() == (0, "")


def test_a_stopped_keeper_does_not_keep_the_service_from_ending(daemon):
    daemon.ready()
    os.kill(daemon.living("keeper")[0], signal.SIGSTOP)
    began = time.monotonic()
    assert daemon.stop() == (0, "")
    assert 9 < time.monotonic() - began < 14
    assert "the keeper does not end: it is killed" in daemon.stderr


@pytest.mark.plain
def test_a_frontend_may_not_eat_the_machine(daemon):
    daemon.behave(frontends=1)
    daemon.ready()
    process.wait_until(lambda: daemon.frontends, 10, "a frontend")
    (keeper,), (frontend,) = daemon.events("started"), daemon.frontends
    assert frontend["limits"]["data"] == [1 << 30, 1 << 30]
    assert keeper["limits"]["data"] == list(resource.getrlimit(resource.RLIMIT_DATA))
    assert daemon.stop() == (0, "")


def test_children_may_open_as_many_descriptors_as_the_hard_limit_allows(daemon):
    daemon.behave(frontends=1)
    daemon.ready(wrap=["prlimit", "--nofile=512:4096"])
    process.wait_until(lambda: daemon.frontends, 10, "a frontend")
    for child in (*daemon.events("started"), *daemon.frontends):
        assert child["limits"]["files"] == [4096, 4096]
    assert daemon.stop() == (0, "")


# ---- token helpers ----


def with_helpers(daemon, *serials, **behaviour):
    """Ready, with these helpers; returns the messages that brought their channels."""
    environment = behaviour.pop("environment", None)
    daemon.behave(helpers=serials, **behaviour)
    daemon.ready(environment=environment)
    answers = daemon.wait_for("message", len(serials))
    process.wait_until(lambda: len(daemon.helpers) == len(serials), 10, "the helpers")
    return answers


def test_a_token_helper_gets_a_channel_and_little_else(daemon):
    (answer,) = with_helpers(daemon, 1, environment={
        "SOFTHSM2_CONF": "/conf", "TPM2_PKCS11_TCTI": "tabrmd", "SECRET_OF_MINE": "x", "HOME": "/h",
        "LD_PRELOAD": "",
    })
    assert (answer["type"], answer["id"], answer["fds"]) == (HELPER, 201, 1)
    assert answer["fields"] == {"1": 1}
    (helper,) = daemon.helpers
    environment = {k: v for k, v in helper["environment"].items() if k != "LC_CTYPE"}
    assert environment == {
        "OPENSSL_CONF": "/dev/null", "SOFTHSM2_CONF": "/conf", "TPM2_PKCS11_TCTI": "tabrmd",
    }
    assert helper["argv"] == ["--one-user"]
    assert helper["descriptors"] == [0, 1, 2, 3]
    assert helper["stdin"] == "/dev/null"
    assert helper["stdout_is_stderr"]
    assert helper["blocked_signals"] == "0" * 16
    assert helper["no_new_privs"] == "1"
    assert int(helper["capabilities"], 16) == 0
    assert helper["group"] == daemon.child.pid
    # only token helpers get settings of modules
    (keeper,) = daemon.events("started")
    assert "SOFTHSM2_CONF" not in keeper["environment"]
    assert daemon.stop() == (0, "")
    assert daemon.stderr == ""


def test_a_token_helper_that_was_given_up_is_killed_at_once(daemon):
    (daemon.libexec / "stay").touch()
    with_helpers(daemon, 1, 2, frontends=2, **{"lose-helpers": [2, 2, 99]})
    process.wait_until(lambda: len(daemon.frontends) == 2, 10, "frontends with the same serials")
    first, second = (helper["pid"] for helper in daemon.helpers)
    os.kill(second, signal.SIGSTOP)
    began = time.monotonic()
    os.kill(daemon.living("keeper")[0], signal.SIGUSR2)
    process.wait_until(lambda: len(daemon.living("token")) == 1, 5, "its end")
    assert time.monotonic() - began < 0.5
    assert daemon.living("token")[0] in (first, second)
    assert len(daemon.living("frontend")) == 2
    assert len(daemon.events("started")) == 1
    assert daemon.stop() == (0, "")


def test_a_token_helper_that_ends_in_order_has_a_moment_for_it(daemon):
    """The token gets its sessions back: a YubiHSM has 16."""
    (daemon.libexec / "stay").touch()
    with_helpers(daemon, 1, 2, **{"lose-helpers": [2], "orderly": 1})
    began = time.monotonic()
    os.kill(daemon.living("keeper")[0], signal.SIGUSR2)
    process.wait_until(lambda: len(daemon.living("token")) == 1, 5, "its end")
    assert 1.9 < time.monotonic() - began < 4
    assert daemon.stop() == (0, "")


def test_token_helpers_die_with_their_keeper(daemon):
    """Even one that hangs: the next one needs the device."""
    (daemon.libexec / "stay").touch()
    with_helpers(daemon, 1)
    (old,) = daemon.living("token")
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    process.wait_until(lambda: daemon.living("token") not in ([], [old]), 5, "another helper")
    assert process.process(old) is None
    assert daemon.stop() == (0, "")


def test_a_token_helper_that_crashes_is_named(daemon):
    with_helpers(daemon, 1)
    os.kill(daemon.living("token")[0], signal.SIGSEGV)
    process.wait_until(
        lambda: daemon.stderr == "oxvaultd: a token helper was ended by signal 11 "
        "(Segmentation fault)\n", 5, "the line"
    )
    assert len(daemon.events("started")) == 1
    assert daemon.stop() == (0, "")


@pytest.mark.root
def test_a_token_helper_has_its_own_user_with_its_groups(make_daemon):
    daemon = make_daemon(users=())
    with_helpers(daemon, 1)
    (helper,) = daemon.helpers
    assert (helper["uids"], helper["gids"]) == uids_of("oxvault-token")
    assert helper["argv"] == [], "it trusts modules of root only"
    assert set(helper["groups"]) == set(
        os.getgrouplist("oxvault-token", pwd.getpwnam("oxvault-token").pw_gid)
    )
    assert int(helper["capabilities"], 16) == int(helper["bounding"], 16) == 0
    assert daemon.stop() == (0, "")


def test_vault_pub_is_written_anew_whenever_the_keeper_says_so(daemon):
    long = "token " + "x" * 40000
    daemon.behave(publish=["second", long])
    daemon.ready()
    daemon.wait_for("published-again", 2)
    file = daemon.run / "vault.pub"
    assert file.read_text() == long
    assert file.stat().st_mode & 0o7777 == 0o644
    assert daemon.stop() == (0, "")
    assert not file.exists()


# ---- PINs ----


def pins(daemon, count):
    seen = daemon.wait_for("pin", count)
    return [(pin["label"], pin["path"], pin["secret"]) for pin in seen]


def test_pin_files_are_opened_and_handed_on_for_each_keeper(daemon):
    one = private_file(daemon.base / "pin", "1234\n")
    other = private_file(daemon.base / "other=pin", "user:5678")
    daemon.ready("--pin-file", one, "--pin-file", f"my token={other}")
    expected = [("", str(one), "1234\n"), ("my token", str(other), "user:5678")]
    assert pins(daemon, 2) == expected
    (start,) = daemon.events("start")
    assert start["source"] == SOURCE_NONE
    one.write_text("4321")
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    assert pins(daemon, 4)[2:] == [("", str(one), "4321"), expected[1]]
    daemon.wait_for("published", 2)
    assert daemon.stop() == (0, "")


def test_pins_go_together_with_a_passphrase(daemon):
    pin = private_file(daemon.base / "pin", "1234")
    daemon.ready("--pin-file", pin, "--passphrase-file", secret_file(daemon))
    assert pins(daemon, 1) == [("", str(pin), "1234")]
    (start,) = daemon.events("start")
    assert (start["source"], start["secret"]) == (SOURCE_PASSPHRASE, "correct horse")
    daemon.stop()


def test_a_pin_descriptor_gives_once(daemon):
    reader, writer = os.pipe()
    os.write(writer, b"1234")
    os.close(writer)
    daemon.ready("--pin-fd", reader, pass_fds=[reader])
    os.close(reader)
    assert pins(daemon, 1) == [("", f"descriptor {reader}", "1234")]
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    daemon.wait_for("published", 2)
    assert len(daemon.events("pin")) == 1
    assert f"oxvault --run {daemon.run} token login" in daemon.stderr
    assert daemon.stop() == (0, "")


def test_systemds_pin_is_found_by_itself_where_none_is_given(daemon):
    credentials = daemon.base / "credentials"
    credentials.mkdir()
    file = private_file(credentials / "pin", "from systemd")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    daemon.ready(environment=environment)
    assert pins(daemon, 1) == [("", str(file), "from systemd")]
    daemon.stop()
    mine = private_file(daemon.base / "pin", "mine")
    daemon.ready("--pin-file", mine, environment=environment)
    assert pins(daemon, 2)[1:] == [("", str(mine), "mine")]
    daemon.stop()


@pytest.mark.parametrize(("mode", "code"), [(0o640, 3), (None, 1)])
def test_a_pin_file_that_is_not_as_it_must_be_is_refused(daemon, mode, code):
    file = daemon.base / "pin"
    if mode is not None:
        private_file(file, "1234").chmod(mode)
    assert refused(daemon, "--pin-file", f"label={file}")[0] == code
    assert str(file) in daemon.stderr
    assert not daemon.events("started")


def test_a_pin_file_that_is_a_symlink_is_refused(daemon):
    (daemon.base / "link").symlink_to(private_file(daemon.base / "pin", "1234"))
    code, stderr = refused(daemon, "--pin-file", daemon.base / "link")
    assert (code, f"{daemon.base}/link" in stderr) == (3, True)


def test_a_pin_file_that_is_gone_at_a_replacement_keeps_the_service_up(daemon):
    file = private_file(daemon.base / "pin", "1234")
    daemon.ready("--pin-file", file)
    file.unlink()
    os.kill(daemon.living("keeper")[0], signal.SIGKILL)
    daemon.wait_for("published", 2)
    assert len(daemon.events("pin")) == 1
    assert f"cannot open {file}" in daemon.stderr
    assert "token login" in daemon.stderr
    assert daemon.stop() == (0, "")


# ---- systemd ----


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told(daemon, kind):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        name = str(daemon.base / "notify") if kind == "path" else f"@oxv-test-{os.getpid()}"
        notify.bind(name if kind == "path" else "\0" + name[1:])
        notify.settimeout(5)
        daemon.ready(environment={"NOTIFY_SOCKET": name})
        assert notify.recv(1000) == b"READY=1"
        assert notify.recv(1000) == b"STATUS=ready"
        daemon.stop()
        assert notify.recv(1000) == b"STOPPING=1"


def activated(daemon, listeners, names, *options):
    """Starts it as systemd does: sockets from descriptor 3 on, LISTEN_PID its own."""

    def place():
        for i, listener in enumerate(listeners):
            os.dup2(fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 50), 3 + i)

    daemon.start(
        *options, close_fds=False, preexec_fn=place,  # noqa: PLW1509
        wrap=["sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh"],
        environment={"LISTEN_FDS": str(len(listeners)), "LISTEN_FDNAMES": ":".join(names)},
    )


def listeners_at(daemon, names):
    daemon.run.mkdir()
    made = []
    for name in names:
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].bind(str(daemon.run / f"{name}.sock"))
        made[-1].listen()
    return made


def test_doors_of_systemd_are_used_and_stay(daemon):
    names = ["audit", "sign", "admin"]
    listeners = listeners_at(daemon, names)
    activated(daemon, listeners, names)
    assert daemon.line() == "oxvaultd ready\n", daemon.stderr
    (start,) = daemon.events("start")
    assert start["listening"] == [1, 1, 1]
    assert daemon.events("started")[0]["environment"].keys() <= {"OPENSSL_CONF", "LC_CTYPE"}
    assert daemon.stop() == (0, "")
    assert left_in(daemon.run) == {*(f"{d}.sock" for d in DOORS), "lock"}
    for listener in listeners:
        listener.close()


def test_a_door_that_systemd_does_not_hand_over_is_made(daemon):
    listeners = listeners_at(daemon, ["sign"])
    activated(daemon, listeners, ["sign"])
    assert daemon.line() == "oxvaultd ready\n", daemon.stderr
    assert (daemon.run / "admin.sock").exists()
    assert daemon.stop() == (0, "")
    assert left_in(daemon.run) == {"sign.sock", "lock"}


def test_a_socket_of_systemd_with_another_name_is_refused(daemon):
    activated(daemon, listeners_at(daemon, ["sign"]), ["front"])
    assert daemon.end() == (2, "")
    assert "FileDescriptorName is sign, admin or audit" in daemon.stderr


def test_two_sockets_of_systemd_with_one_name_are_refused(daemon):
    activated(daemon, listeners_at(daemon, ["sign", "admin"]), ["sign", "sign"])
    assert daemon.end() == (2, "")
    assert "two sockets named sign" in daemon.stderr


def test_a_socket_of_systemd_that_does_not_listen_is_refused(daemon):
    with socket.socket(socket.AF_UNIX) as other:
        activated(daemon, [other], ["sign"])
        assert daemon.end() == (2, "")
    assert "no listening Unix stream socket" in daemon.stderr


def test_sockets_meant_for_another_process_are_not_touched(daemon):
    daemon.start(environment={"LISTEN_PID": "1", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c"})
    assert daemon.line() == "oxvaultd ready\n"
    assert daemon.stop() == (0, "")


# ---- users ----


def uids_of(name):
    entry = pwd.getpwnam(name)
    return [entry.pw_uid] * 3, [entry.pw_gid] * 3


@pytest.mark.root
def test_each_role_has_its_own_user(make_daemon):
    daemon = make_daemon(users=())
    daemon.behave(frontends=1)
    daemon.ready()
    process.wait_until(lambda: daemon.frontends, 10, "a frontend")
    (keeper,), (frontend,) = daemon.events("started"), daemon.frontends
    assert (keeper["uids"], keeper["gids"]) == uids_of("oxvault")
    assert (frontend["uids"], frontend["gids"]) == uids_of("oxvault-fe")
    for child in (keeper, frontend):
        assert child["groups"] == []
        assert int(child["capabilities"], 16) == 0
        assert int(child["bounding"], 16) == 0
    (start,) = daemon.events("start")
    assert start["single_uid"] == 0
    assert start["service_uid_plus1"] == keeper["uids"][0] + 1
    status = Path(f"/proc/{daemon.child.pid}/status").read_text()
    permitted = int(next(x for x in status.splitlines() if x.startswith("CapPrm")).split()[1], 16)
    assert permitted == 1 << CAP_KILL | 1 << CAP_SETGID | 1 << CAP_SETUID
    assert (daemon.run / "vault.pub").stat().st_uid == 0
    assert daemon.stop() == (0, "")


@pytest.mark.root
def test_role_users_die_with_the_supervisor(make_daemon):
    daemon = make_daemon(users=())
    (daemon.libexec / "stay").touch()
    daemon.behave(frontends=1)
    daemon.ready()
    process.wait_until(lambda: daemon.frontends and daemon.living("frontend"), 10, "a frontend")
    os.kill(daemon.child.pid, signal.SIGKILL)
    process.wait_until(
        lambda: not daemon.living("keeper") and not daemon.living("frontend"), 3, "their death"
    )


@pytest.mark.root
def test_the_admin_and_audit_doors_belong_to_their_groups(make_daemon):
    import grp

    daemon = make_daemon(users=())
    daemon.ready()
    for door in ("admin", "audit"):
        gid = grp.getgrnam(f"oxvault-{door}").gr_gid
        assert (daemon.run / f"{door}.sock").stat().st_gid == gid
        assert daemon.events("start")[0][f"{door}_gid_plus1"] == gid + 1
    daemon.stop()


@pytest.mark.root
def test_missing_role_users_name_both_ways_out(make_daemon):
    daemon = make_daemon(users=())
    passwd = daemon.base / "passwd"
    passwd.write_text("root:x:0:0:root:/root:/bin/sh\n")
    hide = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    code, stderr = refused(daemon, wrap=["unshare", "--mount", "sh", "-c", hide, "sh"])
    assert code == 2
    assert "there is no user oxvault" in stderr
    assert "sysusers.d" in stderr
    assert "--users none" in stderr


@pytest.mark.root
def test_root_without_the_right_to_change_users_is_told(make_daemon):
    daemon = make_daemon(users=())
    code, stderr = refused(daemon, wrap=["setpriv", "--bounding-set", "-setuid"])
    assert code == 3
    assert "--users none" in stderr


@pytest.mark.root
def test_the_units_capabilities_are_enough(make_daemon):
    """With what oxvaultd.service leaves to root, and the doors from systemd."""
    daemon = make_daemon(users=())
    daemon.behave(frontends=1)
    daemon.start(
        "--passphrase-file", secret_file(daemon),
        wrap=["setpriv", "--bounding-set", "-all,+setuid,+setgid,+kill", "--no-new-privs"],
    )
    # without CAP_CHOWN the doors could not be given to their groups
    code, _ = daemon.end()
    assert code == 1
    assert "to its group" in daemon.stderr
    listeners = []
    for door in DOORS:
        listeners.append(socket.socket(socket.AF_UNIX))
        listeners[-1].bind(str(daemon.run / f"{door}.sock"))
        listeners[-1].listen()

    def place():
        for i, listener in enumerate(listeners):
            os.dup2(fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 50), 3 + i)

    daemon.start(
        "--passphrase-file", daemon.base / "secret", close_fds=False, preexec_fn=place,  # noqa: PLW1509
        wrap=["setpriv", "--bounding-set", "-all,+setuid,+setgid,+kill", "--no-new-privs",
              "sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh"],
        environment={"LISTEN_FDS": "3", "LISTEN_FDNAMES": ":".join(DOORS)},
    )
    assert daemon.line() == "oxvaultd ready\n", daemon.stderr
    process.wait_until(lambda: daemon.frontends, 10, "a frontend")
    assert daemon.stop() == (0, "")


def in_user_namespace():
    wrap = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    return wrap


def test_a_user_namespace_that_maps_ids_is_refused(daemon):
    code, stderr = refused(daemon, wrap=in_user_namespace())
    assert code == 3
    assert "--allow-userns" in stderr
    assert "could not be told apart" in stderr


def test_a_user_namespace_can_be_allowed_and_is_told_to_the_keeper(daemon):
    daemon.users = ("--users", "none")
    daemon.ready("--allow-userns", wrap=in_user_namespace())
    assert daemon.events("start")[0]["userns_allowed"] == 1
    assert daemon.stop() == (0, "")


def test_allowing_a_user_namespace_where_there_is_none_changes_nothing(daemon):
    daemon.ready("--allow-userns")
    assert daemon.events("start")[0]["userns_allowed"] == 0
    assert daemon.stop() == (0, "")

