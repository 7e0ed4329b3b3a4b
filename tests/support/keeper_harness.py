"""A keeper of its own whose supervisor and frontends are the test: see what honest ones never do."""

import fcntl
import os
import secrets
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from support import wire

SECONDS = 20.0


def as_third(descriptor):
    """For preexec_fn: the descriptor becomes 3 and survives exec, also if it was 3 already."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100)
    return lambda: os.dup2(high, 3)


class KeeperHarness:
    def __init__(self, keeper, environment=None):
        self.keeper = str(keeper)
        self.environment = {"OPENSSL_CONF": "/dev/null", **(environment or {})}
        self.base = Path(tempfile.mkdtemp(prefix="oxv-keeper-", dir="/tmp"))
        self.dir = self.base / "vault"
        self.dir.mkdir(mode=0o700)
        self.keyfile = self.base / "key"
        self.keyfile.touch(mode=0o600)
        self.keyfile.write_bytes(secrets.token_bytes(32))
        self.process = None
        self.published = None
        self.ready = None
        self.refused = None
        self.wanted = []
        self.channels = {}

    def init(self, admin_uid=0):
        with open(self.keyfile, "rb") as source:
            self._run("--init", "--dir", self.dir, "--seal", "keyfile", "--admin-uid", admin_uid,
                      third=source.fileno())

    def _run(self, *args, third):
        subprocess.run([self.keeper, *map(str, args)], preexec_fn=as_third(third), close_fds=False,
                       env=self.environment, check=True, capture_output=True)

    def start(self, sealed=False):
        self.ready = self.refused = self.published = None
        self.doors = []
        for name in ("sign", "admin", "audit"):
            door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            path = self.base / f"{name}.sock"
            path.unlink(missing_ok=True)
            door.bind(str(path))
            door.listen(1024)
            self.doors.append(door)
        self.control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(SECONDS)
        self.process = subprocess.Popen(
            [self.keeper, "--dir", str(self.dir)], env=self.environment,
            preexec_fn=as_third(other.fileno()), close_fds=False,
            stderr=subprocess.PIPE)
        other.close()
        self.before_start()
        start = wire.fields((1, None if sealed else 2), (4, os.getuid() + 1), (7, 1))
        fds = [door.fileno() for door in self.doors]
        source = None if sealed else os.open(self.keyfile, os.O_RDONLY)
        wire.send(self.control, wire.datagram(wire.message(wire.START, 0, start)),
                  fds + ([] if source is None else [source]))
        if source is not None:
            os.close(source)
        for door in self.doors:
            door.close()
        self.pump(lambda: self.ready is not None or self.refused is not None)

    def before_start(self):
        """What is sent before START."""

    def pump(self, until, seconds=SECONDS):
        """Plays the supervisor until the condition holds."""
        deadline = time.monotonic() + seconds
        while not until():
            self.control.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                messages, _ = wire.receive(self.control)
            except TimeoutError:
                raise AssertionError("the keeper did not do it in time") from None
            assert messages is not None, self.process.stderr.read()
            for kind, _, payload in messages:
                self._take(kind, payload)

    def _take(self, kind, payload):
        values = wire.parse_fields(payload)
        if kind == wire.PUBLISH:
            self.published = values[1].decode()
            wire.send(self.control, wire.datagram(wire.message(wire.PUBLISHED, 0)))
        elif kind in (wire.READY, wire.STATE):
            self.ready = {"sealed": bool(wire.number(values[1]))}
        elif kind == wire.REFUSE:
            self.refused = (wire.number(values[1]), values.get(2, b"").decode())
        elif kind == wire.WANT_FRONTEND:
            self.wanted.append((wire.number(values[1]), wire.number(values.get(2, bytes(8))),
                                payload))

    def connect(self, door):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(SECONDS)
        peer.connect(str(self.base / f"{door}.sock"))
        return peer

    def frontend(self, door):
        """Connects a peer and plays the frontend that the keeper asks for: (channel, peer)."""
        before = len(self.wanted)
        peer = self.connect(door)
        self.pump(lambda: len(self.wanted) > before)
        return self.give_frontend(self.wanted[-1][2]), peer

    def give_frontend(self, payload):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(SECONDS)
        wire.send(self.control, wire.datagram(wire.message(wire.FRONTEND, 0, payload)),
                  [theirs.fileno()])
        theirs.close()
        messages, fds = wire.receive(ours)
        assert [m[0] for m in messages] == [wire.PEER], messages
        for descriptor in fds:
            os.close(descriptor)
        return ours

    def ask(self, channel, kind, payload=b"", ident=1):
        """One request, one answer: (type, payload or document)."""
        wire.send(channel, wire.datagram(wire.message(kind, ident, payload)))
        messages = [(wire.PEER,)]
        while messages[0][0] == wire.PEER:  # peers may come in between
            messages, fds = wire.receive(channel)
            assert messages is not None, "the keeper closed the channel"
            for descriptor in fds:
                os.close(descriptor)
        assert len(messages) == 1 and messages[0][1] == ident, messages
        answer, body = messages[0][0], messages[0][2]
        return answer, wire.parse_doc(body) if answer == wire.DOC else wire.parse_fields(body)

    def stop(self):
        wire.send(self.control, wire.datagram(wire.message(wire.STOP, 0)))
        self.process.wait(SECONDS)
        return self.process.returncode

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
