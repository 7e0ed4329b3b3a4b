"""Random requests to be signed, with every oddity that a URL and a form may have."""

import random
import re
import string
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

UNRESERVED = string.ascii_letters + string.digits + "-._~"
QUERY_RAW = UNRESERVED + "!$'()*,;:@/?"  # RFC 3986 query, without what a form gives a meaning
PATH_RAW = UNRESERVED + "!$&'()*+,;=:@"
HMAC_METHODS = ("HMAC-SHA256", "HMAC-SHA512", "HMAC-SHA1")
RSA_METHODS = ("RSA-SHA1", "RSA-SHA256", "RSA-SHA512")
HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "Post")
RARE_HTTP_METHODS = ("M-SEARCH", "X!#$%&'*+-.^_`|~")
WITHOUT_BODY = ("GET", "HEAD")  # oauthlib refuses a body here
NONCE = string.ascii_letters + string.digits
# As Python prints them: oauthlib rewrites addresses, see test_differential.py.
ADDRESSES = ("127.0.0.1", "10.1.2.3", "[::1]", "[2001:db8::1]", "[2001:DB8::A:1]", "[fe80::1]")
TEXTS = ("", " ", "a", "A", "1", "+", "%", "&", "=", "&=", "a b", "100%", "%20", "%2F", "~", "é",
         "日本語", "🦊", "\ufffd", "\u0301", "\x00", "\n", "\r\n", "\t", "\x7f", '"', "\\", "<x>",
         "oauth", "OAUTH_x", "realm", "script", "deploy", "q", "SELECT id FROM t WHERE n='x'")


@dataclass
class Case:
    method: str
    url: str
    form: list = field(default_factory=list)  # of (name, value)
    realm: str = ""
    consumer_key: str = ""
    token: str = ""
    nonce: str = ""
    timestamp: int = 0
    signature_method: str = "HMAC-SHA256"
    consumer_secret: str = ""
    token_secret: str = ""


def random_text(rng, longest=12):
    """Short Unicode text: often one of the odd ones, else mixed from ASCII and beyond."""
    if rng.random() < 0.4:
        return rng.choice(TEXTS)
    out = []
    for _ in range(rng.randrange(longest + 1)):
        kind = rng.random()
        if kind < 0.6:
            out.append(rng.choice(UNRESERVED))
        elif kind < 0.9:
            out.append(chr(rng.randrange(0x80)))
        else:
            code = rng.randrange(0x80, 0x110000 - 0x800)
            out.append(chr(code if code < 0xD800 else code + 0x800))
    return "".join(out)


def _escaped(rng, byte):
    text = f"%{byte:02x}"
    return text.upper() if rng.random() < 0.7 else text


def spell(rng, text, raw, plus=False):
    """One of the many percent-encodings of a text; bytes in `raw` may stand as they are."""
    out = []
    for byte in text.encode():
        char = chr(byte)
        if plus and char == " " and rng.random() < 0.5:
            out.append("+")
        elif char in raw and rng.random() < 0.95:
            out.append(char)
        else:
            out.append(_escaped(rng, byte))
    return "".join(out)


def _query_piece(rng, longest):
    text = random_text(rng, longest)
    while text.startswith("oauth_"):  # refused: RFC 5849 3.1
        text = random_text(rng, longest)
    return text


def random_query(rng):
    """With its "?", or empty. Has duplicates, empty names and values, empty parts."""
    if rng.random() < 0.25:
        return rng.choice(("", "", "?", "?&", "?&&"))
    names = [_query_piece(rng, 6) for _ in range(rng.randrange(1, 6))]
    parts = []
    for _ in range(rng.randrange(1, 8)):
        name = spell(rng, rng.choice(names), QUERY_RAW, plus=True)
        form = rng.random()
        if form < 0.1:
            parts.append("")
        elif form < 0.25:
            parts.append(name)
        else:
            parts.append(name + "=" + spell(rng, random_text(rng), QUERY_RAW + "=", plus=True))
    return "?" + "&".join(parts)


def _is_refused_path(path):
    """Does a grant refuse it (dot segments, /rest/, thrice encoded), or do we and oauthlib differ?"""
    once = unquote_to_bytes(path)
    twice = unquote_to_bytes(once)
    bare = re.sub(rb"[\x01-\x20\x7f]", b"", twice)
    segments = [s.split(b";")[0] for s in re.split(rb"[/\\]", bare)]
    return (
        b"\0" in twice
        or path.endswith(";")
        or unquote_to_bytes(twice) != twice
        or any(s in (b".", b"..") for s in segments)
        or any(s.lower().rstrip(b".") == b"rest" for s in segments)
    )


def random_path(rng):
    """Empty, or from "/" on. Never one that the vault refuses to match by a wildcard."""
    while True:
        if rng.random() < 0.1:
            return rng.choice(("", "/", "//", "/a/", "/!transform/x"))
        parts = []
        for _ in range(rng.randrange(1, 6)):
            parts.append("/" if rng.random() < 0.9 else rng.choice(("%2F", "%2f", "%5C", "//")))
            parts.append(spell(rng, random_text(rng, 8), PATH_RAW))
        path = "/" + "".join(parts).lstrip("/")
        if not _is_refused_path(path):
            return path


def random_target(rng):
    """Path and query, to be put behind an origin."""
    return random_path(rng) + random_query(rng)


def _any_case(rng, text):
    return "".join(rng.choice((c.lower(), c.upper())) for c in text)


def random_origin(rng):
    scheme = rng.choice(("https", "https", "http"))
    host = rng.choice(ADDRESSES + ("acme.example", "1234567-sb1.suitetalk.api.netsuite.com",
                                   "localhost", "a_b.example", "x", "example.com."))
    port = rng.choice(("", "", "", ":", ":443", ":80", ":8443", ":1", ":65535",
                       f":{rng.randrange(1, 65536)}"))
    if rng.random() < 0.3:
        scheme, host = _any_case(rng, scheme), _any_case(rng, host)
    return f"{scheme}://{host}{port}"


def random_form(rng):
    """Form-encoded body parameters as decoded pairs, mostly none."""
    if rng.random() < 0.7:
        return []
    return [(_query_piece(rng, 6), random_text(rng)) for _ in range(rng.randrange(1, 8))]


def _printable(rng, shortest, longest):
    """An identifier or a secret: printable, now and then beyond ASCII."""
    alphabet = NONCE if rng.random() < 0.7 else string.printable[:95] + "éß漢"
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(shortest, longest + 1)))


def random_case(rng, signature_methods=HMAC_METHODS):
    method = rng.choice(HTTP_METHODS if rng.random() < 0.95 else RARE_HTTP_METHODS)
    return Case(
        method=method,
        url=random_origin(rng) + random_target(rng),
        form=[] if method.upper() in WITHOUT_BODY else random_form(rng),
        realm=rng.choice(("", "1234567", "1234567_SB1", "Photos")),
        consumer_key=_printable(rng, 1, 64),
        token=_printable(rng, 1, 64) if rng.random() < 0.9 else "",
        nonce="".join(rng.choice(NONCE) for _ in range(rng.randrange(1, 33))),
        timestamp=rng.randrange(1, 2**33),
        signature_method=rng.choice(signature_methods),
        consumer_secret=_printable(rng, 0, 70),
        token_secret=_printable(rng, 0, 70),
    )


def random_cases(seed, count, signature_methods=HMAC_METHODS):
    rng = random.Random(seed)
    return [random_case(rng, signature_methods) for _ in range(count)]
