"""The signer against oauthlib: the same random requests, signed by both."""

import os
import re
import string
from collections import Counter
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oauthlib.oauth1 import Client
from oauthlib.oauth1.rfc5849 import signature as oauthlib_signature
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header, unescape
from support.oauth1_cases import RSA_METHODS, Case, random_cases
from support.signer_driver import sign_all

HMAC_COUNT = 20_000
RSA_COUNT = 600
FORM_TYPE = "application/x-www-form-urlencoded"
HEADER = re.compile(r'OAuth [a-z_]+="[^"]*"(, [a-z_]+="[^"]*")*')


@pytest.fixture
def seed(capsys):
    """Printed even when the test passes; OXV_SEED repeats a run."""
    value = os.environ.get("OXV_SEED") or os.urandom(8).hex()
    with capsys.disabled():
        print(f"\n[differential] OXV_SEED={value}")
    return value


def oauthlib_header(case, rsa_key=None):
    client = Client(
        case.consumer_key,
        client_secret=case.consumer_secret,
        resource_owner_key=case.token or None,
        resource_owner_secret=case.token_secret,
        signature_method=case.signature_method,
        rsa_key=rsa_key,
        nonce=case.nonce,
        timestamp=str(case.timestamp),
    )
    body = urlencode(case.form) if case.form else None
    headers = {"Content-Type": FORM_TYPE} if case.form else None
    _, signed, _ = client.sign(
        case.url, case.method, body=body, headers=headers, realm=case.realm or None
    )
    return signed["Authorization"]


def fields(header):
    return {name: unescape(value) for name, value in parse_authorization_header(header)}


def check_header(case, answer, theirs):
    """Equal but for the order; ours is fixed and its grammar strict."""
    names = ["realm"] if case.realm else []
    names += ["oauth_consumer_key"] + (["oauth_token"] if case.token else [])
    names += ["oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_version"]
    assert answer.status == "ok", (case, answer)
    assert HEADER.fullmatch(answer.header), answer.header
    assert [name for name, _ in parse_authorization_header(answer.header)] == [
        *names, "oauth_signature"], answer.header
    assert fields(answer.header) == fields(theirs), (case, answer.base_string)


def oddities(case):
    """What the test must have met to mean anything."""
    path = case.url.split("?")[0]
    query = case.url.partition("?")[2]
    names = [part.split("=")[0] for part in query.split("&") if part]
    return {
        "duplicate name": len(names) != len(set(names)),
        "empty value": query.endswith("=") or "=&" in query,
        "name without =": any("=" not in part for part in query.split("&") if part),
        "empty part": "&&" in query,
        "+": "+" in query,
        "%20": "%20" in query,
        "encoded UTF-8": re.search("%[c-fC-F][0-9a-fA-F]%[89abAB]", query),
        "! in the path": "!" in path,
        "encoded slash": re.search("%2[fF]", path),
        "~": "~" in case.url,
        "default port": re.match("(?i)(https://[^/?]*:443|http://[^/?]*:80)([/?]|$)", case.url),
        "other port": re.match(r"(?i)https://[^/?]*:8443", case.url),
        "empty port": re.match(r"(?i)https?://[^/?]*:([/?]|$)", case.url),
        "IPv6": "[" in case.url,
        "upper-case scheme": case.url[0] == "H",
        "upper-case host": any(c in string.ascii_uppercase for c in path.split("/")[2]),
        "empty path": case.url.count("/") == 2 or re.match(r"(?i)https?://[^/?]*\?", case.url),
        "form": case.form,
        "duplicate in form": len(case.form) != len({name for name, _ in case.form}),
        "no token": not case.token,
        "no realm": not case.realm,
        "lower-case method": case.method.islower(),
        case.signature_method: True,
    }


def test_20000_random_requests_are_signed_as_oauthlib_does(seed):
    cases = random_cases(seed, HMAC_COUNT)
    answers = sign_all(cases)
    met = Counter()
    assert len(answers) == HMAC_COUNT
    for case, answer in zip(cases, answers):
        check_header(case, answer, oauthlib_header(case))
        met.update(name for name, there in oddities(case).items() if there)
    rare = [name for name in oddities(cases[0]) if met[name] < HMAC_COUNT // 1000]
    assert not rare, met
    assert all(met[name] > HMAC_COUNT // 4 for name in ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512"))


def test_rsa_signatures_are_those_of_oauthlib(seed, tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path / "rsa.pem"
    file.write_bytes(pem)
    cases = random_cases(seed, RSA_COUNT, RSA_METHODS)
    answers = sign_all(cases, file)
    assert len(answers) == RSA_COUNT
    assert {case.signature_method for case in cases} == set(RSA_METHODS)
    for case, answer in zip(cases, answers):
        check_header(case, answer, oauthlib_header(case, pem.decode()))


def _case(url, **changes):
    return Case("GET", url, consumer_key="ck", token="tk", nonce="n", timestamp=1,
                consumer_secret="cs", token_secret="ts", **changes)


def _their_base_uri(url):
    return oauthlib_signature.base_string_uri(url)


def test_oauthlib_drops_the_semicolon_at_the_end_of_a_path_and_we_keep_it():
    case = _case("https://h/a;?x=1")
    (answer,) = sign_all([case])
    assert answer.base_string.startswith("GET&https%3A%2F%2Fh%2Fa%3B&")
    assert _their_base_uri(case.url) == "https://h/a"
    assert fields(answer.header) != fields(oauthlib_header(case))


def test_oauthlib_signs_a_replacement_character_for_a_bad_escape_and_we_refuse_it():
    case = _case("https://h/?x=%ff")
    (answer,) = sign_all([case])
    assert (answer.status, answer.offset) == ("format", 13)
    assert answer.reason == "escapes that are not UTF-8"
    assert oauthlib_signature.collect_parameters("x=%ff") == [("x", "\ufffd")]


def test_oauthlib_rewrites_ipv6_addresses_and_we_sign_them_as_sent():
    case = _case("https://[2001:DB8:0:0:0:0:0:1]/")
    (answer,) = sign_all([case])
    assert answer.base_string.startswith(
        "GET&https%3A%2F%2F%5B2001%3Adb8%3A0%3A0%3A0%3A0%3A0%3A1%5D%2F&")
    assert _their_base_uri(case.url) == "https://[2001:db8::1]/"


def test_a_seed_gives_the_same_cases_again():
    assert random_cases("a", 50) == random_cases("a", 50)
    assert random_cases("a", 50) != random_cases("b", 50)
