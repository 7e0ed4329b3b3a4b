"""Parsers of the export formats, written from their specifications and not from our writers."""

import csv
import io
import json
import re

# What a person must not be shown as it is; as in base/shown.c, kept apart on purpose.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ue000-\uf8ff"
    "\U000f0000-\U0010ffff]"
)


def shown(text):
    return HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):02X}}}", text)


def exact_line(text):
    """A line that rode along, its JSON escapes taken out: the log itself has none."""
    def take(found):
        units = bytes.fromhex("".join(re.findall(r"\\u([0-9a-f]{4})", found[2])))
        return found[1] + units.decode("utf-16-be")

    return re.sub(r"((?<!\\)(?:\\\\)*)((?:\\u[0-9a-f]{4})+)", take, text)


def parse_csv(text):
    names, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _unescape(text, escaped):
    """Takes out backslash escapes; any other backslash is an error."""
    out, at = "", 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            assert text[at] in escaped, text[at - 1 : at + 20]
        out += text[at]
        at += 1
    return out


def parse_cef(line):
    """ArcSight Common Event Format, implementation standard."""
    header = re.match(r"CEF:0((?:\|(?:[^|\\]|\\[|\\])*){6})\|(.*)$", line)
    assert header, line
    fields = [_unescape(field, "|\\") for field in re.split(r"(?<!\\)\|", header[1])[1:]]
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9_]+)=", header[2]))
    extension = {}
    for key, following in zip(keys, [*keys[1:], None]):
        value = header[2][key.end() : following.start() if following else None]
        assert key[1] not in extension, key[1]
        extension[key[1]] = _unescape(value, "=\\nr")
    return fields, extension


def parse_leef(line):
    """LEEF 2.0 with a delimiter in hex."""
    version, vendor, product, release, event, delimiter, rest = line.split("|", 6)
    assert version == "LEEF:2.0"
    pairs = [pair.split("=", 1) for pair in rest.split(chr(int(delimiter.lstrip("x"), 16)))]
    assert len({key for key, _ in pairs}) == len(pairs)
    return [vendor, product, release, event], dict(pairs)


def parse_syslog(line):
    """RFC 5424 section 6."""
    head = re.match(r"<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S{1,32}) ", line)
    assert head, line
    at, elements = head.end(), {}
    while line[at] == "[":
        name = re.compile(r"\[([!#-<>-\\^-~]{1,32})").match(line, at)
        at, parameters = name.end(), {}
        while line[at] == " ":
            pair = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\.)*)"').match(line, at)
            assert pair, line[at:]
            assert pair[1] not in parameters
            parameters[pair[1]] = _unescape(pair[2], '"\\]')
            at = pair.end()
        assert line[at] == "]"
        at += 1
        elements[name[1]] = parameters
    assert line[at] == " "
    return head.groups(), elements, line[at + 1 :]


def flat(value, prefix=""):
    """{"a.b": value}; items of arrays under the path of the array."""
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in flat(part, f"{prefix}{name}.").items()}
    return {prefix[:-1]: value}


def no_duplicates(pairs):
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def parse_json_lines(text):
    return [json.loads(line, object_pairs_hook=no_duplicates) for line in text.splitlines()]
