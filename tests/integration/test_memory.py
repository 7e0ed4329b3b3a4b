"""The vault has signing keys, never secrets (design 5.3), and shows keys to nobody (5.4)."""

import base64
import hashlib
import hmac
import secrets

import pytest
from support import memory
from support.credentials import A1, EMPLOYEE_URL, Credentials

MEMORIES = ("auto", "sodium")
pytestmark = [pytest.mark.root, pytest.mark.plain]


@pytest.fixture(params=[(m, u) for m in MEMORIES for u in ("none", "roles")], ids="-".join)
def used(make_service, request):
    """A service that has imported, signed and reread everything since its last start."""
    secret_memory, users = request.param
    service = make_service(users=users, options=["--secret-memory", secret_memory])
    service.init()
    service.start()
    service.marker = f"marker-{secrets.token_hex(12)}"
    service.furnish()
    service.add_connection(service.marker)
    use(service)
    return service


def use(service):
    for _ in range(20):
        assert service.sign_oauth1(EMPLOYEE_URL).status == 200
        assert service.sign.post("/v1/sign/token-passport", {"connection": "acme"}).status == 200
    service.sign.get("/v1/connections")


def scan(service, needles):
    """{role: needles found}, after a check that every process was readable at all."""
    found = {}
    for one in service.processes:
        names, size = memory.find_in_process(one.pid, needles)
        assert size > 1_000_000, f"only {size} bytes of {one} could be read"
        found.setdefault(one.role, set()).update(names)
    assert {"supervisor", "keeper", "frontend"} <= set(found)
    return found


def test_the_two_secrets_are_in_no_process_and_in_no_file(used):
    needles = memory.secret_needles(A1)
    assert memory.find_below(used.base, needles) == {}
    assert not any(scan(used, needles).values())
    used.restart()
    use(used)
    assert not any(scan(used, needles).values())


def test_the_signing_key_and_the_seals_secret_are_nowhere_between_uses(used):
    needles = {**memory.key_needles(A1), "key file": used.secret_file.read_bytes()}
    assert not any(scan(used, needles).values())
    used.restart()
    use(used)
    assert not any(scan(used, needles).values())
    del needles["key file"]
    assert memory.find_below(used.base, needles) == {}


def test_the_scan_finds_a_planted_marker_in_memory_and_in_files(used):
    """The positive control: public values of the same import."""
    needles = {"marker": used.marker.encode(), "consumer key": A1.consumer_key.encode()}
    assert scan(used, needles)["keeper"] == set(needles)
    assert set(memory.find_below(used.dir, needles)) == set(needles)


def test_the_scan_looks_for_the_right_key(acme):
    """K0 as the scan computes it makes the same signature as the service."""
    answer = acme.sign.post("/v1/sign/token-passport", {"connection": "acme"}).json
    base = "&".join(
        str(answer[name]) for name in ("account", "consumer_key", "token", "nonce", "timestamp")
    )
    mac = hmac.new(memory.signing_key(A1), base.encode(), hashlib.sha256).digest()
    assert answer["signature"]["value"] == base64.b64encode(mac).decode()


def test_a_connection_with_keep_secrets_is_the_only_one_whose_secrets_are_sealed(service):
    """Even kept, they lie in no file in clear and are not in memory between uses."""
    other = Credentials(A1.account, A1.consumer_key, secrets.token_hex(32), A1.token,
                        secrets.token_hex(32))
    service.add_connection("kept", other, "--keep-secrets")
    needles = memory.secret_needles(other)
    assert memory.find_below(service.base, needles) == {}
    assert not any(scan(service, needles).values())
