"""A witness (`oxvault witness`) of its own, and logs that are signed here, with nothing of ours."""

import base64
import hashlib
import http.client
import os
import socket
import struct
import subprocess

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import process, tlog


def b64(data):
    return base64.b64encode(data).decode()


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


class Signer:
    """The key of a log."""

    def __init__(self, name, seed=None):
        self.name = name
        self.key = Ed25519PrivateKey.from_private_bytes(seed or os.urandom(32))
        typed = b"\x01" + raw(self.key.public_key())
        self.id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64(typed)}"

    def line(self, text):
        return f"\u2014 {self.name} {b64(self.id + self.key.sign(text.encode()))}\n"


class Log:
    """A log of its own, in memory."""

    def __init__(self, signer, leaves=()):
        self.signer = signer
        self.leaves = list(leaves)

    def text(self, size):
        return f"{self.signer.name}\n{size}\n{b64(tlog.root_of(self.leaves[:size]))}\n"

    def checkpoint(self, size):
        return self.text(size) + "\n" + self.signer.line(self.text(size))

    def proof(self, old, size):
        """RFC 6962 section 2.1.2."""
        def sub(m, leaves, whole):
            if m == len(leaves):
                return [] if whole else [tlog.root_of(leaves)]
            k = 1
            while 2 * k < len(leaves):
                k *= 2
            if m <= k:
                return [*sub(m, leaves[:k], whole), tlog.root_of(leaves[k:])]
            return [*sub(m - k, leaves[k:], False), tlog.root_of(leaves[:k])]

        return sub(old, self.leaves[:size], True) if old else []

    def request(self, old, size):
        return body(old, self.proof(old, size), self.checkpoint(size))


def body(old, path, checkpoint):
    return f"old {old}\n" + "".join(f"{b64(item)}\n" for item in path) + "\n" + checkpoint


class Cosigner:
    """A witness's verifier key."""

    def __init__(self, vkey):
        self.vkey = vkey
        self.name, key_id, key = vkey.split("+", 2)
        typed = tlog.strict_base64(key)
        assert typed[0] == 4 and len(typed) == 33
        self.id = hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:4]
        assert self.id.hex() == key_id
        self.public = Ed25519PublicKey.from_public_bytes(typed[1:])

    def time_of(self, line, text):
        """Of a cosignature line over that text, which must be right."""
        dash, name, payload = line.rstrip("\n").split(" ")
        data = tlog.strict_base64(payload)
        assert (dash, name, data[:4], len(data)) == ("\u2014", self.name, self.id, 76)
        (time,) = struct.unpack(">Q", data[4:12])
        self.public.verify(data[12:], f"cosignature/v1\ntime {time}\n{text}".encode())
        return time

    def cosigned(self, note):
        """The times at which it cosigned a note."""
        text, lines = note.rsplit("\n\n", 1)
        return [self.time_of(line, text + "\n") for line in lines.splitlines()
                if line.split(" ")[1] == self.name]


class _UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status, self.type = response.status, response.headers["Content-Type"]
        self.body = response.read().decode()

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Witness:
    def __init__(self, build, base, name="witness.example/w1"):
        self.build, self.base = build, base
        self.dir, self.socket = base / "witness", base / "witness.sock"
        self.process = None
        self.name = name

    def command(self, *words, check=True, **options):
        done = subprocess.run(
            [str(w) for w in (self.build.oxvault, "--dir", self.dir, "witness", *words)],
            check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]}, **options)
        assert not check or done.returncode == 0, done
        return done

    def init(self):
        said = self.command("init", "--name", self.name).stdout
        self.cosigner = Cosigner(next(w for w in said.split() if w.startswith(self.name + "+")))
        return said

    def add_log(self, vkey):
        file = self.base / "log.vkey"
        file.write_text(vkey + "\n")
        return self.command("add-log", file)

    def start(self, *where, environment=None):
        where = where or ("--socket", self.socket)
        self.process = subprocess.Popen(
            [str(w) for w in (self.build.oxvault, "--dir", self.dir, "witness", *where)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], **(environment or {})})
        line = self.process.stdout.readline()
        assert line.startswith("oxvault witness ready on "), (line, self.process.stderr.read())
        return line.rstrip("\n").rpartition(" ")[2]

    def stop(self):
        running, self.process = self.process, None
        running.terminate()
        _, said = running.communicate(timeout=20)
        assert "Sanitizer" not in said and "runtime error" not in said, said
        return running.returncode, said

    def remove(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def ask(self, method, path, content=None, connection=None):
        connection = connection or _UnixHTTP(self.socket)
        connection.request(method, path, None if content is None else content.encode())
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def add_checkpoint(self, content):
        return self.ask("POST", "/add-checkpoint", content)

    def note_of(self, origin):
        return self.ask("GET", f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")

    def wait_for_end(self):
        return process.wait_until(lambda: self.process.poll() is not None, 10, "the witness's end")
