"""log verify: threads, --finals-only, --state, and a verdict that says what was not checked."""

import json
import shutil

from support.credentials import EMPLOYEE_URL

DONE, FAILED, USAGE, VERIFY = 0, 1, 2, 6


def verify(service, log, *arguments, code=DONE):
    done = service.oxvault(
        "--json", "log", "verify", "--log", log, "--key", service.base / "key", *arguments, check=False
    )
    assert done.returncode == code, done
    return json.loads(done.stdout) if done.stdout else done.stderr


def copied(service, name):
    """A copy of the log, without its key: that came another way."""
    shutil.copy(service.dir / "log/genesis.vkey", service.base / "key")
    copy = service.base / name
    shutil.copytree(service.dir / "log", copy, ignore=shutil.ignore_patterns("*.sock", "epoch.key*", "lock"))
    return copy


def sign(service, count=1):
    for _ in range(count):
        service.sign_oauth1(EMPLOYEE_URL)


def test_the_verdict_is_the_same_whatever_the_number_of_threads(acme):
    sign(acme, 20)
    log = copied(acme, "copy")
    verdicts = [verify(acme, log, "--jobs", str(jobs)) for jobs in (1, 2, 8)]
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert verdicts[0]["verdict"] == "intact"
    assert verdicts[0]["signatures"] == verdicts[0]["commits"]
    assert verdicts[0]["not_checked"] == ["saved_checkpoint", "witness"]
    assert verdicts[0]["key"].startswith("SHA256:")


def test_a_finding_is_the_same_whatever_the_number_of_threads(acme):
    sign(acme, 20)
    log = copied(acme, "copy")
    segment = log / "seg/000000000000.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"outcome":"allowed"', b'"outcome":"alloWed"', 7))
    verdicts = [verify(acme, log, "--jobs", str(jobs), code=VERIFY) for jobs in (1, 2, 8)]
    assert verdicts[0] == verdicts[1] == verdicts[2]
    [finding] = verdicts[0]["findings"]
    first = segment.read_bytes().index(b'"alloWed"')
    assert (finding["code"], finding["entry"], finding["reason"]) == ("bad_entry", 0, "an unknown outcome")
    assert finding["offset"] == first


def test_finals_only_says_that_inner_signatures_were_not_checked(acme):
    sign(acme, 5)
    log = copied(acme, "copy")
    whole = verify(acme, log)
    finals = verify(acme, log, "--finals-only")
    assert finals["root"] == whole["root"] and finals["commits"] == whole["commits"]
    assert finals["signatures"] < finals["commits"]
    assert "inner_signatures" in finals["not_checked"]
    text = acme.oxvault("log", "verify", "--log", log, "--key", acme.base / "key", "--finals-only").stdout
    assert f"NOT checked: {finals['commits'] - finals['signatures']} inner signatures" in text
    assert f"Checkpoint: size {finals['entries']}, root {finals['root']}" in text
    assert f"Key: {finals['key']} (as given)" in text


def test_a_state_is_gone_on_from_and_misses_a_log_that_was_cut(acme):
    state = acme.base / "state"
    sign(acme, 5)
    older = copied(acme, "older")
    first = verify(acme, older, "--state", state)
    assert first["resumed_from"] == 0 and state.stat().st_mode & 0o777 == 0o600
    sign(acme, 5)
    newer = copied(acme, "newer")
    second = verify(acme, newer, "--state", state)
    assert second["resumed_from"] == first["entries"]
    assert {**second, "resumed_from": 0} == verify(acme, newer)
    saved = state.read_bytes()
    cut = verify(acme, older, "--state", state, code=VERIFY)
    assert [finding["code"] for finding in cut["findings"]] == ["checkpoint_ahead"]
    assert state.read_bytes() == saved  # a finding saves nothing
    state.write_bytes(saved[:-1])
    refused = verify(acme, newer, "--state", state, code=FAILED)
    assert refused["error"]["detail"] == "the saved state was not saved by log verify, or is damaged"


def test_a_number_of_threads_is_a_number(acme):
    log = copied(acme, "copy")
    for jobs in ("0", "33", "many"):
        refused = verify(acme, log, "--jobs", jobs, code=USAGE)
        assert refused["error"]["detail"] == "--jobs takes a number from 1 to 32"
