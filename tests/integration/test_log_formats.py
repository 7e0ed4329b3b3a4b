"""Every export format of the log, read back by independent parsers and compared with JSON Lines."""

import hashlib
import json
import re
import tempfile
import threading
from pathlib import Path

import pytest
from support import log_formats, wire
from support.frontend import Frontend
from support.log_formats import exact_line, flat, shown

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
OCSF = json.loads((VECTORS / "ocsf.json").read_text(encoding="utf-8"))
ECS = json.loads((VECTORS / "ecs.json").read_text(encoding="utf-8"))
COMMIT = '{"commit":{"epoch":0,"root":"x","sig":"y","size":0}}'
FORMATS = ["csv", "ocsf", "ecs", "cef", "leef", "rfc5424"]
# What quotes, ends or reorders text somewhere. C0 controls are never in a line of the log.
HOSTILE = [
    'a"b', "a\\b", "a|b", "a=b", "a]b", "a b=c d", "\\", '"', "\\u0041", "\\u{202E}", "]]\"\\",
    "=1+1", "+1", "-1", "@x", "'x", "a\u202eb\u2066c", "\u0085\u009b31m", "\u2028\u2029", "\ufeffx",
    "<script>alert(1)</script>", "&amp;", "é中🔑", "\U000e0041", " cs1=x msg=y ", "seq=99", '" seq="99',
    'x","99","y', ',\\"seq\\":99', "%0a%00", "a,b;c",
]
# Every key an entry can have, as far as it is a text that anybody can choose.
TEXTS = ["caller", "code", "connection", "host", "kind", "method", "path", "reason", "request_id"]
REST = {
    "cfg": 9, "cfg_digest": "ab" * 32, "count": 3, "door": "sign", "gid": 0, "grant": 7,
    "grant_version": 2, "key_version": 4, "next_key": "o+00+A/+=", "log_key": "o+11+B/+=",
    "old_origin": "oxvault/y/z", "old_root": "ef" * 32, "old_size": 12, "node": "cd" * 16,
    "nonce": "ef" * 8, "origin": "oxvault/x/y", "pid": 11, "sig_hash": "01" * 32, "ts": 1700000000,
    "uid": 0, "unsigned_since": "2025-12-31T23:59:59.000000Z", "url_hash": "23" * 32, "vault": "45" * 16,
}


def types():
    source = (VECTORS.parent.parent / "vault/log/entry.c").read_text(encoding="utf-8")
    return re.findall(r'\[OXV_ENTRY_\w+\] = "([a-z.]+)"', source)


def line_of(seq, **members):
    members = {
        "boot": "00" * 16, "epoch": 0, "mono_us": seq, "seq": seq, "type": "sign", "v": 1,
        "time": f"2026-01-01T00:00:{seq % 60:02d}.123456Z", **members,
    }
    line = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return line


def every_line():
    lines, outcomes = [], ["allowed", "denied", "failed", None]
    for kind in types():
        for text in HOSTILE if kind in ("sign", "grant.add") else HOSTILE[:2]:
            members = {name: text for name in TEXTS} | REST
            outcome = outcomes[len(lines) % 4]
            lines.append(line_of(len(lines), type=kind, **members, **({"outcome": outcome} if outcome else {})))
        lines.append(line_of(len(lines), type=kind))
    return lines


@pytest.fixture(scope="module")
def lines():
    return every_line()


@pytest.fixture
def export(build, lines):
    """export(format) -> the text, from a frontend whose keeper is this test."""
    frontend = Frontend(build.libexec / "oxvault-frontend", "audit")
    text = ("\n".join(lines) + "\n" + COMMIT + "\n").encode()
    file = tempfile.TemporaryFile()
    file.write(text)
    file.flush()

    def serve():
        kind = None
        while kind != wire.LOG_CLOSE:
            kind, ident, _ = frontend.receive()
            if kind == wire.LOG_READ:
                frontend.send(wire.message(wire.LOG_OPENED, ident, wire.fields((1, 77), (2, len(lines)))))
            elif kind == wire.LOG_SEGMENT:
                fields = wire.fields((2, len(text)), (3, len(lines)))
                frontend.send(wire.message(wire.LOG_SEGMENT_FD, ident, fields), fds=[file.fileno()])

    def run(name):
        peer = frontend.peer()
        peer.request("GET", f"/v1/audit/log?purpose=export&format={name}")
        thread = threading.Thread(target=serve)
        thread.start()
        answer = peer.answer()
        thread.join(10)
        assert answer.status == 200
        return answer.body.decode()

    yield run
    assert frontend.close() == 0, frontend.stderr
    file.close()


def leaf(line):
    return hashlib.sha256(b"\0" + line.encode()).hexdigest()


