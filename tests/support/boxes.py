"""Sealed boxes made without our code (libsodium through PyNaCl), honest ones and others."""

import base64
import hashlib
import hmac

from nacl.public import PublicKey, SealedBox
from support import wire
from support.credentials import A1

UNSEAL, SEAL_ADD, CONNECTION_ADD, CONNECTION_IMPORT = 1, 2, 3, 4
TOKEN_ADD, TOKEN_LOGIN, CONNECTION_MOVE, REKEY = 5, 6, 7, 8
NETSUITE, HMAC_SHA256 = 1, 1
KEYFILE, TOKEN_SEAL = 2, 3
CHECK_PREFIX = b"\0oxvault kat v1"


def parse_vault_pub(text):
    magic, vault_id, key = text.splitlines()[0].split()
    assert magic == "oxvault-vault-pub/1", text
    return bytes.fromhex(vault_id), base64.b64decode(key, validate=True)


def box(published, purpose, challenge, payload, vault_id=None):
    own_id, key = parse_vault_pub(published)
    plain = wire.fields((1, purpose), (2, vault_id or own_id), (3, challenge), (4, payload))
    return SealedBox(PublicKey(key)).encrypt(plain)


def signing_key():
    """K0 of vector A1 for HMAC-SHA256."""
    return hashlib.sha256(f"{A1.consumer_secret}&{A1.token_secret}".encode()).digest()


def check_value(key_id, key=None):
    return hmac.digest(key or signing_key(), CHECK_PREFIX + key_id, "sha256")


def connection(name, account="123456", place=None, secret=None, moved=(None, None)):
    """The payload of a box for a NetSuite connection with the credentials of vector A1.

    place: (form, row of the token, key id) of a key in a token; secret: (key, check value);
    moved: the check value of the key it had until now, and 1 where it may be another one.
    """
    host = account.lower().replace("_", "-")
    origins = [f"https://{host}.{sub}.netsuite.com"
               for sub in ("suitetalk.api", "restlets.api", "app")]
    record = wire.fields((1, NETSUITE), (2, HMAC_SHA256), (3, 1), (4, name), (5, account),
                         (6, A1.consumer_key), (7, A1.token), (11, origins),
                         *zip((12, 13, 14), place or ()))
    key, check = secret or (signing_key(), None)
    return wire.fields((1, record), (2, wire.fields((1, key), (4, check))), *zip((3, 4), moved))


def unseal(seal_id, material, kind=KEYFILE):
    return wire.fields((1, seal_id or None), (2, kind), (3, material or None))


def seal_add(existing_id, existing, added):
    return wire.fields((1, existing_id), (2, KEYFILE), (3, KEYFILE), (7, existing), (8, added))


def rekey(seal_id, material):
    return wire.fields((2, [wire.fields((1, 1), (2, seal_id), (3, KEYFILE), (4, material))]))


def import_chunk(session, chunk, connections):
    return wire.fields((1, session), (2, chunk), (3, connections))
