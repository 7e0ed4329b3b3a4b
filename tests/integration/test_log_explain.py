"""log explain and log reconcile: what is behind a signature, and what NetSuite saw beside the log."""

import base64
import csv
import datetime
import hashlib
import json
import os
import subprocess
import urllib.parse

import pytest
from support.credentials import EMPLOYEE_URL

DONE, FAILED, USAGE, NOT_FOUND, VERIFY, UNREACHABLE = 0, 1, 2, 5, 6, 8


def explain(service, *more, check=False):
    return service.oxvault("log", "explain", *more, check=check)


@pytest.fixture
def signed(acme):
    """A service, and the answer to one of three requests."""
    answers = [acme.sign_oauth1(EMPLOYEE_URL).json for _ in range(3)]
    return acme, answers[1]


def parameters(answer):
    pairs = (part.strip().split("=", 1) for part in answer["authorization"].removeprefix("OAuth ").split(","))
    return {name: value.strip('"') for name, value in pairs}


def test_a_signature_is_found_by_what_one_has_of_it(signed):
    service, answer = signed
    told = parameters(answer)
    index = str(answer["log"]["index"])
    plain = urllib.parse.unquote(told["oauth_signature"])
    for option, value in (
        ("--signature", plain), ("--signature", told["oauth_signature"]),
        ("--signature", answer["authorization"]), ("--nonce", answer["nonce"]), ("--index", index),
    ):
        done = explain(service, option, value, "--json", check=True)
        found = json.loads(done.stdout)
        assert found["entry"]["seq"] == answer["log"]["index"], option
        assert found["entry"]["sig_hash"] == hashlib.sha256(base64.b64decode(plain)).hexdigest()
        assert found["entry"]["caller"] == "order-exchange"
        added = found["grant_added"]
        assert (added["type"], added["grant"], added["uid"]) == ("grant.add", found["entry"]["grant"], os.getuid())
        assert found["grant_removed"] is None
    done = explain(service, "--nonce", answer["nonce"])
    assert f"Entry {index} of the log:" in done.stdout
    assert f"Its proof: oxvault log prove {index}" in done.stdout
    assert "which was looked at, was given by:" in done.stdout


def test_a_grant_that_is_gone_is_named_too(signed):
    service, answer = signed
    service.oxvault("grant", "remove", "1")
    found = json.loads(explain(service, "--nonce", answer["nonce"], "--json").stdout)
    assert found["grant_removed"]["type"] == "grant.remove"
    assert found["grant_removed"]["grant"] == found["grant_added"]["grant"] == 1
    assert "It was taken away by:" in explain(service, "--nonce", answer["nonce"]).stdout


def test_an_entry_without_a_grant_has_none(signed):
    service, _ = signed
    found = json.loads(explain(service, "--index", "0", "--json").stdout)
    assert found["entry"]["type"] == "log.genesis"
    assert (found["grant_added"], found["grant_removed"]) == (None, None)


@pytest.mark.parametrize("line, code, says", [
    ("", USAGE, "one of --signature, --nonce and --index is needed"),
    ("--nonce a --index 1", USAGE, "one of --signature, --nonce and --index is needed"),
    ("--index 1x", USAGE, "--index wants the number of an entry"),
    ("--signature AAA", USAGE, "--signature wants a signature in base64"),
    ("--signature AAA%2", USAGE, "--signature wants a signature in base64"),
    ("--signature AAAA", NOT_FOUND, "this vault did not sign it"),
    ("--nonce nobody", NOT_FOUND, "this vault did not sign it"),
    ("--index 999999", NOT_FOUND, "the log has no such entry yet"),
])
def test_what_is_not_there_and_wrong_lines(signed, line, code, says):
    done = explain(signed[0], *line.split())
    assert (done.returncode, says in done.stderr) == (code, True), done


# reconcile


TITLES = ["Date", "User", "IP Address", "Status", "Detail", "Token-based Access Token Name",
          "Token-based Application Name"]


def stamp(time, seconds=True):
    text = time.strftime(f"%m/%d/%Y %I:%M{':%S' if seconds else ''} %p").lower()
    return "/".join(part.lstrip("0") for part in text.split("/"))


