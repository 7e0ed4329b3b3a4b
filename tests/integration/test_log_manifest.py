"""The manifest beside an export, and what log verify --manifest makes of it."""

import base64
import hashlib
import json
import shutil

import pytest
from support.credentials import EMPLOYEE_URL
from support.terminal import Terminal

DONE, FAILED, USAGE, NOT_FOUND, VERIFY = 0, 1, 2, 5, 6


def export(service, name="export.jsonl", *more):
    file = service.base / name
    service.oxvault("log", "export", "-o", file, *more)
    return file, file.with_name(file.name + ".manifest.json")


def check(service, manifest, *more):
    return service.oxvault("log", "verify", "--manifest", manifest, *more, check=False)


def with_log(service):
    return "--log", service.dir / "log", "--key", service.dir / "log/genesis.vkey"


def merkle(lines):
    """RFC 6962 section 2.1, as it stands there."""
    if len(lines) == 1:
        return hashlib.sha256(b"\0" + lines[0]).digest()
    half = 1 << (len(lines) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle(lines[:half]) + merkle(lines[half:])).digest()


def raw_entries(service):
    lines = next((service.dir / "log/seg").iterdir()).read_bytes().split(b"\0")[0].splitlines()
    return [line for line in lines if not line.startswith(b'{"commit"')]


def test_the_manifest_says_what_the_export_is(acme):
    for _ in range(5):
        acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    file, manifest = export(acme, "e.jsonl", "--type", "sign", "--since", "2h", "--connection", "acme")
    told = json.loads(manifest.read_text())
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(entries) == 5
    assert told.pop("made") > entries[-1]["time"]
    size = told.pop("size")
    assert told.pop("checkpoint").startswith(f"{told['origin']}\n{size}\n{told['root']}\n\n")
    assert base64.b64decode(told.pop("root")) == merkle(raw_entries(acme)[:size])
    assert size > entries[-1]["seq"]
    assert told == {
        "manifest": 1, "file": "e.jsonl", "format": "jsonl", "entries": 5,
        "filters": {"since": "2h", "connection": "acme", "type": "sign"},
        "first": entries[0]["seq"], "last": entries[-1]["seq"], "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "origin": (acme.dir / "log/origin").read_text().strip(),
    }
    assert manifest.stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("name", ["jsonl", "csv", "ocsf", "ecs", "cef", "leef", "rfc5424"])
def test_an_export_passes_with_and_without_the_log(acme, name):
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    file, manifest = export(acme, f"e.{name}", "--format", name)
    told = json.loads(manifest.read_text())
    records = file.read_text().splitlines()[name == "csv":]
    assert (told["entries"], told["first"], told["last"]) == (len(records), 0, len(records) - 1)
    done = check(acme, manifest)
    assert done.returncode == DONE, done
    assert "NOT checked: whether the log holds them" in done.stdout
    done = check(acme, manifest, *with_log(acme))
    assert done.returncode == DONE, done
    assert "The log is intact and has the manifest's checkpoint" in done.stdout
    assert ("to the byte.\n" in done.stdout) and (("NOT checked" in done.stdout) == (name != "jsonl"))
    done = check(acme, manifest, *with_log(acme), "--json")
    assert json.loads(done.stdout) == {
        "verdict": "intact", "entries": len(records), "log_checked": True,
        "lines_compared": name == "jsonl",
    }


def test_an_export_of_nothing_has_a_manifest_too(acme):
    file, manifest = export(acme, "none", "--caller", "nobody")
    assert file.read_bytes() == b""
    assert json.loads(manifest.read_text())["entries"] == 0
    assert check(acme, manifest, *with_log(acme)).returncode == DONE


def test_a_changed_export_is_found(acme):
    file, manifest = export(acme)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for spoilt in (whole[:-1], whole + b"\n", b"".join(lines[1:]), b"".join(lines[:-1]),
                   whole.replace(b"allowed", b"a11owed", 1), b""):
        file.write_bytes(spoilt)
        done = check(acme, manifest)
        assert done.returncode == VERIFY, spoilt
        assert "the export is NOT what its manifest says" in done.stderr
    file.unlink()
    assert check(acme, manifest).returncode == NOT_FOUND


def forged(manifest, file, members=()):
    told = json.loads(manifest.read_text())
    told |= {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), **dict(members)}
    manifest.write_text(json.dumps(told))


