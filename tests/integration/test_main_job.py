"""The main job, end to end, by the exact commands of issue 2 section 7."""

import json
import os
import re
import subprocess

import pytest
from support import oauth
from support.backends import BACKENDS, every_backend, parameters
from support.credentials import A1, EMPLOYEE_URL
from support.service import private_file

PATHS = ("--path", "/services/**", "--path", "/app/site/hosting/**")
KINDS = "oauth1,token-passport,connect-password"


# What seals the vault does not matter to a token, so that is varied without one only.
every_job = pytest.mark.parametrize(
    "seal, backend",
    [parameters("software", "passphrase"), *(parameters(name, "keyfile") for name in BACKENDS)],
    indirect=["backend"],
)


@pytest.fixture
def job(make_service, seal):
    """init and oxvaultd; nothing imported yet."""
    service = make_service(seal=seal)
    service.printed_by_init = service.init()
    service.start()
    return service


def set_up(service):
    """Import, caller and grant as the issue writes them."""
    secrets = private_file(service.base / "S.json", json.dumps(A1.secrets))
    service.oxvault(
        "connection", "add", "acme", "--system", "netsuite", "--account-id", A1.account,
        "--consumer-key", A1.consumer_key, "--token-id", A1.token, "--secrets-file", secrets,
        *service.key_place(A1),
    )
    secrets.unlink()
    service.oxvault("caller", "add", "order-exchange", "--uid", os.getuid())
    service.oxvault(
        "grant", "add", "order-exchange", "acme", "--kind", KINDS, "--method", "GET,POST", *PATHS,
        "--rate", "1000/s",
    )


def curl(service, body, path="/v1/sign/oauth1"):
    """The command of "Done when"."""
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", service.socket("sign"), "--json", json.dumps(body),
         "-w", "\n%{http_code}", f"http://localhost{path}"],
        check=True, capture_output=True, text=True,
    )
    answer, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(answer)


@every_job
def test_from_init_to_a_header_that_oauthlib_accepts(job):
    set_up(job)
    status, answer = curl(job, {"connection": "acme", "method": "GET", "url": EMPLOYEE_URL})
    assert status == 200, answer
    assert answer["authorization"].startswith('OAuth realm="123456", ')
    assert oauth.verifies(answer["authorization"], "GET", EMPLOYEE_URL, A1.secrets)
    given = oauth.header_parameters(answer["authorization"])
    assert given["oauth_nonce"] == answer["nonce"]
    assert given["oauth_timestamp"] == str(answer["timestamp"])
    assert given["oauth_version"] == "1.0"
    assert re.fullmatch(r"[A-Za-z0-9]{32}", answer["nonce"])
    assert answer["log"]["origin"] == (job.dir / "log/origin").read_text().strip()


@every_job
def test_the_command_prints_a_header_that_oauthlib_accepts(job):
    set_up(job)
    printed = job.oxvault("sign", "acme", "GET", EMPLOYEE_URL).stdout
    name, value = printed.rstrip("\n").split(": ", 1)
    assert name == "Authorization"
    assert value.startswith('OAuth realm="123456", ')
    assert oauth.verifies(value, "GET", EMPLOYEE_URL, A1.secrets)


@every_job
def test_every_signature_is_in_the_verified_log_at_the_index_of_its_answer(job):
    set_up(job)
    answers = [
        curl(job, {"connection": "acme", "method": "GET", "url": f"{EMPLOYEE_URL}{i}"})[1]
        for i in range(5)
    ]
    exported = job.base / "log.jsonl"
    job.oxvault("log", "export", "--format", "jsonl", "-o", exported)
    job.verify_log()
    entries = {}
    for line in exported.read_text().splitlines():
        entry = json.loads(line)
        if "commit" not in entry:
            entries[entry["seq"]] = entry
    for answer in answers:
        entry = entries[answer["log"]["index"]]
        signature = oauth.header_parameters(answer["authorization"])["oauth_signature"]
        assert entry["type"] == "sign" and entry["outcome"] == "allowed"
        assert entry["nonce"] == answer["nonce"] and entry["ts"] == answer["timestamp"]
        assert entry["connection"] == "acme" and entry["caller"] == "order-exchange"
        assert entry["uid"] == os.getuid() and entry["kind"] == "oauth1"
        assert entry["sig_hash"] == oauth.signature_hash(signature)


@every_job
def test_the_log_holds_neither_secrets_nor_signatures_nor_query_strings(job):
    set_up(job)
    url = EMPLOYEE_URL + "?expandSubResources=sentinel4711"
    answer = curl(job, {"connection": "acme", "method": "GET", "url": url})[1]
    signature = oauth.header_parameters(answer["authorization"])["oauth_signature"]
    text = b"".join(p.read_bytes() for p in (job.dir / "log").rglob("*") if p.is_file()).decode(
        errors="replace"
    )
    assert answer["nonce"] in text
    for never in (A1.consumer_secret, A1.token_secret, signature, "sentinel4711"):
        assert never not in text


