"""Where a connection's key can be: each test of what is signed and refused runs once for each."""

import os
from collections import Counter

import pytest
from support import memory
from support.service import Service
from support.token_service import TokenService
from support.tokens import SoftHsm, Tpm

SOFTHSM = ("softhsm-unwrap", "softhsm-token")
BACKENDS = ("software", *SOFTHSM, "tpm")


def parameters(name, *before):
    """For parametrize. A user whom the machine has no name for gets no bus, which a TPM needs."""
    return pytest.param(*before, name, marks=[pytest.mark.root] if name == "tpm" else [])


def on(names):
    """Marks a test: `backend`, and with it make_service and what is built on it, is each of these."""
    chosen = os.environ.get("OXV_BACKENDS", "").split() or names
    names = [name for name in names if name in chosen]
    return pytest.mark.parametrize("backend", [parameters(name) for name in names], indirect=True)


every_backend = on(BACKENDS)


class Software:
    def service(self, build, **options):
        return Service(build, **options)

    def remove(self):
        pass


class TokenBackend:
    """One token for the whole session; every service on it is new, and so are its keys."""

    def __init__(self, token, *words):
        self.token = token
        self.words = words

    def service(self, build, *, seal="keyfile", **options):
        return BackendService(build, self, seal=seal, **options)

    def key_place(self, _credentials, _nth):
        """nth: how many connections with these credentials the vault has already."""
        return ("--in-token", self.token.uri, "--module", self.token.module, *self.words)

    def remove(self):
        self.token.__exit__()


class TpmBackend(TokenBackend):
    """
    The vendor's tool puts the keys there, before a service hears of them. They serve each vault
    again, but no two connections of one: so there are as many as a test has connections.
    """

    COPIES = 3

    def __init__(self):
        super().__init__(Tpm())
        self._key_ids = {}

    def key_place(self, credentials, nth):
        if credentials not in self._key_ids:
            self._key_ids[credentials] = self._import_copies(credentials)
        key_id = self._key_ids[credentials][nth]
        return (*super().key_place(credentials, nth), "--key-id", key_id.hex())

    def _import_copies(self, credentials):
        key, name = memory.signing_key(credentials), f"key {len(self._key_ids)}"
        return [self.token.import_hmac(key, f"{name}.{i}") for i in range(self.COPIES)]


class BackendService(TokenService):
    """As a Service in all that a test does with it, but its connections sign in a token."""

    def __init__(self, build, backend, **options):
        super().__init__(build, backend.token, **options)
        self._backend = backend
        self._placed = Counter()

    def key_place(self, credentials):
        nth = self._placed[credentials]
        self._placed[credentials] += 1
        return self._backend.key_place(credentials, nth)


MAKERS = {
    "software": Software,
    "softhsm-unwrap": lambda: TokenBackend(SoftHsm()),
    "softhsm-token": lambda: TokenBackend(SoftHsm(), "--objects-only"),
    "tpm": TpmBackend,
}


class Backends:
    """Those that were asked for, made at the first use."""

    def __init__(self):
        self._made = {}

    def __getitem__(self, name):
        if name not in self._made:
            self._made[name] = MAKERS[name]()
        return self._made[name]

    def remove(self):
        for backend in self._made.values():
            backend.remove()
