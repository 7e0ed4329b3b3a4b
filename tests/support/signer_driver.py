"""Runs signer_driver.c: the C library signs a list of cases."""

import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent


@dataclass
class Answer:
    status: str
    reason: str
    offset: int
    base_string: str
    header: str


def find_driver():
    """$OXV_BUILD is a build directory; without it build/ of this checkout."""
    build = Path(os.environ.get("OXV_BUILD") or TOP / "build")
    found = sorted(build.rglob("signer_driver"))
    programs = [p for p in found if p.is_file() and os.access(p, os.X_OK)]
    if not programs:
        raise FileNotFoundError(f"no signer_driver below {build}: build it, or set OXV_BUILD")
    return programs[0]


def _list(pairs):
    items = [text.encode() for pair in pairs for text in pair]
    return b"".join(struct.pack(">H", len(item)) + item for item in items)


def _frame(parts):
    body = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return struct.pack(">I", len(body)) + body


def encode_case(case, url=None):
    texts = (case.realm, case.consumer_key, case.token, case.nonce, str(case.timestamp),
             case.signature_method, case.consumer_secret, case.token_secret)
    return _frame([case.method.encode(), url or case.url.encode(), _list(case.form),
                   *(text.encode() for text in texts), b""])


def _split(data):
    parts, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return parts


def sign_all(cases, rsa_key_file=None):
    """The answers of the C library, in order."""
    command = [find_driver(), *([rsa_key_file] if rsa_key_file else [])]
    done = subprocess.run(command, input=b"".join(map(encode_case, cases)), check=True,
                          stdout=subprocess.PIPE, timeout=120)
    answers = []
    for frame in _split(done.stdout):
        status, reason, offset, base, header = (part.decode() for part in _split(frame))
        answers.append(Answer(status, reason, int(offset), base, header))
    return answers
