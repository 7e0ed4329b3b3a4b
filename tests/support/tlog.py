"""Notes, checkpoints and proofs of a log, checked with nothing of ours: RFC 6962, RFC 9162, C2SP."""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def strict_base64(text):
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text, text
    return data


def leaf_hash(line):
    return hashlib.sha256(b"\0" + line).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves):
    """The definition: split at the largest power of two below the size."""
    if len(leaves) == 0:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(root_of(leaves[:k]), root_of(leaves[k:]))


def root_by_inclusion(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2."""
    assert index < size
    fn, sn, r = index, size - 1, leaf
    for p in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def roots_by_consistency(old, size, old_root, path):
    """RFC 9162 section 2.1.4.2: the two roots that the path leads to."""
    assert 0 < old <= size
    if old == size:
        assert not path
        return old_root, old_root
    path = list(path)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        assert sn > 0
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return fr, sr


class Key:
    """A C2SP verifier key of a log."""

    def __init__(self, vkey):
        self.name, key_id, key = vkey.strip().split("+", 2)
        typed = strict_base64(key)
        assert typed[0] == 1 and len(typed) == 33
        self.id = hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:4]
        assert self.id.hex() == key_id
        self.public = Ed25519PublicKey.from_public_bytes(typed[1:])


class Checkpoint:
    """A signed note with the text of a checkpoint."""

    def __init__(self, note):
        assert note.endswith("\n")
        text, lines = note.rsplit("\n\n", 1)
        self.text = text + "\n"
        self.origin, size, root = text.split("\n")
        self.size, self.root = int(size), strict_base64(root)
        assert str(self.size) == size and len(self.root) == 32
        self.signatures = []
        for line in lines.splitlines():
            dash, name, payload = line.split(" ")
            assert dash == "\u2014"
            self.signatures.append((name, strict_base64(payload)))

    def is_signed_by(self, key):
        payloads = [p for name, p in self.signatures if name == key.name and p[:4] == key.id]
        try:
            for payload in payloads:
                key.public.verify(payload[4:], self.text.encode())
        except InvalidSignature:
            return False
        return bool(payloads)


class Proof:
    """A tlog-proof, or the body of add-checkpoint."""

    def __init__(self, text):
        head, note = text.split("\n\n", 1)
        lines = head.split("\n")
        self.checkpoint, self.extra = Checkpoint(note), None
        if lines[0] == "c2sp.org/tlog-proof@v1":
            lines.pop(0)
            if lines[0].startswith("extra "):
                self.extra = strict_base64(lines.pop(0)[len("extra "):])
            word = "index "
        else:
            word = "old "
        assert lines[0].startswith(word)
        self.number = int(lines.pop(0)[len(word):])
        self.path = [strict_base64(line) for line in lines]
        assert all(len(item) == 32 for item in self.path)