def test_an_export_whose_manifest_was_made_to_fit_is_found_in_the_log(acme):
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    file, manifest = export(acme)
    file.write_bytes(file.read_bytes().replace(b'"method":"GET"', b'"method":"PUT"', 1))
    forged(manifest, file)
    assert check(acme, manifest).returncode == DONE
    done = check(acme, manifest, *with_log(acme))
    assert (done.returncode, "it holds a line that is not in the log" in done.stderr) == (VERIFY, True)


def test_a_root_or_size_the_log_never_had_is_found(acme):
    file, manifest = export(acme, "start.jsonl", "--type", "service.start")
    told = json.loads(manifest.read_text())
    head = [told["origin"], str(told["size"]), told["root"]]
    for at, name, value in (
        (2, "root", base64.b64encode(bytes(32)).decode()),
        (1, "size", told["size"] - 1),
        (1, "size", told["size"] + 9),
        (0, "origin", "oxvault/other/log"),
    ):
        forged(manifest, file, {**told, name: value})
        done = check(acme, manifest, *with_log(acme))
        assert (done.returncode, "is no manifest" in done.stderr) == (FAILED, True), done
        parts = told["checkpoint"].split("\n")
        assert parts[:3] == head
        note = "\n".join([*parts[:at], str(value), *parts[at + 1 :]])
        forged(manifest, file, {**told, name: value, "checkpoint": note})
        assert check(acme, manifest).returncode == DONE
        done = check(acme, manifest, *with_log(acme))
        assert (done.returncode, "the manifest's checkpoint is none of this log" in done.stderr) == (
            VERIFY, True), done


def test_a_log_that_is_not_intact_is_no_witness(acme):
    _, manifest = export(acme)
    copy = acme.base / "copy"
    shutil.copytree(acme.dir / "log", copy)
    segment = next((copy / "seg").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b"allowed", b"denied ", 1))
    done = check(acme, manifest, "--log", copy, "--key", acme.dir / "log/genesis.vkey")
    assert (done.returncode, "the log is NOT what was written" in done.stderr) == (VERIFY, True)


@pytest.mark.parametrize("spoil, code", [
    (lambda told: {}, FAILED),
    (lambda told: {**told, "manifest": 2}, FAILED),
    (lambda told: {**told, "sha256": "ab"}, FAILED),
    (lambda told: {**told, "file": "../export.jsonl"}, FAILED),
    (lambda told: {**told, "file": "/etc/passwd"}, FAILED),
    (lambda told: {**told, "file": ".."}, FAILED),
    (lambda told: {**told, "file": ""}, FAILED),
    (lambda told: {**told, "entries": told["last"] + 2}, FAILED),
    (lambda told: {**told, "last": told["size"]}, FAILED),
    (lambda told: {**told, "root": told["root"][:-4]}, FAILED),
    (lambda told: {**told, "format": "pdf"}, VERIFY),
    (lambda told: {**told, "file": "none"}, NOT_FOUND),
])
def test_what_is_no_manifest_is_refused(acme, spoil, code):
    _, manifest = export(acme)
    manifest.write_text(json.dumps(spoil(json.loads(manifest.read_text()))))
    done = check(acme, manifest)
    assert done.returncode == code, done


def test_wrong_lines_of_manifests(acme, tmp_path):
    assert check(acme, tmp_path / "none").returncode == NOT_FOUND
    (tmp_path / "text").write_text("{")
    assert "is no manifest" in check(acme, tmp_path / "text").stderr
    done = check(acme, tmp_path / "text", "--log", acme.dir / "log")
    assert (done.returncode, "--log needs --key" in done.stderr) == (USAGE, True)


def test_an_older_manifest_does_not_outlive_its_export(acme):
    file, manifest = export(acme)
    first = manifest.read_text()
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    export(acme)
    assert manifest.read_text() != first
    assert check(acme, manifest).returncode == DONE
    assert sorted(p.name for p in acme.base.iterdir() if "tmp" in p.name) == []
    assert file.exists()


def test_a_bar_is_shown_on_a_terminal_and_nowhere_else(acme):
    file = acme.base / "bar"
    terminal = Terminal(acme.build.oxvault, "--run", acme.run, "log", "export", "-o", file)
    try:
        terminal.expect("Exporting [")
        terminal.expect("entries are in")
        terminal.wait()
        assert terminal.code == 0
    finally:
        terminal.close()
    assert acme.oxvault("log", "export", "-o", file).stderr == ""
