"""Looks for bytes in files and in the memory of running processes."""

import base64
import hashlib
import os
from pathlib import Path

CHUNK = 1 << 20


def find_in_file(path, needles):
    data = Path(path).read_bytes()
    return {name for name, needle in needles.items() if needle in data}


def find_below(directory, needles):
    """{needle's name: [files]} over all regular files."""
    found = {}
    for path in Path(directory).rglob("*"):
        if path.is_file():
            for name in find_in_file(path, needles):
                found.setdefault(name, []).append(str(path))
    return found


def find_in_process(pid, needles):
    """
    Names of the needles found in any readable mapping, and how many bytes were read. A mapping
    that the kernel does not show to anybody (memfd_secret) counts as not readable.
    """
    found, total = set(), 0
    overlap = max(len(needle) for needle in needles.values()) - 1
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
        regions = [line.split()[:2] for line in maps if "[vvar]" not in line]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for span, rights in regions:
            if not rights.startswith("r"):
                continue
            start, end = (int(bound, 16) for bound in span.split("-"))
            tail = b""
            for address in range(start, end, CHUNK):
                try:
                    data = os.pread(memory.fileno(), min(CHUNK, end - address), address)
                except OSError:
                    break
                total += len(data)
                data = tail + data
                found |= {name for name, needle in needles.items() if needle in data}
                tail = data[-overlap:]
    return found, total


def secret_needles(credentials):
    """Every form in which the two secrets could lie around."""
    needles = {}
    for name, secret in credentials.secrets.items():
        needles[name] = secret.encode()
        needles[f"{name}, decoded"] = bytes.fromhex(secret)
        needles[f"{name}, base64"] = base64.b64encode(secret.encode()).rstrip(b"=")[:-1]
        needles[f"{name}, its middle"] = secret[16:48].encode()
    return needles


def signing_key(credentials):
    """K0 of design 5.3 for HMAC-SHA256, without its zero padding."""
    joined = f"{credentials.consumer_secret}&{credentials.token_secret}".encode()
    return hashlib.sha256(joined).digest()


def key_needles(credentials):
    """K0, and K0 as the two pads of HMAC hold it."""
    key = signing_key(credentials)
    return {
        "K0": key,
        "K0 in the inner pad": bytes(byte ^ 0x36 for byte in key),
        "K0 in the outer pad": bytes(byte ^ 0x5C for byte in key),
    }
