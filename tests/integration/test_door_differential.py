"""2,000 random requests through the door, compared with oauthlib."""

import json
import os
import random
import re
import secrets
from urllib.parse import unquote_to_bytes

import pytest
from support.backends import SOFTHSM, on
from support.credentials import Credentials
from support.oauth1_cases import HMAC_METHODS, Case, random_case, random_target
from support.service import private_file
from test_differential import fields, oauthlib_header

COUNT = 2_000
BATCH = 50
ORIGINS = ("https://acme.example", "https://1234567-sb1.suitetalk.api.netsuite.com:8443",
           "https://[2001:db8::1]", "http://127.0.0.1:8080")


@pytest.fixture
def seed(capsys):
    """Printed even when the test passes; OXV_SEED repeats a run."""
    value = os.environ.get("OXV_SEED") or os.urandom(8).hex()
    with capsys.disabled():
        print(f"\n[door differential] OXV_SEED={value}")
    return value


@pytest.fixture
def connections(service):
    """{signature method: credentials}: a connection for each, named after it, all granted."""
    made = {}
    service.add_caller()
    for method in HMAC_METHODS:
        given = Credentials("Photos", f"key {method} é", secrets.token_urlsafe(9), "token/+=",
                            secrets.token_urlsafe(80))
        file = private_file(service.base / f"{method}.json", json.dumps(given.secrets))
        origins = [word for origin in ORIGINS for word in ("--origin", origin)]
        service.oxvault(
            "connection", "add", method, "--system", "oauth1", "--signature-method", method,
            "--consumer-key", given.consumer_key, "--token-id", given.token, "--realm",
            given.account, "--secrets-file", file, *origins, *service.key_place(given),
        )
        service.oxvault("grant", "add", "order-exchange", method, "--kind", "oauth1", "--path", "/**")
        made[method] = given
    return made


def spelled(rng, origin):
    """The same origin as a caller may write it: upper case, a default port."""
    scheme, rest = origin.split("://")
    if not re.search(r":\d+$", rest):
        rest += rng.choice(("", "", ":", ":443"))
    if rng.random() < 0.3:
        scheme, rest = scheme.upper(), rest.upper()
    return f"{scheme}://{rest}"


def is_refused_path(target):
    """Is it refused whatever the grant: a hidden NUL, or dots beside blanks or controls?"""
    path = unquote_to_bytes(unquote_to_bytes(target.split("?")[0]))
    parts = [part.split(b";")[0] for part in re.split(rb"[/\\]", path)]
    bare = [re.sub(rb"[\x00-\x20\x7f]", b"", part).lower() for part in parts]
    return b"\0" in path or any(b in (b".", b"..") or b.rstrip(b".") == b"rest" for b in bare)


def make_case(rng, connections):
    """A request that this service can be asked for: its own credentials, and no NUL in JSON."""
    while True:
        case = random_case(rng)
        if not any("\0" in text for pair in case.form for text in pair):
            break
    target = random_target(rng)
    while is_refused_path(target):
        target = random_target(rng)
    given = connections[case.signature_method]
    case.url = spelled(rng, rng.choice(ORIGINS)) + target
    case.realm = given.account
    case.consumer_key, case.token = given.consumer_key, given.token
    case.consumer_secret, case.token_secret = given.consumer_secret, given.token_secret
    return case


def body_of(case):
    body = {"connection": case.signature_method, "method": case.method, "url": case.url}
    if case.form:
        body["form"] = [list(pair) for pair in case.form]
    return body


def compare(case, answer):
    given = fields(answer["authorization"])
    theirs = oauthlib_header(
        Case(**{**vars(case), "nonce": answer["nonce"], "timestamp": answer["timestamp"]})
    )
    assert given == fields(theirs), case


# Not in a TPM, which gives about 300 signatures a second and knows HMAC-SHA256 only.
@on(("software", *SOFTHSM))
def test_2000_random_requests_through_the_door_are_signed_as_oauthlib_does(
    service, connections, seed
):
    rng = random.Random(seed)
    cases = [make_case(rng, connections) for _ in range(COUNT)]
    for case in cases[: COUNT // 2]:
        answer = service.sign.post("/v1/sign/oauth1", body_of(case))
        assert answer.status == 200, (case, answer)
        compare(case, answer.json)
    for start in range(COUNT // 2, COUNT, BATCH):
        batch = cases[start : start + BATCH]
        answer = service.sign.post(
            "/v1/sign/batch", {"requests": [{"kind": "oauth1", **body_of(c)} for c in batch]}
        )
        assert answer.status == 200, answer
        assert len(answer.json["responses"]) == len(batch)
        for case, one in zip(batch, answer.json["responses"]):
            assert "authorization" in one, (case, one)
            compare(case, one)
    signed = [e for e in service.log_entries() if e["type"] == "sign"]
    assert len(signed) == COUNT
    assert len({e["nonce"] for e in signed}) == COUNT
    service.verify_log()
