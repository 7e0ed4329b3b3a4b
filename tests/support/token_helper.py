"""A token helper alone: the test plays its keeper (service/wire/messages.h)."""

import os
import socket
import subprocess

from support import wire

CHANNEL_FD = 3

# service/wire/messages.h
(OPEN, LOGIN, PAIR, LOAD, SIGN, DROP, SEAL, UNSEAL) = range(144, 152)
(TOKEN, PUBLIC, KEY, MAC, DONE, SEALED, VALUE, TROUBLE) = range(160, 168)

# base/token_terms.h
(UNWRAP, IN_TOKEN, PRE_PROVISIONED) = (1, 2, 3)
(SHA256, SHA512, SHA1) = (1, 2, 3)
MECHANISMS = ("aes-gcm", "aes-kwp", "rsa-oaep-sha256", "aes-kwp-wrap", "ecdh", "rsa-oaep-sha1",
              "rsa-pkcs1")
(HOST, WRITEBACK, APPENDED) = (1, 2, 3)
TROUBLES = ("fine", "absent", "stale", "pin", "needs pin", "unfit", "data", "no key", "ambiguous",
            "refused", "busy")
PIN_STATES = ("ok", "count low", "final try", "locked")

CKR = {
    "OK": 0, "GENERAL_ERROR": 5, "FUNCTION_FAILED": 6, "ARGUMENTS_BAD": 7, "DEVICE_ERROR": 0x30,
    "DEVICE_REMOVED": 0x32, "OPERATION_ACTIVE": 0x90, "PIN_INCORRECT": 0xA0, "PIN_LOCKED": 0xA4,
    "TOKEN_NOT_PRESENT": 0xE0, "DATA_LEN_RANGE": 0x21,
}

_FIELDS = {
    TOKEN: {1: "uri", 2: "label", 3: "trouble", 4: "ckr", 5: "logged_in", 6: "pin_state",
            7: "pin_pad", 8: "generation", 9: "workers", 10: "text", 11: "refused_salt",
            12: "refused_hash"},
    PUBLIC: {1: "key_id", 2: "public_key", 3: "oaep"},
    KEY: {1: "key", 2: "generation"},
    MAC: {1: "mac"},
    DONE: {},
    SEALED: {1: "mechanism", 2: "gcm_iv", 3: "key_id", 4: "key_hash", 5: "blob", 6: "value"},
    VALUE: {1: "value"},
    TROUBLE: {1: "trouble", 2: "ckr", 3: "text", 4: "refused_salt", 5: "refused_hash",
              6: "login_failed"},
}
_NUMBERS = {"trouble", "ckr", "logged_in", "pin_state", "pin_pad", "generation", "workers", "oaep",
            "key", "mechanism", "gcm_iv", "login_failed"}
_TEXTS = {"uri", "label", "text"}


class Trouble(Exception):
    """HELPER_TROUBLE, with its fields; `word` is the trouble's name."""

    def __init__(self, fields):
        self.fields = fields
        self.word = TROUBLES[fields.get("trouble", 0)]
        self.ckr = fields.get("ckr", 0)
        self.text = fields.get("text", "")
        super().__init__(f"{self.word} (ckr {self.ckr:#x}): {self.text}")


def _decode(kind, payload):
    out = {}
    for tag, value in wire.parse_fields(payload).items():
        name = _FIELDS[kind][tag]
        if name in _NUMBERS:
            value = wire.number(value)
        elif name in _TEXTS:
            value = value.decode()
        out[name] = value
    return out