def as_texts(entry):
    return {name: shown(str(value)) for name, value in entry.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_each_record_is_one_line_and_nothing_in_it_does_harm(export, lines, name):
    text = export(name)
    end = "\r\n" if name == "csv" else "\n"
    records = text.split(end)
    assert records.pop() == ""
    assert len(records) == len(lines) + (name == "csv")
    assert not text.startswith("\ufeff")
    allowed = "\t" if name == "leef" else ""
    for record in records:
        assert [c for c in log_formats.HIDDEN.findall(record) if c not in allowed] == [], record


def test_jsonl_is_the_lines(export, lines):
    assert export("jsonl").split("\n") == [*lines, ""]


def test_csv_says_what_the_log_says(export, lines):
    for line, row in zip(lines, log_formats.parse_csv(export("csv")), strict=True):
        entry = as_texts(json.loads(line))
        assert row.pop("leaf_hash") == leaf(line)
        assert exact_line(row.pop("line")) == line
        for name, value in entry.items():
            assert row.pop(name) == ("'" + value if value[0] in "=+-@" else value)
        assert not any(row.values()), row


CEF = {
    "seq": "cn1", "type": "cat", "outcome": "outcome", "reason": "reason", "uid": "suid", "pid": "spid",
    "method": "requestMethod", "host": "dhost", "path": "request", "request_id": "externalId", "count": "cnt",
    "door": "cs2", "connection": "cs3", "kind": "cs4", "sig_hash": "cs5", "nonce": "cs6", "grant": "cn2",
    "grant_version": "cn3",
}


def test_cef_says_what_the_log_says(export, lines):
    for line, record in zip(lines, export("cef").splitlines(), strict=True):
        entry = as_texts(json.loads(line))
        header, extension = log_formats.parse_cef(record)
        bad = entry.get("outcome") in ("denied", "failed")
        assert header[:2] == ["Oxvault", "oxvault"]
        assert header[3] == entry["type"]
        assert header[5] == ("6" if bad else "2")
        assert extension.pop("cs1") == leaf(line)
        assert extension.pop("cs1Label") == "leaf"
        assert exact_line(extension.pop("msg")) == line
        assert int(extension.pop("rt")) % 1000 == 123
        for name, value in entry.items():
            camel = "oxv" + "".join(part.capitalize() for part in name.split("_"))
            if name == "caller":
                key = "suser" if entry["type"] in ("sign", "admin", "peer") else "duser"
            else:
                key = CEF.get(name, camel)
            assert extension.pop(key) == value, name
            if re.fullmatch(r"c[sn]\d", key):
                assert extension.pop(f"{key}Label") == name
        assert extension == {}


LEEF = {
    "type": "cat", "caller": "usrName", "outcome": "action", "connection": "resource", "grant": "policy",
    "path": "url",
}


def test_leef_says_what_the_log_says(export, lines):
    for line, record in zip(lines, export("leef").splitlines(), strict=True):
        entry = as_texts(json.loads(line))
        header, attributes = log_formats.parse_leef(record)
        assert header[:2] == ["Oxvault", "oxvault"] and header[3] == entry["type"]
        assert attributes.pop("leaf") == leaf(line)
        assert attributes.pop("sev") in ("2", "6")
        assert int(attributes.pop("devTime")) % 1000 == 123
        assert attributes == {LEEF.get(name, name): value for name, value in entry.items()}


def test_syslog_says_what_the_log_says(export, lines):
    severity = {"allowed": 6, "denied": 4, "failed": 3, None: 6}
    for line, record in zip(lines, export("rfc5424").splitlines(), strict=True):
        entry = json.loads(line)
        (priority, time, host, app, process, message_id), elements, message = log_formats.parse_syslog(record)
        assert int(priority) == 13 * 8 + severity[entry.get("outcome")]
        assert (time, host, app, process, message_id) == (entry["time"], "-", "oxvault", "-", entry["type"])
        parameters = elements["audit@32473"]
        assert parameters.pop("leaf") == leaf(line)
        assert parameters == as_texts(entry)
        assert elements["origin"]["software"] == "oxvault"
        assert exact_line(message) == line


# OCSF


def ocsf_required(event):
    """Names, requirements and enumerations, as the schema has them for that class."""
    base, own = OCSF["base"], OCSF["classes"][str(event["class_uid"])]
    profiles = [OCSF["profiles"][name] for name in event["metadata"].get("profiles", [])]
    names = set(event)
    assert set(base["required"] + own["required"]) <= names
    assert names <= set(base["allowed"] + own["allowed"]).union(*(p["allowed"] for p in profiles))
    assert not own.get("at_least_one") or names & set(own["at_least_one"])
    assert event["category_uid"] == own["category_uid"]
    assert event["activity_id"] in own["activity_id"]
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert ("activity_name" in event) == (event["activity_id"] == 99)
    assert event["severity_id"] in base["severity_id"]
    assert event.get("status_id", 0) in base["status_id"]
    for profile in profiles:
        assert event.get("action_id", 0) in profile["action_id"]
        assert event.get("disposition_id", 0) in profile["disposition_id"]
    for path, rules in OCSF["objects"].items():
        ocsf_object(event, path.split("."), rules)


def ocsf_object(value, path, rules):
    if isinstance(value, list):
        for item in value:
            ocsf_object(item, path, rules)
    elif path:
        if path[0] in value:
            ocsf_object(value[path[0]], path[1:], rules)
    else:
        names = set(value)
        assert set(rules.get("required", [])) <= names <= set(rules["allowed"]), value
        assert not rules.get("at_least_one") or names & set(rules["at_least_one"]), value
        for name in names & set(rules):
            assert value[name] in rules[name]


def ocsf_members(event):
    """The entry's keys, from where they are in the event."""
    found = {"seq": event["metadata"]["sequence"], "type": event["metadata"]["event_code"],
             "time": event["metadata"]["original_time"], **event["unmapped"]}
    for path, name in {
        "status_code": "code", "status_detail": "reason", "count": "count", "actor.process.pid": "pid",
        "metadata.correlation_uid": "request_id", "actor.user.name": "caller",
        "dst_endpoint.hostname": "host", "http_request.http_method": "method",
        "http_request.url.path": "path",
    }.items():
        if path in flat(event):
            found[name] = flat(event)[path]
    if "uid" in event.get("actor", {}).get("user", {}):
        found["uid"] = int(event["actor"]["user"]["uid"])
    if "resources" in event:
        found["connection"] = event["resources"][0]["name"]
    return found


def test_ocsf_says_what_the_log_says_and_keeps_the_schema(export, lines):
    for line, event in zip(lines, log_formats.parse_json_lines(export("ocsf")), strict=True):
        entry = json.loads(line)
        ocsf_required(event)
        assert event["raw_data"] == line
        assert event["raw_data_hash"]["value"] == leaf(line)
        assert event["time"] == 1767225600123 + 1000 * (entry["seq"] % 60)
        assert ocsf_members(event) == entry
        refused = entry.get("outcome") in ("denied", "failed")
        assert event["severity_id"] == (3 if refused else 1)
        assert event.get("status_id") == (None if "outcome" not in entry else 2 if refused else 1)


def test_ocsf_classes_are_those_of_the_types(export):
    of_type = {}
    for event in log_formats.parse_json_lines(export("ocsf")):
        of_type[event["metadata"]["event_code"]] = (event["class_uid"], event["activity_id"])
    assert set(of_type) == set(types())
    assert of_type["sign"] == (6003, 99)
    assert of_type["log.export"] == (1008, 3)
    assert of_type["grant.add"] == (3004, 1)
    assert of_type["caller.disable"] == (3004, 9)
    assert of_type["vault.unseal"] == (6002, 6)
    assert of_type["token.login"] == (3002, 1)


# ECS

ECS_NAMES = {
    "@timestamp": "time", "event.sequence": "seq", "event.code": "type", "event.reason": "reason",
    "error.code": "code", "group.id": "gid", "http.request.id": "request_id",
    "http.request.method": "method", "process.pid": "pid", "rule.id": "grant", "rule.version": "grant_version",
    "service.node.name": "node", "url.domain": "host", "url.path": "path", "user.id": "uid",
    "user.name": "caller", "user.target.name": "caller",
}


def ecs_fields(event):
    fields = flat(event)
    for name, value in fields.items():
        kind = ECS["fields"].get("labels.*" if name.startswith("labels.") else name)
        assert kind is not None, name
        values = value if isinstance(value, list) else [value]
        assert all(isinstance(v, int if kind == "long" else str) for v in values), (name, value)
    assert fields["event.kind"] in ECS["event.kind"]
    assert fields["event.outcome"] in ECS["event.outcome"]
    for category in fields["event.category"]:
        assert category in ECS["event.category"]
        assert set(fields["event.type"]) <= set(ECS["expected_types"][category])
    return fields


def test_ecs_says_what_the_log_says_with_names_of_ecs(export, lines):
    for line, event in zip(lines, log_formats.parse_json_lines(export("ecs")), strict=True):
        entry = {name: str(value) for name, value in json.loads(line).items()}
        fields = ecs_fields(event)
        assert fields["event.original"] == line
        assert fields["event.hash"] == leaf(line)
        assert fields["event.action"] == entry["type"]
        found = {name[7:]: value for name, value in fields.items() if name.startswith("labels.")}
        found |= {ECS_NAMES[name]: str(value) for name, value in fields.items() if name in ECS_NAMES}
        assert found == entry
        assert fields["event.outcome"] == {
            "allowed": "success", "denied": "failure", "failed": "failure", None: "unknown",
        }[entry.get("outcome")]
