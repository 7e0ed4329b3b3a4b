"""A keeper whose supervisor and token helpers are the test: every trouble of a token, at will."""

import hashlib
import hmac
import os
import secrets
import socket
import threading
import time

from support import boxes, wire
from support.keeper_harness import SECONDS, KeeperHarness

URI = "pkcs11:model=Played;manufacturer=Test;serial=0001;token=ci"
LABEL = "ci"
MODULE = "/usr/lib/played.so"
PIN = b"1234"
PUBLIC_KEY = b"not really DER" * 8
PAIR_ID = b"\x42" * 16
VALUE = hashlib.sha256(b"what the seal holds").digest()
HASHES = {1: "sha256", 2: "sha512", 3: "sha1"}


def seal_key(key):
    """As if to the token's public key: the blob of the UNWRAP form."""
    return b"sealed to the played token's key" + key


class PlayedToken:
    """The device: it outlives the helper processes that speak to it. Each answer can be changed by
    setting `answers[type]` to a function (helper, ident, fields) -> messages, None for the usual
    one, or an empty list for none at all."""

    def __init__(self):
        self.pin = PIN
        self.objects = {}  # key id -> (key, hash) that are kept in the token
        self.generation = 1
        self.answers = {}
        self.calls = []  # (type, fields) in the order in which they came
        self.changed = threading.Condition()
        self.refused_logins = 0

    def count(self, kind):
        return len([1 for seen, _ in self.calls if seen == kind])

    def wait(self, until, seconds=SECONDS):
        with self.changed:
            assert self.changed.wait_for(until, seconds), "the keeper did not ask for it"


class PlayedHelper:
    """One process of the token helper."""

    def __init__(self, token, channel):
        self.token = token
        self.channel = channel
        self.keys = {}
        self.logged_in = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                messages, _ = wire.receive(self.channel)
            except OSError:
                messages = None
            if messages is None:
                return
            for kind, ident, payload in messages:
                self._take(kind, ident, wire.parse_fields(payload))

    def _take(self, kind, ident, values):
        token = self.token
        answer = token.answers.get(kind)
        with token.changed:
            token.calls.append((kind, values))
            token.changed.notify_all()
        out = answer(self, ident, values) if answer else None
        if out is None:
            out = [self.usual(kind, ident, values)]
        if out:
            self.send(*out)

    def send(self, *messages):
        try:
            wire.send(self.channel, wire.datagram(*messages))
        except OSError:
            pass  # the keeper has given this process up

    def end(self):
        self.channel.shutdown(socket.SHUT_RDWR)
        self.channel.close()

    def usual(self, kind, ident, values):
        return {
            wire.HELPER_OPEN: self._open, wire.HELPER_LOGIN: self._login,
            wire.HELPER_PAIR: self._pair, wire.HELPER_LOAD: self._load,
            wire.HELPER_SIGN: self._sign, wire.HELPER_DROP: self._drop,
            wire.HELPER_SEAL: self._seal, wire.HELPER_UNSEAL: self._unseal,
        }[kind](ident, values)

    def tell(self, ident=0, trouble=None, pin_pad=None, pin_state=None):
        return wire.message(wire.HELPER_TOKEN, ident, wire.fields(
            (1, URI), (2, LABEL), (3, trouble), (5, int(self.logged_in) or None), (6, pin_state),
            (7, pin_pad), (8, self.token.generation), (9, 2)))

    @staticmethod
    def trouble(ident, trouble, ckr=None, text=None, refused=(), login_failed=None):
        return wire.message(wire.HELPER_TROUBLE, ident, wire.fields(
            (1, trouble), (2, ckr), (3, text), *zip((4, 5), refused), (6, login_failed)))

    def _open(self, ident, values):
        assert values[1].decode() == MODULE, values
        return self.tell(ident)

    def _login(self, ident, values):
        pin, salt, refused = values.get(1, b""), values.get(2, b""), values.get(3, b"")
        known = [refused[at:at + 32] for at in range(0, len(refused), 32)]
        if not values.get(4) and hashlib.sha256(salt + pin).digest() in known:
            return self.trouble(ident, wire.PIN_TROUBLE, text="this PIN was refused before")
        if pin != self.token.pin:
            self.token.refused_logins += 1
            salt = salt or secrets.token_bytes(16)
            return self.trouble(ident, wire.PIN_TROUBLE, 0xA0, "the token refused the PIN",
                                (salt, hashlib.sha256(salt + pin).digest()))
        self.logged_in = True
        return self.tell(ident)

    def _pair(self, ident, values):
        return wire.message(wire.HELPER_PUBLIC, ident, wire.fields(
            (1, values.get(1, PAIR_ID)), (2, PUBLIC_KEY), (3, 2)))

    def _load(self, ident, values):
        form, kind, key_id = wire.number(values[1]), wire.number(values[2]), values[3]
        if form == wire.UNWRAP:
            assert values[4] == PAIR_ID and wire.number(values[5]) == 2, values
            head = seal_key(b"")
            if not values[6].startswith(head):
                return self.trouble(ident, wire.DATA, 0x40, "the blob does not open")
            key = values[6][len(head):]
        else:
            if 7 in values:
                if key_id in self.token.objects:
                    return self.trouble(ident, wire.AMBIGUOUS, text="there is such a key")
                self.token.objects[key_id] = values[7]
            if key_id not in self.token.objects:
                return self.trouble(ident, wire.NO_KEY, text="there is no such key")
            key = self.token.objects[key_id]
        handle = 1 + len(self.keys)
        self.keys[handle] = (key, HASHES[kind], key_id)
        return wire.message(wire.HELPER_KEY, ident,
                            wire.fields((1, handle), (2, self.token.generation)))

    def _sign(self, ident, values):
        handle, generation = wire.number(values[1]), wire.number(values[2])
        if generation != self.token.generation or handle not in self.keys:
            return self.trouble(ident, wire.STALE, text="that key is not loaded")
        key, name, _ = self.keys[handle]
        return wire.message(wire.HELPER_MAC, ident,
                            wire.fields((1, hmac.digest(key, values.get(3, b""), name))))

    def _drop(self, ident, values):
        key = self.keys.pop(wire.number(values[1]), None)
        if key is None:
            return self.trouble(ident, wire.STALE, text="that key is not loaded")
        if values.get(3):
            self.token.objects.pop(key[2], None)
        return wire.message(wire.HELPER_DONE, ident)

    def _seal(self, ident, _):
        return wire.message(wire.HELPER_SEALED, ident, wire.fields(
            (1, 1), (2, 1), (3, b"\x07" * 16), (5, seal_key(VALUE)), (6, VALUE)))

    def _unseal(self, ident, values):
        if values[5] != seal_key(VALUE):
            return self.trouble(ident, wire.DATA, 0x40, "the blob does not open")
        return wire.message(wire.HELPER_VALUE, ident, wire.fields((1, VALUE)))