def trail(service, rows, titles=None, name="trail.csv"):
    file = service.base / name
    with open(file, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerow(titles or TITLES)
        writer.writerows(rows)
    return file


def login(time, status="Success", detail="", token="OE token", user="integration@example.com", **options):
    return [time if isinstance(time, str) else stamp(time, **options), user, "192.0.2.7", status, detail,
            token, "Order Exchange"]


def reconcile(service, file, *more):
    return service.oxvault("log", "reconcile", file, *more, check=False)


def sign_times(service):
    return [datetime.datetime.fromisoformat(e["time"].replace("Z", "+00:00"))
            for e in service.log_entries() if e["type"] == "sign" and e["outcome"] == "allowed"]


def lines_of(rows):
    return [row["line"] for row in rows]


def test_logins_with_signatures_pass(signed):
    service, _ = signed
    file = trail(service, [login(t) for t in sign_times(service)])
    done = reconcile(service, file)
    assert done.returncode == DONE, done
    assert done.stdout.startswith("3 logins by token, 3 signatures in that time; 0 logins without")


def test_a_login_more_than_signatures_is_found(signed):
    service, _ = signed
    times = sign_times(service)
    rows = [login(t, seconds=False) for t in times] + [login(times[-1] + datetime.timedelta(seconds=90))]
    file = trail(service, rows)
    done = reconcile(service, file, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["logins"], told["signatures"]) == (VERIFY, 4, 3)
    assert lines_of(told["without_signature"]) == [5]
    assert told["without_signature"][0]["ip"] == "192.0.2.7"
    assert "a secret is used outside the vault" in reconcile(service, file).stdout


def test_a_login_too_far_from_every_signature_is_found(signed):
    service, _ = signed
    last = sign_times(service)[-1]
    for distance, code in ((-290, DONE), (290, DONE), (-320, VERIFY), (320, VERIFY)):
        file = trail(service, [login(last + datetime.timedelta(seconds=distance))])
        assert reconcile(service, file).returncode == code, distance
    file = trail(service, [login(last + datetime.timedelta(seconds=320))])
    assert reconcile(service, file, "--window", "600").returncode == DONE
    assert reconcile(service, trail(service, [login("1/2/2020 3:04 am")])).returncode == VERIFY


def test_a_token_belongs_to_a_connection(signed):
    service, _ = signed
    file = trail(service, [login(sign_times(service)[0])])
    assert reconcile(service, file, "--token", "OE token=acme").returncode == DONE
    assert reconcile(service, file, "--token", "OE token=other").returncode == VERIFY
    assert reconcile(service, file, "--token", "another=other").returncode == DONE


def test_refused_logins_have_their_likely_cause(signed):
    service, _ = signed
    time = sign_times(service)[0]
    far = time + datetime.timedelta(days=1)
    file = trail(service, [
        login(time, "Failure", "InvalidTimestamp"), login(time, "Failure", "token_rejected"),
        login(far, "Failure", "InvalidSignature"), login(time, "Failure", "what is that?"),
    ])
    done = reconcile(service, file, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["without_signature"]) == (DONE, [])
    by_line = {row["line"]: row for row in told["refused"]}
    assert "clock is wrong" in by_line[2]["cause"]
    assert "revoked" in by_line[3]["cause"]
    assert "wrong secret" in by_line[4]["cause"] and by_line[4]["signed"] is False
    assert "not known" in by_line[5]["cause"]
    assert "not signed by this vault" in reconcile(service, file).stdout


def test_other_rows_columns_and_forms_of_dates(signed):
    service, _ = signed
    time = sign_times(service)[0]
    file = trail(service, [login(time), login(time, token=""), login("nonsense", token="")])
    told = json.loads(reconcile(service, file, "--json").stdout)
    assert (told["logins"], told["other_rows"]) == (1, 2)
    west = time.astimezone(datetime.timezone(datetime.timedelta(hours=-8)))
    for text, options in (
        (time.strftime("%d.%m.%Y %H:%M:%S"), ("--date-order", "dmy")),
        (time.strftime("%Y-%m-%d %H:%M:%S"), ("--date-order", "ymd")),
        (time.strftime("%Y-%m-%dT%H:%M:%SZ"), ()),
        (stamp(west), ("--utc-offset", "-08:00")),
    ):
        file = trail(service, [login(text)])
        assert reconcile(service, file, *options).returncode == DONE, text
    file = trail(service, [login(stamp(west))])
    assert reconcile(service, file).returncode == VERIFY
    titles = ["Datum", "Benutzer", *TITLES[2:]]
    file = trail(service, [login(time)], titles)
    assert reconcile(service, file, "--column", "date=Datum", "--column", "user=Benutzer").returncode == DONE
    assert 'there is no column "Date"' in reconcile(service, file).stderr


def test_hostile_cells_do_no_harm(signed):
    service, _ = signed
    row = login("1/2/2020 3:04 am", user="a\u202eb\x1b[31m\u0085", token='"; rm -rf /')
    done = reconcile(service, trail(service, [row]))
    assert done.returncode == VERIFY
    assert not set("\x1b\u202e\u0085") & set(done.stdout)
    told = json.loads(reconcile(service, trail(service, [row]), "--json").stdout)
    assert told["without_signature"][0]["user"] == row[1]
    assert told["without_signature"][0]["token"] == row[5]


@pytest.mark.parametrize("text, options, code, says", [
    ("", (), FAILED, "the file is empty"),
    ("Date\n1/1/2026 1:00 am\n", (), FAILED, 'there is no column "User"'),
    ("Date,User\nx,y\n", (), FAILED, "line 2: this is no time"),
    ("Date,User\n2/30/2026 1:00 am,y\n", (), FAILED, "line 2: this is no time"),
    ("Date,User\n13:00 1/1/2026,y\n", (), FAILED, "line 2: this is no time"),
    ("Date,User\n1/1/2026 13:00 pm,y\n", (), FAILED, "line 2: this is no time"),
    ("Date,User\na\n", (), FAILED, "line 2: it has 1 cells, the titles are 2"),
    ('Date,User\n"1/1/2026 1:00 am,y\n', (), FAILED, "a quote is not closed"),
    ("Date,User\n", ("--date-order", "xyz"), USAGE, "--date-order is mdy, dmy or ymd"),
    ("Date,User\n", ("--utc-offset", "west"), USAGE, "--utc-offset wants an offset"),
    ("Date,User\n", ("--window", "5m"), USAGE, "--window wants seconds"),
    ("Date,User\n", ("--column", "when=Date"), USAGE, "--column wants FIELD=TITLE"),
    ("Date,User\n", ("--column", "date="), USAGE, "--column wants FIELD=TITLE"),
    ("Date,User\n", ("--token", "x"), USAGE, "--token wants"),
    ("Date,User\n1/1/2026 1:00 am,y\n", (), UNREACHABLE, "Start it"),
    (None, (), NOT_FOUND, "cannot open"),
])
def test_what_is_no_audit_trail_is_refused(build, tmp_path, text, options, code, says):
    file = tmp_path / "trail.csv"
    if text is not None:
        file.write_text(text)
    done = subprocess.run([build.oxvault, "--run", tmp_path / "r", "log", "reconcile", file, *options],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, says in done.stderr) == (code, True), done
