"""A frontend alone, between a test that plays its keeper and peers of that test."""

import os
import select
import socket
import subprocess
import threading

from support import wire

CHANNEL_FD = 3


def doc(value):
    """Python values as a document (service/wire/doc.h)."""
    return _doc_value(value, "")


def _doc_value(value, name):
    if isinstance(value, dict):
        return _kind(1, name) + b"".join(_doc_value(v, k) for k, v in value.items()) + b"\0"
    if isinstance(value, list):
        return _kind(2, name) + b"".join(_doc_value(v, "") for v in value) + b"\0"
    if isinstance(value, bool):
        return _kind(6 if value else 5, name)
    if isinstance(value, int):
        return _kind(4, name) + value.to_bytes(8, "big")
    text = value.encode()
    return _kind(3, name) + len(text).to_bytes(4, "big") + text


def _kind(number, name):
    """A member has its name behind the kind; the top value and items of lists have none."""
    named = len(name).to_bytes(2, "big") + name.encode() if name else b""
    return bytes([number]) + named


def problem(code, detail, retry_after_s=None):
    return wire.fields((1, code), (2, detail), (3, retry_after_s))


class Frontend:
    """The process; `channel` is the keeper's end."""

    def __init__(self, program, door="sign"):
        self.channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(10)
        os.set_inheritable(other.fileno(), True)

        def only_the_channel():
            os.dup2(other.fileno(), CHANNEL_FD)
            os.closerange(CHANNEL_FD + 1, 1024)

        self.process = subprocess.Popen(
            [str(program), door], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, close_fds=False, preexec_fn=only_the_channel,
        )
        other.close()
        self.waiting = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the channel; the exit code."""
        try:
            self.channel.shutdown(socket.SHUT_RDWR)  # also wakes a thread that receives
        except OSError:
            pass  # the other end is gone
        self.channel.close()
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.stderr = self.process.stderr.read().decode()
        self.process.stderr.close()
        return code

    def peer(self, refuse=None, health=None, keep=None):
        """A connected peer; `refuse` is (code, detail); `keep` a list for the keeper's own copy."""
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        payload = wire.fields(
            (1, refuse[0] if refuse else None), (2, refuse[1] if refuse else None),
            (3, doc(health) if health else None),
        )
        wire.send(
            self.channel, wire.datagram(wire.message(wire.PEER, 0, payload)), [theirs.fileno()]
        )
        if keep is None:
            theirs.close()
        else:
            keep.append(theirs)
        return Peer(ours)

    def receive(self):
        """The next message of the frontend: type, id, payload."""
        while not self.waiting:
            messages, fds = wire.receive(self.channel)
            assert messages is not None, "the frontend has ended"
            assert not fds
            self.waiting += messages
        return self.waiting.pop(0)

    def receive_datagram(self):
        assert not self.waiting
        return wire.receive(self.channel)[0]

    def is_silent(self, seconds=0.2):
        return not self.waiting and not select.select([self.channel], [], [], seconds)[0]

    def send(self, *messages, fds=()):
        wire.send(self.channel, wire.datagram(*messages), fds)

    def answer(self, ident, value):
        self.send(wire.message(wire.DOC, ident, doc(value)))

    def refuse(self, ident, code, detail, retry_after_s=None):
        self.send(wire.message(wire.PROBLEM, ident, problem(code, detail, retry_after_s)))

    def serve(self, handle=None):
        """Answers everything from now on, in a thread, until the channel ends."""
        thread = threading.Thread(target=self._serve, args=(handle or echo,), daemon=True)
        thread.start()
        return thread

    def _serve(self, handle):
        while True:
            try:
                messages, _ = wire.receive(self.channel)
            except OSError:
                return
            if messages is None:
                return
            answers = [
                wire.message(wire.DOC, ident, doc(handle(kind, payload)))
                for kind, ident, payload in messages if ident != 0
            ]
            while answers:
                together = answers[:32] if sum(map(len, answers[:32])) < 60_000 else answers[:1]
                self.send(*together)
                del answers[: len(together)]


def echo(kind, payload):
    """The question as an answer."""
    members = wire.parse_fields(payload)
    return {"type": kind, "members": {f"m{tag}": value.hex() for tag, value in members.items()}}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class Peer:
    """A raw connection that reads HTTP answers one by one."""

    def __init__(self, sock):
        self.sock = sock
        self.left = b""

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def request(self, method, target, body=None, headers=(), version="1.1"):
        lines = [f"{method} {target} HTTP/{version}", "Host: localhost", *headers]
        if body is not None:
            body = body if isinstance(body, bytes) else body.encode()
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def _more(self):
        data = self.sock.recv(65536)
        self.left += data
        return bool(data)

    def _line(self):
        while b"\r\n" not in self.left:
            assert self._more(), f"the end, after {self.left!r}"
        line, self.left = self.left.split(b"\r\n", 1)
        return line.decode()

    def _bytes(self, count):
        while len(self.left) < count:
            assert self._more(), f"the end, after {self.left!r}"
        data, self.left = self.left[:count], self.left[count:]
        return data

    def head(self):
        version, status, _ = self._line().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        while line := self._line():
            name, value = line.split(": ", 1)
            assert name not in headers
            headers[name] = value
        return int(status), headers

    def chunk(self):
        size = int(self._line(), 16)
        data = self._bytes(size)
        assert self._line() == ""
        return data

    def answer(self, is_head=False):
        status, headers = self.head()
        if is_head:
            return Answer(status, headers, b"")
        if headers.get("Transfer-Encoding") == "chunked":
            assert "Content-Length" not in headers
            body = b""
            while chunk := self.chunk():
                body += chunk
            return Answer(status, headers, body)
        return Answer(status, headers, self._bytes(int(headers["Content-Length"])))

    def rest(self):
        """Everything up to the end."""
        while self._more():
            pass
        return self.left

    def is_closed(self):
        return self.left == b"" and not self._more()
