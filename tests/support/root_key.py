"""The root key of a vault, its subkeys and the log's ratchet, computed without our code."""

import hashlib
import re
import sqlite3
import struct
from contextlib import closing

import nacl.bindings as sodium

SEAL_TABLE = 2
LOG_WRAP = 5  # number of the subkey
WRAPPED_BYTES = 35 + 32 + 16
KEY_FILE = struct.Struct(">8sBQ32s24s88s")


def kdf(key, number, context):
    """crypto_kdf_derive_from_key() of libsodium, 32 bytes."""
    return hashlib.blake2b(
        b"", digest_size=32, key=key, salt=struct.pack("<QQ", number, 0),
        person=context.encode().ljust(16, b"\0"),
    ).digest()


def vault_id(service):
    origin = (service.dir / "log/origin").read_text()
    return bytes.fromhex(re.fullmatch(r"oxvault/([0-9a-f]{32})/[0-9a-f]{32}\n", origin)[1])


def root_key(service):
    """Out of the first seal, which the service's key file opens. The service must be down."""
    with closing(sqlite3.connect(f"file:{service.dir}/vault.db?mode=ro", uri=True)) as database:
        number, version, record, sealed = database.execute(
            "SELECT id, version, record, sealed FROM seals ORDER BY id LIMIT 1").fetchone()
    blob = sealed[:WRAPPED_BYTES]
    header, cipher = blob[:35], blob[35:]
    assert header[:7] == b"OXVB\x01\x03\x01"
    place = struct.pack(">BQQ", SEAL_TABLE, number, version)
    data = (header + b"oxvault blob v1" + vault_id(service) + place
            + struct.pack(">I", len(record)) + record + struct.pack(">I", 0))
    key = kdf(service.secret_file.read_bytes(), 1, "oxvseal1")
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(cipher, data, header[11:], key)


def log_start(service):
    """w(0): where the log's ratchet starts."""
    return kdf(root_key(service), LOG_WRAP, "oxvroot1")


def ratchet(key, steps):
    for _ in range(steps):
        key = hashlib.blake2b(b"audit-wrap", digest_size=32, key=key).digest()
    return key


def open_key_file(content, start):
    """(epoch, the seed) of an epoch.key of format 2."""
    magic, form, epoch, public, nonce, sealed = KEY_FILE.unpack(content)
    assert (magic, form) == (b"OXVEPKEY", 2)
    header = content[: KEY_FILE.size - 88]
    plain = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        sealed, header, nonce, ratchet(start, epoch + 1))
    seed = plain[:32]
    assert sodium.crypto_sign_seed_keypair(seed)[0] == public
    return epoch, seed
