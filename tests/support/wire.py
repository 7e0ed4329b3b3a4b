"""The wire between the processes, in Python: for tests that play one of them (service/wire/*.h)."""

import array
import socket
import struct

VERSION = 1
MAX_BYTES = 65536
HEAD = struct.Struct(">BQI")

# service/wire/messages.h
(PEER_CLOSED, HEALTH, METRICS) = range(1, 4)
(SIGN, CONNECTIONS, CONNECTION) = range(16, 19)
(STATUS, DOCTOR, CHALLENGE, UNSEAL, LOCK, SEALS) = range(32, 38)
(CALLERS, CALLER_ADD) = (48, 49)
(TOKENS, TOKEN_ADD, TOKEN_LOGIN, TOKEN_REMOVE, CONNECTION_MOVE) = range(59, 64)
(LOG_INFO, LOG_READ, LOG_SEGMENT, LOG_WAIT, LOG_CLOSE, LOG_CHECKPOINT) = range(80, 86)
(DOC, PROBLEM, PEER, LOG_OPENED, LOG_SEGMENT_FD, LOG_SIZE) = range(128, 134)
(HELPER_OPEN, HELPER_LOGIN, HELPER_PAIR, HELPER_LOAD, HELPER_SIGN, HELPER_DROP, HELPER_SEAL,
 HELPER_UNSEAL) = range(144, 152)
(HELPER_TOKEN, HELPER_PUBLIC, HELPER_KEY, HELPER_MAC, HELPER_DONE, HELPER_SEALED, HELPER_VALUE,
 HELPER_TROUBLE) = range(160, 168)
(PUBLISH, READY, WANT_FRONTEND, REFUSE, STATE, FRONTEND_LOST, WANT_HELPER,
 HELPER_LOST) = range(192, 200)
(START, PUBLISHED, FRONTEND, FRONTEND_FAILED, STOP, PIN, HELPER, HELPER_FAILED) = range(224, 232)

# base/token_terms.h
(FINE, ABSENT, STALE, PIN_TROUBLE, NEEDS_PIN, UNFIT, DATA, NO_KEY, AMBIGUOUS, REFUSED,
 BUSY) = range(11)
IN_VAULT, UNWRAP, TOKEN, PRE_PROVISIONED = range(4)

DOORS = {"sign": 1, "admin": 2, "audit": 3}


def fields(*items):
    """Encodes (tag, value) pairs; None is left out."""
    out = b""
    for tag, value in items:
        if value is None:
            continue
        if isinstance(value, int):
            value = struct.pack(">Q", value)
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, (list, tuple)):
            value = b"".join(struct.pack(">H", len(i)) + i for i in map(as_bytes, value))
        out += struct.pack(">BI", tag, len(value)) + value
    return out


def as_bytes(value):
    return value.encode() if isinstance(value, str) else value


def parse_fields(data):
    out = {}
    while data:
        tag, length = struct.unpack_from(">BI", data)
        out[tag] = data[5 : 5 + length]
        data = data[5 + length :]
    return out


def number(data):
    return struct.unpack(">Q", data)[0]


def message(kind, ident, payload=b""):
    return HEAD.pack(kind, ident, len(payload)) + payload


def datagram(*messages):
    return bytes([VERSION]) + b"".join(messages)


def parse_datagram(data):
    assert data[0] == VERSION, data[:16]
    at = 1
    out = []
    while at < len(data):
        kind, ident, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        out.append((kind, ident, data[at : at + length]))
        at += length
    return out


def parse_doc(data):
    """A document (service/wire/doc.h) as Python values."""
    value, rest = _doc_value(data[0], data[1:])
    assert rest == b"", rest
    return value


def _doc_value(kind, data):
    if kind == 1:
        out = {}
        while data[0] != 0:
            member, length = data[0], struct.unpack_from(">H", data, 1)[0]
            name = data[3 : 3 + length].decode()
            out[name], data = _doc_value(member, data[3 + length :])
        return out, data[1:]
    if kind == 2:
        items = []
        while data[0] != 0:
            item, data = _doc_value(data[0], data[1:])
            items.append(item)
        return items, data[1:]
    if kind == 3:
        length = struct.unpack_from(">I", data)[0]
        return data[4 : 4 + length].decode(), data[4 + length :]
    if kind == 4:
        return number(data[:8]), data[8:]
    return kind == 6, data


def send(sock, data, fds=()):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary)


def receive(sock):
    """One datagram as messages, with its descriptors; None at the end of the channel."""
    data, ancillary, _, _ = sock.recvmsg(MAX_BYTES, socket.CMSG_SPACE(16))
    if not data:
        return None, []
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return parse_datagram(data), list(fds)
