"""log report in a real browser: it opens, says nothing to the console, and its figures are true."""

import base64
import hashlib
import json
import os
import re
import stat
import subprocess
from collections import Counter

import pytest
from support import chromium
from support.credentials import EMPLOYEE_URL
from support.fake_door import FakeDoor, ok
from support.log_formats import shown

pytestmark = pytest.mark.skipif(chromium.BROWSER is None, reason="there is no chromium")

FIGURES = """Object.fromEntries([...document.querySelectorAll('[data-figure]')].map(
    e => [e.dataset.figure, Number(e.textContent.replaceAll(',', ''))]))"""
TABLE = """[...document.querySelectorAll('table[data-table="%s"] tbody tr')].map(
    row => [...row.cells].map(cell => cell.textContent))"""
CHANGES = ("seal.", "connection.", "caller.", "grant.", "admin.")


@pytest.fixture
def opened():
    pages = []

    def make(path):
        pages.append(chromium.Page(path))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


def table(page, name):
    return [[cell.strip() for cell in row] for row in page.evaluate(TABLE % name)]


def numbers(rows):
    """{name: (allowed, denied, failed)}"""
    return {row[0]: tuple(int(cell.replace(",", "")) for cell in row[1:4]) for row in rows}


def counted(entries, key):
    names = {entry[key] for entry in entries if key in entry}
    by = Counter()
    for entry in entries:
        by[entry.get(key), entry.get("outcome")] += entry.get("count", 1)
    return {str(n): tuple(by[n, o] for o in ("allowed", "denied", "failed")) for n in names}


def assert_figures(page, entries):
    signed = [e for e in entries if e["type"] == "sign"]
    read = [e for e in entries if e["type"] in ("log.read", "log.export")]
    assert page.evaluate(FIGURES) == {
        "entries": len(entries),
        "signatures": sum(e.get("count", 1) for e in signed if e["outcome"] == "allowed"),
        "denied": sum(e.get("count", 1) for e in entries if e.get("outcome") == "denied"),
        "failed": sum(e.get("count", 1) for e in entries if e.get("outcome") == "failed"),
        "changes": sum(e["type"].startswith(CHANGES) for e in entries),
        "readings": len(read),
        "gaps": sum(a["boot"] != b["boot"] for a, b in zip(entries, entries[1:])),
        "clocks": sum(e["type"] == "clock.step" for e in entries),
        "missing": 0,
    }
    assert numbers(table(page, "connection")) == counted(signed, "connection")
    assert numbers(table(page, "caller")) == counted(signed, "caller")
    assert numbers(table(page, "kind")) == counted(signed, "kind")
    assert numbers(table(page, "code")) == counted(entries, "code")
    assert numbers(table(page, "reader")) == counted(read, "uid")
    assert {n: sum(c) for n, c in numbers(table(page, "type")).items()} == Counter(e["type"] for e in entries)


def report(service, *more, name="report.html", check=True):
    file = service.base / name
    return file, service.oxvault("log", "report", "-o", file, *more, check=check)


@pytest.fixture
def busy(acme):
    """Signatures, refusals, changes and a restart."""
    for _ in range(7):
        acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL)
    acme.add_connection("other")
    for _ in range(3):
        acme.oxvault("sign", "other", "GET", EMPLOYEE_URL, check=False)
    acme.oxvault("caller", "disable", "order-exchange")
    acme.oxvault("sign", "acme", "GET", EMPLOYEE_URL, check=False)
    acme.oxvault("caller", "enable", "order-exchange")
    acme.restart()
    acme.kill_all()
    acme.start()
    return acme


def test_the_figures_on_the_page_are_those_of_the_export(busy, opened):
    file, done = report(busy)
    assert "The entries are those of the service's checkpoint." in done.stdout
    size = int(re.search(r"on (\d+) entries", done.stdout)[1])
    entries = [json.loads(l) for l in busy.oxvault("log", "export").stdout.splitlines()][:size]
    page = opened(file)
    assert page.messages == []
    assert page.requests == [f"file://{file}"]
    assert page.evaluate("document.scripts.length + document.querySelectorAll('[src],[href],link').length") == 0
    assert_figures(page, entries)
    changes = [e for e in entries if e["type"].startswith(CHANGES)]
    for row, entry in zip(table(page, "changes"), changes, strict=True):
        assert row[0] == str(entry["seq"]) and row[2:4] == [entry["type"], entry["outcome"]]
        assert row[1] == entry["time"][:19].replace("T", " ")
        assert row[4] == f"uid {os.getuid()}"
        assert entry.get("connection", "") in row[5] and entry.get("caller", "") in row[5]
    assert [row[2] for row in table(page, "unseals")] == [
        e["type"] for e in entries if e["type"].startswith(("vault.", "service."))
    ]
    assert [row[3] for row in table(page, "gaps")] == [
        "stopped", "stopped", "not stopped: killed, or the power failed",
    ]
    bars = "[...document.querySelectorAll('figure:nth-of-type(%d) svg title')].map(t => t.textContent)"
    for number, wanted in ((1, 7), (2, 4)):
        titles = page.evaluate(bars % number)
        assert sum(int(t.rsplit(": ", 1)[1].replace(",", "")) for t in titles) == wanted, titles
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().count("<script") == 0


