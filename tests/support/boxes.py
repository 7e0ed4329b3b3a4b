"""Sealed boxes made without our code (libsodium through PyNaCl), honest ones and others."""

import base64
import hashlib

from nacl.public import PublicKey, SealedBox
from support import wire
from support.credentials import A1

UNSEAL, SEAL_ADD, CONNECTION_ADD, CONNECTION_IMPORT = 1, 2, 3, 4
NETSUITE, HMAC_SHA256 = 1, 1
KEYFILE = 2


def parse_vault_pub(text):
    magic, vault_id, key = text.split()
    assert magic == "oxvault-vault-pub/1", text
    return bytes.fromhex(vault_id), base64.b64decode(key, validate=True)


def box(published, purpose, challenge, payload, vault_id=None):
    own_id, key = parse_vault_pub(published)
    plain = wire.fields((1, purpose), (2, vault_id or own_id), (3, challenge), (4, payload))
    return SealedBox(PublicKey(key)).encrypt(plain)


def connection(name, account="123456"):
    """The payload of a box for a NetSuite connection with the credentials of vector A1."""
    host = account.lower().replace("_", "-")
    origins = [f"https://{host}.{sub}.netsuite.com"
               for sub in ("suitetalk.api", "restlets.api", "app")]
    record = wire.fields((1, NETSUITE), (2, HMAC_SHA256), (3, 1), (4, name), (5, account),
                         (6, A1.consumer_key), (7, A1.token), (11, origins))
    raw = f"{A1.consumer_secret}&{A1.token_secret}".encode()
    key = hashlib.sha256(raw).digest()
    return wire.fields((1, record), (2, wire.fields((1, key))))


def unseal(seal_id, material):
    return wire.fields((1, seal_id), (2, KEYFILE), (3, material))


def seal_add(existing_id, existing, added):
    return wire.fields((1, existing_id), (2, KEYFILE), (3, KEYFILE), (7, existing), (8, added))


def import_chunk(session, chunk, connections):
    return wire.fields((1, session), (2, chunk), (3, connections))
