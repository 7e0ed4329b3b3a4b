"""A whole service of its own: vault, doors, processes; started, used and taken down by tests."""

import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support import process
from support.credentials import A1
from support.door import Door
from support.segments import segment_lines

START_SECONDS = 30.0
STOP_SECONDS = 20.0
EVERYTHING = ("--path", "/services/**", "--path", "/app/site/hosting/**")


class StartFailed(Exception):
    def __init__(self, code, stderr):
        super().__init__(f"oxvaultd ended with {code}: {stderr}")
        self.code = code
        self.stderr = stderr


class Build:
    """An installed tree of programs."""

    def __init__(self, prefix):
        self.prefix = Path(prefix)
        self.oxvault = self.prefix / "bin/oxvault"
        self.oxvaultd = self.prefix / "sbin/oxvaultd"
        self.libexec = self.prefix / "libexec/oxvault"


def private_file(path, content):
    """A file with a secret: 0600 from birth."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def public_directory(prefix="oxv-"):
    """A directory that other uids can reach (pytest's own cannot be)."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    path.chmod(0o755)
    return path


class Service:
    """
    seal: "keyfile" or "passphrase".  users: "none", or "roles" (root only).
    source: whether oxvaultd is given the secret; without it comes up sealed.
    wrapper: a command that executes oxvaultd, such as taskset.
    """

    def __init__(self, build, *, seal="keyfile", users="none", source=True, options=(),
                 environment=None, wrapper=()):
        self.build = build
        self.seal = seal
        self.source = source
        self.options = list(options)
        self.wrapper = list(wrapper)
        self.environment = dict(environment or {})
        self.users = [] if users == "roles" or os.geteuid() != 0 else ["--users", "none"]
        self.base = public_directory()
        self.dir = self.base / "vault"
        self.run = self.base / "run"
        self.secret_file = self.base / seal
        self.stderr_file = self.base / "stderr"
        self.daemon = None
        self._doors = {}

    # Life

    def init(self, *more):
        """Makes the vault; returns what the command printed."""
        if self.seal == "passphrase":
            private_file(self.secret_file, secrets.token_urlsafe(18) + "\n")
        elif not self.secret_file.exists():
            private_file(self.secret_file, secrets.token_bytes(32))
        return self.oxvault(
            "init", "--dir", self.dir, "--seal", self.seal, *self._secret_option(), *self.users,
            *more,
        ).stdout

    def start(self, *more, expect=None, environment=None):
        """Starts oxvaultd and returns its one line; StartFailed where it ends instead."""
        assert self.daemon is None, "it runs already"
        expect = expect or ("oxvaultd ready" if self.source else "oxvaultd up, sealed")
        command = [self.build.oxvaultd, "--dir", self.dir, "--run", self.run, *self.users]
        if self.source:
            command += self._secret_option()
        with open(self.stderr_file, "ab") as stderr:
            self.daemon = subprocess.Popen(
                [str(word) for word in [*self.wrapper, *command, *self.options, *more]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], **self.environment, **(environment or {})},
            )
        line = self._first_line()
        assert line == expect, f"{line!r} instead of {expect!r}; stderr: {self.stderr}"
        return line

    def stop(self):
        """SIGTERM; returns the exit code. Nothing of the process group may be left."""
        self.close_doors()
        self.daemon.send_signal(signal.SIGTERM)
        return self._reap()

    def wait_for_end(self):
        """For a service that ends by itself."""
        return self._reap()

    def restart(self, *more, **options):
        self.stop()
        return self.start(*more, **options)

    def kill_all(self):
        """SIGKILL to the whole process group at once."""
        self.close_doors()
        process.kill_group(self.daemon.pid)
        return self._reap()

    def remove(self):
        """Takes everything away, whatever state it is in."""
        self.close_doors()
        if self.daemon is not None:
            process.kill_group(self.daemon.pid)
            self._reap()
        shutil.rmtree(self.base, ignore_errors=True)

    # Processes

    @property
    def processes(self):
        return process.processes_of_group(self.daemon.pid)

    def pids(self, role):
        """Of "supervisor", "keeper" or "frontend"."""
        return [p.pid for p in self.processes if p.role == role]

    @property
    def keeper_pid(self):
        keepers = self.pids("keeper")
        assert len(keepers) == 1, self.processes
        return keepers[0]

    @property
    def supervisor_pid(self):
        return self.daemon.pid

    @property
    def frontend_pids(self):
        return self.pids("frontend")

    @property
    def stderr(self):
        return self.stderr_file.read_text(errors="replace")

    # Doors and command

    def socket(self, door):
        return self.run / f"{door}.sock"

    def door(self, name):
        """A new connection; the caller closes it, or remove() does not care."""
        return Door(self.socket(name))

    @property
    def sign(self):
        return self._kept_door("sign")

    @property
    def admin(self):
        return self._kept_door("admin")

    @property
    def audit(self):
        return self._kept_door("audit")

    def close_doors(self):
        for door in self._doors.values():
            door.close()
        self._doors.clear()

    def oxvault(self, *arguments, check=True, uid=None, timeout=60, environment=None, **options):
        """Runs the command against this service's doors."""
        command = [str(self.build.oxvault), "--run", str(self.run), *map(str, arguments)]
        options = {
            "capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": timeout,
            "env": {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(environment or {})},
            **options,
        }
        if "input" in options:
            del options["stdin"]
        if uid is None:
            done = subprocess.run(command, check=False, **options)
        else:
            done = process.run_as(uid, command, **options)
        if check:
            assert done.returncode == 0, (
                f"oxvault {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}"
                f"{done.stderr}\nservice: {self.stderr if self.stderr_file.exists() else ''}"
            )
        return done

    def oxvault_json(self, *arguments, **options):
        return json.loads(self.oxvault(*arguments, "--json", **options).stdout)

    def verify_log(self, check=True):
        return self.oxvault(
            "log", "verify", "--log", self.dir / "log", "--key", self.dir / "log/genesis.vkey",
            check=check,
        )

    # What most tests need inside

    def add_connection(self, name="acme", credentials=A1, *more):
        file = self.base / f"secrets-{secrets.token_hex(6)}.json"
        private_file(file, json.dumps(credentials.secrets))
        try:
            return self.oxvault(
                "connection", "add", name, "--system", "netsuite",
                "--account-id", credentials.account, "--consumer-key", credentials.consumer_key,
                "--token-id", credentials.token, "--secrets-file", file,
                *self.key_place(credentials), *more,
            )
        finally:
            file.unlink()

    def key_place(self, _credentials):
        """Words for `connection add`: where the key is to be. Here in the vault."""
        return ()

    def add_caller(self, name="order-exchange", uid=None):
        return self.oxvault("caller", "add", name, "--uid", os.getuid() if uid is None else uid)

    def add_grant(self, caller="order-exchange", connection="acme", *more,
                  kinds="oauth1,token-passport,connect-password", methods="GET,POST",
                  paths=EVERYTHING, rate="100000/s"):
        return self.oxvault(
            "grant", "add", caller, connection, "--kind", kinds, "--method", methods, *paths,
            "--rate", rate, *more,
        )

    def furnish(self):
        """Connection acme, this process as caller order-exchange, and a grant."""
        self.add_connection()
        self.add_caller()
        self.add_grant()
        return self

    def sign_oauth1(self, url, method="GET", connection="acme", door=None, **members):
        body = {"connection": connection, "method": method, "url": url, **members}
        return (door or self.sign).post("/v1/sign/oauth1", body)

    def log_lines(self):
        """The parsed lines of all segments, commit lines included."""
        return [json.loads(line) for line in segment_lines(self.dir / "log")]

    def log_entries(self):
        return [line for line in self.log_lines() if "commit" not in line]

    # Inside

    def _secret_option(self):
        return ["--passphrase-file" if self.seal == "passphrase" else "--keyfile", self.secret_file]

    def _kept_door(self, name):
        if name not in self._doors:
            self._doors[name] = self.door(name)
        return self._doors[name]

    def _first_line(self):
        line = b""
        deadline = process.Deadline(START_SECONDS)
        with selectors.DefaultSelector() as selector:
            selector.register(self.daemon.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(deadline.left):
                    raise TimeoutError(f"oxvaultd said nothing; stderr: {self.stderr}")
                chunk = os.read(self.daemon.stdout.fileno(), 4096)
                if not chunk:
                    code = self._reap()
                    raise StartFailed(code, self.stderr)
                line += chunk
        return line.decode().rstrip("\n")

    def _reap(self):
        daemon, self.daemon = self.daemon, None
        try:
            code = daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill_group(daemon.pid)
            daemon.wait()
            raise
        finally:
            daemon.stdout.close()
        try:
            process.wait_until(
                lambda: not process.processes_of_group(daemon.pid), 5.0, "the end of all children"
            )
        finally:
            process.kill_group(daemon.pid)
        return code
