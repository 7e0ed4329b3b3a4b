"""
A key that a token unwraps is in no process of ours, nor are the secrets it is made of (issue 3,
4.3). SoftHSM computes in its own process: there the helper is the token, and may have the key.
"""

import pwd
import secrets
import time

import pytest
from support import memory, oauth
from support.credentials import A1, EMPLOYEE_URL, Credentials
from support.process import wait_until
from support.token_service import TokenService
from support.tokens import SoftHsm

pytestmark = [pytest.mark.root, pytest.mark.plain]

SIGNATURES = 1_000
SCANS = 5  # of each role, at least, during each of the three
SECONDS = 40.0
ROLES = {"supervisor", "keeper", "frontend", "token"}


@pytest.fixture(params=[("auto", "none"), ("sodium", "none"), ("sodium", "roles")], ids="-".join)
def service(build, request):
    """A vault that opens by key file; the PIN of the token is given at the start."""
    secret_memory, users = request.param
    owner = pwd.getpwnam("oxvault-token").pw_uid if users == "roles" else None
    with SoftHsm(pin=f"pin-{secrets.token_hex(12)}", owner=owner) as token:
        made = TokenService(build, token, seal="keyfile", users=users,
                            options=["--secret-memory", secret_memory])
        made.init()
        made.start()
        yield made
        print(f"--- stderr of {made.base}\n{made.stderr}")
        made.remove()


@pytest.fixture
def credentials():
    """Secrets that nothing on this machine has seen before."""
    return Credentials(A1.account, A1.consumer_key, secrets.token_hex(32), A1.token,
                       secrets.token_hex(32))


def add(service, credentials, name):
    service.add_token_connection(name, credentials)
    service.add_grant("order-exchange", name)
    shown = service.oxvault_json("connection", "show", name)
    assert (shown["key"], shown["key_form"]) == ("in token", "unwrap")


def sign(service, credentials, name="hsm1"):
    answer = service.sign_oauth1(EMPLOYEE_URL, connection=name)
    assert answer.status == 200, answer
    assert oauth.verifies(answer.json["authorization"], "GET", EMPLOYEE_URL, credentials.secrets)


def keep_on(watch, action, times):
    """Does it so often, and on until the scan has been through often enough meanwhile."""
    before, deadline = watch.scans.copy(), time.monotonic() + SECONDS
    done = 0
    while done < times or any(watch.scans[role] - before[role] < SCANS for role in ROLES):
        assert time.monotonic() < deadline, (done, before, watch.scans)
        assert watch.failure is None
        done += 1
        action(done)


def needles_of(service, credentials):
    secret = memory.secret_needles(credentials)
    key = memory.key_needles(credentials)
    return secret, key, {"PIN": service.token.pin.encode()}


def live(service, credentials, watch):
    """Imports, starts and signs, and all of it is watched."""
    service.add_caller()
    keep_on(watch, lambda n: add(service, credentials, f"hsm{n}"), 5)

    def start_again(_):
        before = watch.scans.copy()
        service.restart()
        sign(service, credentials)
        wait_until(lambda: all(watch.scans[role] > before[role] for role in ROLES), SECONDS)

    keep_on(watch, start_again, 3)
    keep_on(watch, lambda _: sign(service, credentials), SIGNATURES)


def test_key_secrets_and_pin_stay_where_they_belong(service, credentials):
    secret, key, pin = needles_of(service, credentials)
    public = {"consumer key": A1.consumer_key.encode()}
    with memory.Watch(service, {**secret, **key, **pin, **public}) as watch:
        live(service, credentials, watch)
    for one in service.processes:  # and once more all that can be read
        watch.found[one.role] |= memory.find_in_process(one.pid, {**secret, **key, **pin})[0]
    assert set(watch.found) == ROLES
    assert "consumer key" in watch.found["keeper"]  # the scan sees what an import brings
    print(watch.found, watch.scans)
    may_have = {"supervisor": set(), "frontend": {*public}, "keeper": {*public, "PIN"},
                "token": {*public, "PIN", *key}}
    assert {role: found - may_have[role] for role, found in watch.found.items()} == {
        role: set() for role in ROLES}
    assert memory.find_below(service.dir, public).keys() == public.keys()
    needles = {**secret, **key, **pin}
    for directory in (service.base, service.token.tokens):
        assert memory.find_below(directory, needles) == {}
    assert service.stop() == 0
    for directory in (service.base, service.token.tokens):
        assert memory.find_below(directory, needles) == {}
    service.verify_log()


def test_the_scan_finds_what_is_planted_in_each_process(service, credentials):
    """The positive control: with one of them anywhere, the test above fails."""
    secret, key, pin = needles_of(service, credentials)
    needles = {**secret, **key, **pin}
    service.add_caller()
    add(service, credentials, "hsm1")
    for one in service.processes:
        memory.plant(one.pid, b"|".join(needles.values()))
    with memory.Watch(service, needles) as watch:
        keep_on(watch, lambda _: sign(service, credentials), 1)
    assert watch.found == {role: set(needles) for role in ROLES}
    (service.dir / "planted").write_bytes(key["K0"])
    assert memory.find_below(service.dir, needles) == {"K0": [str(service.dir / "planted")]}