class Helper:
    """
    The process; `channel` is the keeper's end. States that come unasked are kept in `states`.
    wrapper: a command that executes the helper.
    """

    def __init__(self, build, env=None, wrapper=(), arguments=("--one-user",)):
        program = build.libexec / "oxvault-token"
        self.channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(60)
        os.set_inheritable(other.fileno(), True)
        self.ident = 0
        self.states = []
        self.waiting = []
        self.kept = {}

        def only_the_channel():
            os.dup2(other.fileno(), CHANNEL_FD)
            os.closerange(CHANNEL_FD + 1, 1024)

        self.process = subprocess.Popen(
            [*map(str, wrapper), str(program), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False,
            preexec_fn=only_the_channel, env={"PATH": os.environ["PATH"], **(env or {})},
        )
        other.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, seconds=20):
        """Ends the channel; the exit code. `stderr` is what it said."""
        self.channel.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if not self.process.stderr.closed:
            self.stderr = self.process.stderr.read().decode(errors="replace")
            self.process.stderr.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.channel.close()

    # The wire

    def ask(self, kind, *fields):
        """Sends a request; its id."""
        self.ident += 1
        payload = wire.fields(*((t, v) for t, v in fields if v not in (None, 0, b"", "")
                                or (kind, t) in _ZERO_IS_SENT))
        wire.send(self.channel, wire.datagram(wire.message(kind, self.ident, payload)))
        return self.ident

    def ask_raw(self, kind, payload):
        self.ident += 1
        wire.send(self.channel, wire.datagram(wire.message(kind, self.ident, payload)))
        return self.ident

    def _next(self):
        while not self.waiting:
            messages, fds = wire.receive(self.channel)
            assert messages is not None, f"the helper has ended: {self._last_words()}"
            assert not fds
            self.waiting += messages
        return self.waiting.pop(0)

    def _last_words(self):
        self.process.wait(10)
        return self.process.returncode, self.process.stderr.read().decode(errors="replace")

    def answer(self, ident):
        """The answer to a request as (type, fields); Trouble where it is one."""
        while ident not in self.kept:
            kind, got, payload = self._next()
            if got == 0:
                assert kind == TOKEN
                self.states.append(_decode(kind, payload))
            else:
                self.kept[got] = (kind, _decode(kind, payload))
        kind, fields = self.kept.pop(ident)
        if kind == TROUBLE:
            raise Trouble(fields)
        return kind, fields

    def state(self, condition, what="the state"):
        """Waits for an unasked state that fulfils the condition; it and those before are taken."""
        while True:
            while self.states:
                state = self.states.pop(0)
                if condition(state):
                    return state
            kind, got, payload = self._next()
            if got == 0:
                self.states.append(_decode(kind, payload))
            else:
                self.kept[got] = (kind, _decode(kind, payload))

    def call(self, kind, wanted, *fields):
        got, values = self.answer(self.ask(kind, *fields))
        assert got == wanted, (got, wanted)
        return values

    # The requests

    def open(self, module, uri, workers=None):
        return self.call(OPEN, TOKEN, (1, module), (2, uri), (3, workers))

    def login(self, pin=None, refused=None, again=0):
        salt, hashed = refused or (None, None)
        return self.call(LOGIN, TOKEN, (1, pin), (2, salt), (3, hashed), (4, again))

    def pair(self, key_id=None, allow_oaep_sha1=1):
        return self.call(PAIR, PUBLIC, (1, key_id), (2, allow_oaep_sha1))

    def load(self, form, key_id, hash_=SHA256, *, pair_id=None, oaep=None, blob=None, key=None,
             label=None):
        return self.call(LOAD, KEY, (1, form), (2, hash_), (3, key_id), (4, pair_id), (5, oaep),
                         (6, blob), (7, key), (8, label))

    def ask_sign(self, key, message):
        return self.ask(SIGN, (1, key["key"]), (2, key["generation"]), (3, message))

    def sign(self, key, message):
        kind, values = self.answer(self.ask_sign(key, message))
        assert kind == MAC
        return values["mac"]

    def drop(self, key, destroy=0):
        return self.call(DROP, DONE, (1, key["key"]), (2, key["generation"]), (3, destroy))

    def seal(self, *, key_id=None, generate=0, mechanism=None, gcm_iv=None, allow_oaep_sha1=0,
             allow_pkcs1=0):
        number = MECHANISMS.index(mechanism) + 1 if mechanism else None
        return self.call(SEAL, SEALED, (1, key_id), (2, generate), (3, number), (4, gcm_iv),
                         (5, allow_oaep_sha1), (6, allow_pkcs1))

    def unseal(self, sealed, **changed):
        pinned = {**sealed, **changed}
        return self.call(
            UNSEAL, VALUE, (1, pinned["mechanism"]), (2, pinned.get("gcm_iv")),
            (3, pinned["key_id"]), (4, pinned.get("key_hash")), (5, pinned["blob"]),
        )["value"]


# Required fields, whose zero is sent too.
_ZERO_IS_SENT = {(SIGN, 1), (SIGN, 2), (DROP, 1), (DROP, 2)}