class TokenHarness(KeeperHarness):
    """Plays the supervisor in a thread, so that the test can wait for answers meanwhile."""

    def __init__(self, keeper):
        super().__init__(keeper)
        self.token = PlayedToken()
        self.helpers = []
        self.lost = 0
        self.helper_fails = False
        self.publishes = True
        self.known = threading.Condition()
        self.watched = None
        self.pin_sources = []
        self.seal = "keyfile"

    def init_by_token(self, pin=PIN, expect=0, uid=None):
        """`oxvault-keeper --init --seal token` with the played helper as its descriptor 4; as a
        command of root that drops its rights to `uid`, where that is given."""
        self.seal = "token"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        helper = PlayedHelper(self.token, ours)
        source, written = os.pipe()
        os.write(written, pin)
        os.close(written)
        try:
            return self.run_init(source, theirs.fileno(), expect, uid)
        finally:
            os.close(source)
            theirs.close()
            helper.end()

    def run_init(self, source, channel, expect, uid=None):
        import fcntl
        import subprocess

        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (source, channel)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            if uid is not None:
                os.setuid(uid)

        done = subprocess.run(
            [self.keeper, "--init", "--dir", str(self.dir), "--seal", "token", "--module", MODULE,
             "--token-uri", URI, "--generate", "--admin-uid", "0"],
            preexec_fn=place, close_fds=False, env=self.environment, capture_output=True,
            check=False)
        for fd in high:
            os.close(fd)
        assert done.returncode == expect, done
        return done

    def pump(self, until, seconds=SECONDS):
        if self.watched is not self.control:
            self.watched = self.control
            threading.Thread(target=self._serve, args=(self.control,), daemon=True).start()
        with self.known:
            assert self.known.wait_for(until, seconds), "the keeper did not do it in time"

    def before_start(self):
        for label, pin in self.pin_sources:
            source, written = os.pipe()
            os.write(written, pin)
            os.close(written)
            wire.send(self.control, wire.datagram(wire.message(
                wire.PIN, 0, wire.fields((1, label or None), (2, "/etc/pin")))), [source])
            os.close(source)

    def _serve(self, control):
        control.settimeout(None)
        while True:
            try:
                messages, _ = wire.receive(control)
            except OSError:
                return
            if messages is None:
                with self.known:
                    self.known.notify_all()
                return
            for kind, _, payload in messages:
                with self.known:
                    self._take(kind, payload)
                    self.known.notify_all()

    def _take(self, kind, payload):
        if kind == wire.WANT_HELPER:
            self._give_helper(wire.number(wire.parse_fields(payload)[1]))
        elif kind == wire.HELPER_LOST:
            self.lost += 1
        elif kind == wire.PUBLISH and not self.publishes:
            self.published = wire.parse_fields(payload)[1].decode()
        else:
            super()._take(kind, payload)

    def _give_helper(self, serial):
        if self.helper_fails:
            wire.send(self.control, wire.datagram(wire.message(
                wire.HELPER_FAILED, 0, wire.fields((1, serial)))))
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wire.send(self.control, wire.datagram(wire.message(
            wire.HELPER, 0, wire.fields((1, serial)))), [theirs.fileno()])
        theirs.close()
        self.helpers.append(PlayedHelper(self.token, ours))

    def until(self, condition, seconds=SECONDS):
        """Waits for what no message tells of."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)

    def tokens(self, admin):
        kind, doc = self.ask(admin, wire.TOKENS)
        assert kind == wire.DOC, doc
        return doc["tokens"]

    def state(self, admin):
        return self.tokens(admin)[0]["state"]

    def wait_for_state(self, admin, state):
        self.until(lambda: self.state(admin) == state)

    def box(self, admin, purpose, payload):
        import base64

        kind, doc = self.ask(admin, wire.CHALLENGE)
        assert kind == wire.DOC, doc
        return boxes.box(self.published, purpose, base64.b64decode(doc["challenge"]), payload)

    def add_token(self, admin, pin=PIN, objects_only=None, module=MODULE, uri=URI):
        payload = wire.fields((1, module), (2, uri), (3, pin), (5, objects_only))
        sealed = self.box(admin, boxes.TOKEN_ADD, payload)
        return self.ask(admin, wire.TOKEN_ADD, wire.fields((1, sealed)))

    def login(self, admin, pin=PIN, row=1):
        sealed = self.box(admin, boxes.TOKEN_LOGIN, wire.fields((1, row or None), (2, pin)))
        return self.ask(admin, wire.TOKEN_LOGIN, wire.fields((1, sealed)))