def test_it_is_readable_in_dark_and_light_and_on_paper(busy, opened):
    page = opened(report(busy)[0])
    ground = "getComputedStyle(document.body).backgroundColor"
    text = "getComputedStyle(document.body).color"

    def brightness(color):
        return sum(int(part) for part in re.findall(r"\d+", color)[:3]) / 765

    for scheme, is_dark in (("dark", True), ("light", False)):
        page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert (brightness(page.evaluate(ground)) < 0.3) == is_dark
        assert abs(brightness(page.evaluate(ground)) - brightness(page.evaluate(text))) > 0.6
    page.ask("Emulation.setEmulatedMedia", media="print",
             features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert brightness(page.evaluate(text)) < 0.3
    paper = base64.b64decode(page.ask("Page.printToPDF")["data"])
    assert paper.startswith(b"%PDF-") and len(paper) > 10000
    page.ask("Emulation.setEmulatedMedia", media="screen")
    page.ask("Emulation.setDeviceMetricsOverride", width=420, height=800, deviceScaleFactor=1, mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 440


def test_a_part_of_the_time(busy, opened):
    entries = busy.log_entries()
    middle = entries[len(entries) // 2]["time"]
    for options, wanted in (
        (("--from", middle), [e for e in entries if e["time"] >= middle]),
        (("--to", middle), [e for e in entries if e["time"] < middle]),
    ):
        file, done = report(busy, *options, "--json")
        told = json.loads(done.stdout)
        own = [e for e in busy.log_entries()[len(entries):] if options[0] == "--from"][: told["entries"] - len(wanted)]
        assert told["entries"] == len(wanted) + len(own)
        assert told["signatures"] == sum(e["type"] == "sign" and e["outcome"] == "allowed" for e in wanted)
        assert opened(file).evaluate(FIGURES)["entries"] == told["entries"]
        entries = busy.log_entries()
    assert json.loads(report(busy, "--to", "2020-01-01", "--json")[1].stdout)["entries"] == 0
    assert "There is no entry in this time." in (busy.base / "report.html").read_text()


def test_with_the_key_the_verdict_is_that_of_the_folder(busy, opened):
    log = busy.dir / "log"
    key = log / "genesis.vkey"
    file, done = report(busy, "--log", log, "--key", key, "--json")
    assert json.loads(done.stdout)["verdict"] == "intact"
    page = opened(file)
    verdict = page.evaluate("document.querySelector('[data-verdict]').innerText")
    assert page.evaluate("document.querySelector('[data-verdict]').dataset.verdict") == "good"
    digest = base64.b64encode(hashlib.sha256(key.read_bytes().strip()).digest()).decode().rstrip("=")
    assert f"SHA256:{digest}" in verdict
    assert (log / "origin").read_text().strip() in verdict
    copy = busy.base / "copy"
    subprocess.run(["cp", "-a", log, copy], check=True)
    segment = next((copy / "seg").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b"allowed", b"denied ", 1))
    file, done = report(busy, "--log", copy, "--key", key, check=False)
    assert (done.returncode, "The log is NOT what was written" in done.stdout) == (6, True)
    page = opened(file)
    assert page.evaluate("document.querySelector('[data-verdict]').dataset.verdict") == "bad"
    assert "byte" in page.evaluate("document.querySelector('[data-verdict]').innerText")


# What others could write into the log


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title></style><b>x", "a'b\"c&amp;d",
    "a\u202eb\u2066c\u200bd", "\u0085\u009b31m", "]]>--><!--", "é中🔑", "\\", 'x\\"y', "=1+1",
    "a" * 300, "javascript:alert(1)", "{{7*7}}",
]


def line_of(seq, **members):
    members = {"boot": "00" * 16, "epoch": 0, "mono_us": seq, "outcome": "denied", "seq": seq, "type": "sign",
               "time": f"2026-01-01T00:{seq // 60:02d}:{seq % 60:02d}.123456Z", "v": 1, **members}
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def merkle(lines):
    if len(lines) == 1:
        return hashlib.sha256(b"\0" + lines[0].encode()).digest()
    half = 1 << (len(lines) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle(lines[:half]) + merkle(lines[half:])).digest()


@pytest.fixture
def played(build, tmp_path):
    """played(lines) -> the command's end and the report: the log is one that this test makes up."""
    doors = []

    def run(lines, *more, size=None, root=None):
        root = root or merkle(lines[: size or len(lines)])
        note = (f"oxvault/x/y\n{size or len(lines)}\n{base64.b64encode(root).decode()}\n\n"
                f"— oxvault/x/y {base64.b64encode(bytes(68)).decode()}\n")

        def answer(target, body):
            if target.startswith("/v1/audit/checkpoint"):
                return ok(json.dumps({"checkpoint": note, "size": len(lines)}))
            return ok("".join(line + "\n" for line in lines), "application/jsonl")

        for door in doors:
            door.close()
            (tmp_path / "audit.sock").unlink()
        doors[:] = [FakeDoor(tmp_path / "audit.sock", answer)]
        file = tmp_path / "report.html"
        done = subprocess.run(
            [build.oxvault, "--run", tmp_path, "log", "report", "-o", file, *more],
            capture_output=True, text=True, check=False, timeout=60,
        )
        return done, file

    yield run
    for door in doors:
        door.close()


def test_hostile_texts_do_no_harm(played, opened):
    lines = [line_of(i, connection=t, caller=t, code=t, kind=t, reason=t, uid=1) for i, t in enumerate(HOSTILE)]
    lines += [line_of(len(HOSTILE) + i, type="grant.add", connection=t, caller=t, reason=t, code=t)
              for i, t in enumerate(HOSTILE)]
    done, file = played(lines)
    assert done.returncode == 0, done
    page = opened(file)
    assert page.messages == []
    assert page.requests == [f"file://{file}"]
    assert page.evaluate("document.querySelectorAll('script,img,b:not([data-figure])').length") == 0
    names = {row[0] for row in table(page, "connection")}
    assert names == {shown(t if len(t) < 253 else t[:252] + "...") for t in HOSTILE}
    details = [row[5] for row in table(page, "changes")]
    for text, detail in zip(HOSTILE, details, strict=True):
        assert detail.startswith(f"connection {shown(text)} caller {shown(text)} ")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u0080-\u009f\u200b]", file.read_text())


