"""The stand-in of the demo refuses what NetSuite refuses (netsuite.md 1.2): it is a real judge."""

import json
import subprocess
import sys
import time

import pytest
from oauthlib.oauth1 import Client
from support import oauth
from support.credentials import A1, EMPLOYEE_URL
from support.netsuite_standin import CLOCK_SECONDS, Judge, Refused
from support.process import Deadline

NOW = 1_700_000_000


def judge():
    return Judge(A1.account, A1.consumer_key, A1.token, A1.secrets, clock=lambda: NOW)


def header(url=EMPLOYEE_URL, **changes):
    options = {
        "client_secret": A1.consumer_secret,
        "resource_owner_key": A1.token,
        "resource_owner_secret": A1.token_secret,
        "realm": A1.account,
        "signature_method": "HMAC-SHA256",
        "timestamp": str(NOW),
        **changes,
    }
    return Client(A1.consumer_key, **options).sign(url)[1]["Authorization"]


def test_a_signature_of_oauthlib_is_accepted_once_and_its_replay_refused():
    one, signed = judge(), header()
    one.check_header(signed, "GET", EMPLOYEE_URL)
    with pytest.raises(Refused, match="NonceUsed"):
        one.check_header(signed, "GET", EMPLOYEE_URL)


@pytest.mark.parametrize("offset", [-CLOCK_SECONDS - 1, CLOCK_SECONDS + 1])
def test_a_clock_off_by_more_than_five_minutes_is_refused(offset):
    with pytest.raises(Refused, match="InvalidTimestamp"):
        judge().check_header(header(timestamp=str(NOW + offset)), "GET", EMPLOYEE_URL)


@pytest.mark.parametrize("offset", [-CLOCK_SECONDS, CLOCK_SECONDS])
def test_a_clock_off_by_five_minutes_is_accepted(offset):
    judge().check_header(header(timestamp=str(NOW + offset)), "GET", EMPLOYEE_URL)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"client_secret": A1.consumer_secret[:-1] + "0"}, "InvalidSignature"),
        ({"resource_owner_key": "0" * 64}, "TokenRejected"),
        ({"realm": "123457"}, "realm"),
        ({"signature_method": "HMAC-SHA1"}, "UnknownAlgorithm"),
        ({"nonce": "short"}, "NonceRejected"),
    ],
)
def test_what_netsuite_refuses_is_refused(changes, reason):
    with pytest.raises(Refused, match=reason):
        judge().check_header(header(**changes), "GET", EMPLOYEE_URL)


def test_a_signature_for_another_url_or_method_is_refused():
    for method, url in [("POST", EMPLOYEE_URL), ("GET", EMPLOYEE_URL + "1")]:
        with pytest.raises(Refused, match="InvalidSignature"):
            judge().check_header(header(), method, url)


def test_a_passport_is_accepted_once_and_refused_where_a_field_differs():
    fields = {
        "account": A1.account, "consumerKey": A1.consumer_key, "token": A1.token,
        "nonce": "fjaLirsIcCGVZWzBX0pg", "timestamp": str(NOW),
    }
    fields["signature"] = oauth.passport_signature(
        A1.account, A1.consumer_key, A1.token, fields["nonce"], fields["timestamp"], A1.secrets
    )
    one = judge()
    one.check_passport(fields)
    with pytest.raises(Refused, match="NonceUsed"):
        one.check_passport(fields)
    with pytest.raises(Refused, match="InvalidSignature"):
        one.check_passport({**fields, "nonce": "fjaLirsIcCGVZWzBX0pq"})


def test_over_https_with_curl_as_the_demo_does(tmp_path):
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps(A1.secrets))
    program = sys.modules[Judge.__module__].__file__
    with subprocess.Popen(
        [sys.executable, program, "--dir", tmp_path, "--account", A1.account, "--consumer-key",
         A1.consumer_key, "--token", A1.token, "--secrets-file", secrets],
        stdout=subprocess.PIPE, text=True,
    ) as standin:
        try:
            port = standin.stdout.readline().split()[1]
            deadline = Deadline(10)

            def curl(authorization):
                return subprocess.run(
                    ["curl", "-sS", "--max-time", str(deadline.left), "--cacert",
                     tmp_path / "ca.pem", "--connect-to", f"::127.0.0.1:{port}", "-w",
                     "\n%{http_code}", "-H", f"Authorization: {authorization}", EMPLOYEE_URL],
                    check=True, capture_output=True, text=True,
                ).stdout.split("\n")

            signed = header(timestamp=str(int(time.time())))
            assert curl(signed) == ['{"id": "40", "entityId": "Ada Lovelace"}', "200"]
            assert curl(signed)[1] == "401"
        finally:
            standin.terminate()