@every_job
def test_a_token_passport_and_a_connect_password_verify(job):
    set_up(job)
    status, passport = curl(job, {"connection": "acme"}, "/v1/sign/token-passport")
    assert status == 200, passport
    wanted = oauth.passport_signature(
        passport["account"], passport["consumer_key"], passport["token"], passport["nonce"],
        passport["timestamp"], A1.secrets,
    )
    assert passport["signature"] == {"algorithm": "HMAC-SHA256", "value": wanted}
    assert f">{wanted}<" in passport["xml"]

    status, answer = curl(job, {"connection": "acme"}, "/v1/sign/connect-password")
    assert status == 200, answer
    *fields, signature, algorithm = answer["password"].split("&")
    assert answer["user"] == "TBA" and algorithm == "HMAC-SHA256"
    assert fields[:3] == [A1.account, A1.consumer_key, A1.token]
    assert signature == oauth.passport_signature(*fields, A1.secrets)


@every_backend
@pytest.mark.parametrize(
    "body, status, code",
    [
        ({"method": "DELETE"}, 403, "url_not_allowed"),
        ({"url": "https://123456.suitetalk.api.netsuite.com/other/x"}, 403, "url_not_allowed"),
        ({"url": "https://123457.suitetalk.api.netsuite.com/services/x"}, 403, "url_not_allowed"),
        ({"connection": "unheard-of"}, 403, "no_grant"),
        ({"url": "https://123456.suitetalk.api.netsuite.com/services/a b"}, 422, "unprocessable"),
    ],
)
def test_outside_the_grant_nothing_is_signed_and_the_log_says_so(acme, body, status, code):
    good = {"connection": "acme", "method": "GET", "url": EMPLOYEE_URL}
    got, problem = curl(acme, {**good, **body})
    assert (got, problem["code"]) == (status, code)
    assert problem["type"] == f"urn:oxvault:error:{code}" and "authorization" not in problem
    refusals = [entry for entry in acme.log_entries() if entry.get("code") == code]
    assert len(refusals) == 1
    assert refusals[0]["type"] == "sign" and refusals[0]["outcome"] in ("denied", "failed")


def test_order_exchange_reads_its_settings_from_the_connection(acme):
    answer = acme.sign.get("/v1/connections/acme")
    assert answer.status == 200
    assert answer.json["account_id"] == A1.account
    assert answer.json["consumer_key"] == A1.consumer_key
    assert answer.json["token_id"] == A1.token
    assert A1.consumer_secret not in answer.body.decode()


def test_status_speaks_json_and_says_open(acme):
    status = acme.oxvault_json("status")
    assert status["state"] == "open"
    assert status["connection_count"] == 1 and [c["key"] for c in status["connections"]] == ["in vault"]
    assert status["grants"] == 1 and status["callers"] == 1


def test_a_sealed_service_is_opened_by_the_passphrase_and_then_signs(make_service):
    service = make_service(seal="passphrase", source=False)
    service.init()
    service.start()
    problem = service.sign_oauth1(EMPLOYEE_URL)
    assert (problem.status, problem.code) == (503, "sealed")
    wrong = private_file(service.base / "wrong", "not this one\n")
    assert service.oxvault("unseal", "--passphrase-file", wrong, check=False).returncode == 4
    service.oxvault("unseal", "--passphrase-file", service.secret_file)
    set_up(service)
    status, answer = curl(service, {"connection": "acme", "method": "GET", "url": EMPLOYEE_URL})
    assert status == 200
    assert oauth.verifies(answer["authorization"], "GET", EMPLOYEE_URL, A1.secrets)


def test_a_second_seal_by_key_file_opens_the_vault_too(make_service):
    service = make_service(seal="passphrase")
    service.init()
    service.start()
    set_up(service)
    keyfile = service.base / "second-key"
    service.oxvault(
        "seal", "add", "keyfile", "--keyfile", keyfile, input=service.secret_file.read_text()
    )
    assert keyfile.stat().st_size == 32 and keyfile.stat().st_mode & 0o777 == 0o600
    service.stop()
    service.seal, service.secret_file = "keyfile", keyfile
    service.start()
    status, answer = curl(service, {"connection": "acme", "method": "GET", "url": EMPLOYEE_URL})
    assert status == 200
    assert oauth.verifies(answer["authorization"], "GET", EMPLOYEE_URL, A1.secrets)


@every_backend
def test_after_a_restart_everything_is_as_it_was(acme):
    before = acme.sign.get("/v1/connections").json
    assert acme.stop() == 0
    acme.start()
    assert acme.sign.get("/v1/connections").json == before
    answer = acme.sign_oauth1(EMPLOYEE_URL).json
    assert oauth.verifies(answer["authorization"], "GET", EMPLOYEE_URL, A1.secrets)
    acme.verify_log()


def test_one_flipped_byte_in_a_copy_of_the_log_is_found(acme):
    acme.sign_oauth1(EMPLOYEE_URL)
    copy = acme.base / "copy"
    subprocess.run(["cp", "-r", acme.dir / "log", copy], check=True)
    key = acme.dir / "log/genesis.vkey"
    acme.oxvault("log", "verify", "--log", copy, "--key", key)
    segment = copy / "seg/000000000000.jsonl"
    data = bytearray(segment.read_bytes())
    data[data.index(b'"acme"') + 1] ^= 1
    segment.write_bytes(data)
    done = acme.oxvault("log", "verify", "--log", copy, "--key", key, check=False)
    assert done.returncode == 6
    assert "byte" in done.stdout + done.stderr