def test_many_names_and_changes_are_counted_and_the_rest_is_summed_up(played, opened):
    lines = [line_of(i, connection=f"c{i}", count=2) for i in range(60)]
    lines += [line_of(60 + i, type="caller.add", outcome="allowed", caller=f"n{i}") for i in range(520)]
    done, file = played(lines)
    page = opened(file)
    rows = numbers(table(page, "connection"))
    assert len(rows) == 26 and rows["all others"] == (0, 70, 0)
    assert page.evaluate(FIGURES)["denied"] == 120
    changes = table(page, "changes")
    assert (len(changes), changes[0][0], changes[-1][0]) == (500, "80", "579")
    assert "20 earlier ones are not shown." in page.evaluate("document.body.innerText")
    assert done.returncode == 0


def test_entries_that_are_not_those_of_the_checkpoint_are_found(played, opened):
    lines = [line_of(i) for i in range(10)]
    for made, options in (
        (lines, {"root": bytes(32)}),
        (lines[:6], {"size": 10, "root": merkle(lines)}),
        ([*lines[:4], *lines[5:]], {"size": 9, "root": merkle(lines[:9])}),
    ):
        done, file = played(made, **options)
        assert done.returncode == 6, done
        assert "The entries are NOT those of the log's checkpoint" in done.stdout
        assert opened(file).evaluate("document.querySelector('[data-verdict]').dataset.verdict") == "bad"


@pytest.mark.parametrize("line, code, says", [
    ("log report", 2, "--output FILE is needed"),
    ("log report -o x --log y", 2, "--log needs --key"),
    ("log report -o x --from yesterday", 2, "--from wants a date"),
    ("log report -o x --from 2026-02-01 --to 2026-01-01", 2, "--from must be before --to"),
    ("log report -o /nowhere/x", 1, "cannot make"),
    ("log report -o x", 8, "Start it"),
])
def test_wrong_lines(build, tmp_path, line, code, says):
    done = subprocess.run([build.oxvault, "--run", tmp_path, *line.split()], capture_output=True, text=True,
                          check=False, cwd=tmp_path)
    assert (done.returncode, says in done.stderr) == (code, True), done
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_no_entry_leaves_no_report(played):
    done, file = played([line_of(0), '{"seq":1}'], size=1)
    assert (done.returncode, "no entry of a log" in done.stderr) == (1, True), done
    assert not file.exists()
