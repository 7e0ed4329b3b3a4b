"""200 kills under load: no released signature is lost, and no hand is needed afterwards.

100 rounds kill at a random moment, 100 at a named point of the log's commit (before the write,
between write and sync, after the sync before the answers). The victim is one process or all. Where
the supervisor dies the test starts it again, as systemd would.
"""

import os
import random
import signal
import time

import pytest
from support.load import Load, Released, not_in_log
from support.process import process, wait_until

POINTS = ("log.before_write", "log.before_sync", "log.after_sync")
VICTIMS = ("keeper", "frontend", "supervisor", "all")
ROUNDS_PER_VAULT = 25  # a short log is verified quickly

pytestmark = pytest.mark.hooks


@pytest.fixture
def loaded(make_service, hooks_build):
    """loaded() -> a furnished service under load from several threads, at rest."""
    loads = []

    def make():
        service = make_service(hooks_build)
        service.init()
        service.start()
        service.furnish()
        load = Load(service.socket("sign"))
        loads.append(load)
        return service, load

    yield make
    for load in loads:
        load.end()


def kill(service, victim, rng):
    """SIGKILL; returns the moment at which it was sent."""
    if victim == "all":
        moment = time.monotonic()
        service.kill_all()
    elif victim == "supervisor":
        moment = time.monotonic()
        os.kill(service.supervisor_pid, signal.SIGKILL)
        service.wait_for_end()
    else:
        pid = rng.choice(service.pids(victim))
        moment = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: dead(pid), 5.0, "the end of a killed process")
    return moment


def dead(pid):
    found = process(pid)
    return found is None or found.state in "ZX"


def nothing_is_lost(service, load):
    """With the load at rest: the log verifies, and tells of every signature released so far."""
    load.pause()
    service.verify_log()
    lost = not_in_log(load.released, service.log_entries())
    assert not lost, f"released but not in the log: {lost[0]} and {len(lost) - 1} more"
    assert not load.unexpected, load.unexpected[0]


@pytest.mark.parametrize("vault", range(100 // ROUNDS_PER_VAULT))
def test_killed_at_a_random_moment_nothing_released_is_lost(loaded, vault):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    service, load = loaded()
    for number in range(ROUNDS_PER_VAULT):
        load.go()
        load.wait_for(rng.randint(1, 40))
        time.sleep(rng.uniform(0, 0.003))  # anywhere within a request
        moment = kill(service, VICTIMS[number % len(VICTIMS)], rng)
        if service.daemon is None:
            service.start()
        load.wait_for_one_asked_after(moment)
        nothing_is_lost(service, load)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point_of_the_commit_nothing_released_is_lost(loaded, point):
    """The first keeper dies at its n-th commit, the one that replaces it lives."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    service, load = loaded()
    for number in range(17):
        service.stop()
        service.start(environment={"OXV_HOOK": f"{point}:{rng.randint(3, 12)}"})
        keeper = service.keeper_pid
        load.go()
        wait_until(lambda: dead(keeper), 10.0, f"the keeper's end at {point}")
        moment = time.monotonic()
        load.wait_for_one_asked_after(moment)
        nothing_is_lost(service, load)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point_with_all_others_nothing_released_is_lost(loaded, point):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    service, load = loaded()
    service.stop()
    for number in range(17):
        service.start(environment={"OXV_HOOK": f"{point}:{rng.randint(3, 12)}"})
        keeper = service.keeper_pid
        load.go()
        wait_until(lambda: dead(keeper), 10.0, f"the keeper's end at {point}")
        service.kill_all()
        moment = time.monotonic()
        service.start()
        load.wait_for_one_asked_after(moment)
        nothing_is_lost(service, load)
        service.kill_all()


def test_a_lost_signature_would_be_noticed(acme):
    """The positive control of what the rounds check."""
    answer = acme.sign_oauth1("https://123456.suitetalk.api.netsuite.com/services/x").json
    logged = next(e for e in acme.log_entries() if e.get("nonce") == answer["nonce"])
    good = Released(logged["seq"], logged["nonce"], logged["sig_hash"], 0.0)
    invented = Released(logged["seq"], logged["nonce"], "0" * 64, 0.0)
    assert not_in_log([good, invented], acme.log_entries()) == [invented]
