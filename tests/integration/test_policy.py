"""What a grant lets through and what not, wherever the key is (R15): every rule, every backend."""

import pytest
from support import oauth
from support.backends import every_backend
from support.credentials import A1, EMPLOYEE_URL
from support.process import wait_until

HOST = "https://123456.suitetalk.api.netsuite.com"
KINDS = ("oauth1", "token-passport", "connect-password")
pytestmark = every_backend


@pytest.fixture
def granted(service):
    """granted(words) -> the service, whose one caller has this grant of connection acme alone."""
    service.add_connection()
    service.add_caller()

    def grant(*words):
        for old in service.oxvault_json("grant", "list")["grants"]:
            service.oxvault("grant", "remove", old["id"])
        if words:
            service.oxvault("grant", "add", "order-exchange", "acme", *words)
        return service

    return grant


def outcome(service, url=EMPLOYEE_URL, method="GET", **members):
    """"signed", after a look at the signature, or the code; the log must say the same."""
    answer = service.sign_oauth1(url, method=method, **members)
    entry = [e for e in service.log_entries() if e["type"] == "sign"][-1]
    if answer.status == 200:
        assert oauth.verifies(answer.json["authorization"], method, url, A1.secrets, **members)
        assert (entry["outcome"], entry["nonce"]) == ("allowed", answer.json["nonce"])
        return "signed"
    assert "authorization" not in answer.json
    assert (entry["outcome"], entry["code"]) == ("denied", answer.code)
    return answer.code


def test_methods(granted):
    service = granted("--kind", "oauth1", "--path", "/services/**", "--method", "GET,PATCH")
    wanted = {"GET": "signed", "PATCH": "signed", "get": "signed", "POST": "url_not_allowed",
              "DELETE": "url_not_allowed", "X-GET": "url_not_allowed"}
    assert {method: outcome(service, method=method) for method in wanted} == wanted


def test_paths(granted):
    service = granted("--kind", "oauth1", "--path", "/services/*/v1", "--path", "/app/**")
    wanted = {
        "/services/rest/v1": "signed",
        "/services/rest/v1?a=b": "signed",
        "/app/site/hosting/restlet.nl": "signed",
        "/services/rest/v1/more": "url_not_allowed",
        "/services/rest/deep/v1": "url_not_allowed",
        "/services/rest/v2": "url_not_allowed",
        "/Services/rest/v1": "url_not_allowed",
        "/": "url_not_allowed",
        "/app/../services/rest/v2": "url_not_allowed",
        "/app/%2e%2e/x": "url_not_allowed",
    }
    assert {path: outcome(service, HOST + path) for path in wanted} == wanted


def test_origins(granted):
    service = granted("--kind", "oauth1", "--path", "/**")
    wanted = {
        f"{HOST}/services/x": "signed",
        "https://123456.app.netsuite.com/x": "signed",
        "http://123456.suitetalk.api.netsuite.com/services/x": "url_not_allowed",
        f"{HOST}:8443/services/x": "url_not_allowed",
        "https://1234567.suitetalk.api.netsuite.com/x": "url_not_allowed",
        "https://123456.suitetalk.api.netsuite.com.example.org/x": "url_not_allowed",
    }
    assert {url: outcome(service, url) for url in wanted} == wanted


def test_fixed_query_parameters(granted):
    service = granted("--kind", "oauth1", "--path", "/app/**", "--query", "script=508,deploy=1")
    wanted = {
        "script=508&deploy=1": "signed",
        "deploy=1&script=508&more=x": "signed",
        "script=508": "url_not_allowed",
        "script=509&deploy=1": "url_not_allowed",
        "script=508&script=509&deploy=1": "url_not_allowed",
        "": "url_not_allowed",
    }
    url = f"{HOST}/app/site/hosting/restlet.nl"
    assert {q: outcome(service, f"{url}?{q}") for q in wanted} == wanted
    fixed = f"{url}?script=508&deploy=1"
    assert outcome(service, fixed, "POST", form=[["a", "b"]]) == "signed"
    assert outcome(service, fixed, "POST", form=[["script", "509"]]) == "url_not_allowed"


def test_kinds(granted):
    for granted_kind in KINDS:
        paths = ("--path", "/**") if granted_kind == "oauth1" else ()
        service = granted("--kind", granted_kind, *paths)
        for kind in KINDS:
            body = {"connection": "acme"}
            if kind == "oauth1":
                body |= {"method": "GET", "url": EMPLOYEE_URL}
            answer = service.sign.post(f"/v1/sign/{kind}", body)
            assert answer.status == (200 if kind == granted_kind else 403), (granted_kind, kind)
            assert answer.status == 200 or answer.code == "no_grant"


def test_times(granted):
    words = ("--kind", "oauth1", "--path", "/**")
    wanted = {
        ("--not-before", "2020-01-01", "--not-after", "+1d"): "signed",
        ("--not-before", "2999-01-01"): "no_grant",
        ("--not-after", "2020-01-01"): "no_grant",
    }
    assert {times: outcome(granted(*words, *times)) for times in wanted} == wanted


def test_two_grants_are_one_or_the_other(granted):
    service = granted("--kind", "oauth1", "--path", "/a", "--method", "GET")
    service.oxvault("grant", "add", "order-exchange", "acme", "--kind", "oauth1", "--path", "/b",
                    "--method", "POST")
    wanted = {("/a", "GET"): "signed", ("/b", "POST"): "signed", ("/a", "POST"): "url_not_allowed",
              ("/b", "GET"): "url_not_allowed"}
    assert {w: outcome(service, HOST + w[0], w[1]) for w in wanted} == wanted


def test_a_rate_refuses_and_fills_up_again(granted):
    service = granted("--kind", "oauth1", "--path", "/**", "--rate", "2/s")
    url = f"{HOST}/services/x"
    got = [outcome(service, url) for _ in range(2)]
    assert "signed" in got
    body = {"kind": "oauth1", "connection": "acme", "method": "GET", "url": url}
    answer = service.sign.post("/v1/sign/batch", {"requests": [body] * 50})
    codes = {item.get("code", "signed") for item in answer.json["responses"]}
    assert "rate_limited" in codes
    wait_until(lambda: outcome(service, url) == "signed", 5, "a token of the bucket")


def test_what_is_taken_away_is_refused_at_once(granted):
    everything = ("--kind", "oauth1", "--path", "/**")
    service = granted(*everything)
    assert outcome(service) == "signed"
    granted()
    assert outcome(service) == "no_grant"
    granted(*everything)
    assert outcome(service) == "signed"
    service.oxvault("caller", "disable", "order-exchange")
    assert service.sign_oauth1(EMPLOYEE_URL).code == "unknown_caller"
    service.oxvault("caller", "enable", "order-exchange")
    assert outcome(service) == "signed"
    service.oxvault("connection", "remove", "acme")
    assert service.sign_oauth1(EMPLOYEE_URL).code == "no_grant"
    service.verify_log()


def test_a_locked_vault_signs_nothing(granted):
    service = granted("--kind", "oauth1", "--path", "/**")
    assert outcome(service) == "signed"
    service.oxvault("lock")
    service.close_doors()
    answer = service.sign_oauth1(EMPLOYEE_URL)
    assert (answer.status, answer.code) == (503, "sealed")
