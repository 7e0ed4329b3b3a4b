"""Epochs of the access log: when they end, what a kill leaves, and which keys are in memory."""

import json
import os

import pytest
from support import memory
from support.process import process, wait_until
from support.root_key import log_start, open_key_file, ratchet, root_key

STEPS = ("next_key", "final", "renamed", "durable")


def epochs_ended(service):
    return [entry["seq"] for entry in service.log_entries() if entry["type"] == "log.epoch"]


def entry_before_last_epoch(service):
    entries = service.log_entries()
    return entries[epochs_ended(service)[-1] - 1]


def current_epoch(service):
    return int.from_bytes((service.dir / "log/epoch.key").read_bytes()[9:17], "big")


def test_an_unseal_and_each_change_of_seals_and_grants_end_the_epoch(service):
    before = len(epochs_ended(service))
    assert before == 1 and "vault.unseal" in [e["type"] for e in service.log_entries()[:3]]
    service.furnish()
    assert len(epochs_ended(service)) == before + 1  # the grant; no connection, no caller
    assert entry_before_last_epoch(service)["type"] == "grant.add"
    grant = service.oxvault_json("grant", "list")["grants"][0]["id"]
    service.oxvault("grant", "remove", grant)
    assert entry_before_last_epoch(service)["type"] == "grant.remove"
    service.oxvault("seal", "add", "keyfile", "--keyfile", service.base / "more.key",
                    "--existing-keyfile", service.secret_file)
    assert entry_before_last_epoch(service)["type"] == "seal.add"
    seal = service.oxvault_json("seal", "list")["seals"][-1]["id"]
    service.oxvault("seal", "remove", seal)
    assert entry_before_last_epoch(service)["type"] == "seal.remove"
    assert len(epochs_ended(service)) == before + 4 == current_epoch(service)
    service.restart()
    assert len(epochs_ended(service)) == before + 5
    service.verify_log()


def test_rotate_key_ends_the_epoch_and_says_who_asked(service):
    epoch = current_epoch(service)
    assert service.oxvault_json("log", "rotate-key") == {"ended_epoch": epoch, "epoch": epoch + 1}
    entry = entry_before_last_epoch(service)
    assert (entry["type"], entry["uid"], entry["door"]) == ("log.rotate", os.getuid(), "admin")
    assert entry["epoch"] == epoch and entry["outcome"] == "allowed"
    assert "a new epoch has begun" in service.oxvault("log", "rotate-key").stdout
    assert current_epoch(service) == epoch + 2
    info = service.audit.get("/v1/audit/info").json
    assert info["epoch"] == epoch + 2
    service.verify_log()


def test_signatures_go_on_over_many_epochs(acme):
    url = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/41"
    for _ in range(5):
        assert acme.sign_oauth1(url).status == 200
        acme.oxvault("log", "rotate-key")
    epochs = [e["epoch"] for e in acme.log_entries() if e["type"] == "sign"]
    assert len(epochs) == 5 == len(set(epochs))
    acme.verify_log()


def test_the_log_names_its_log_key_once_and_checkpoints_have_both_lines(service):
    service.restart()
    named = [entry for entry in service.log_entries() if entry["type"] == "log.key"]
    assert len(named) == 1
    origin = (service.dir / "log/origin").read_text().strip()
    assert named[0]["log_key"].startswith(f"{origin}+")
    log_key = service.base / "log.vkey"
    log_key.write_text(named[0]["log_key"] + "\n")
    kept = service.base / "kept"
    kept.write_text(service.oxvault("log", "checkpoint").stdout)
    assert kept.read_text().count(f"\u2014 {origin} ") == 2
    service.stop()
    closed = (service.dir / "log/checkpoint").read_text()
    assert closed.count(f"\u2014 {origin} ") == 2
    assert int(closed.split("\n")[1]) == len(service.log_entries())
    verify = ("log", "verify", "--log", service.dir / "log", "--key",
              service.dir / "log/genesis.vkey", "--checkpoint")
    for saved in (kept, service.dir / "log/checkpoint"):
        assert "It contains the checkpoint that was kept" in service.oxvault(*verify, saved).stdout


def test_a_proof_is_checked_by_the_log_key_or_by_the_epochs(service):
    entries = service.log_entries()
    log_key = next(e["log_key"] for e in entries if e["type"] == "log.key")
    epoch_key = [e["next_key"] for e in entries if e["type"] == "log.epoch"][-1]
    proof = service.base / "proof"
    service.oxvault("log", "prove", "1", "-o", proof)
    for number, key in enumerate((log_key, epoch_key)):
        file = service.base / f"{number}.vkey"
        file.write_text(key + "\n")
        done = service.oxvault("log", "verify", "--proof", proof, "--key", file)
        assert "The proof holds" in done.stdout
    old = service.oxvault("log", "verify", "--proof", proof, "--key",
                          service.dir / "log/genesis.vkey", check=False)
    assert old.returncode == 6 and "not signed by this key" in old.stderr
    text = proof.read_text()
    first = text.index("\u2014 ") + len(text.split("\u2014 ")[1]) - 20
    proof.write_text(text[:first] + ("A" if text[first] != "A" else "B") + text[first + 1:])
    keys = [service.base / "0.vkey", service.base / "1.vkey"]
    codes = [service.oxvault("log", "verify", "--proof", proof, "--key", key, check=False).returncode
             for key in keys]
    assert sorted(codes) == [0, 6]  # one line is damaged, and only its key can tell


def dead(pid):
    found = process(pid)
    return found is None or found.state in "ZX"


@pytest.mark.hooks
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_of_a_rotation_the_log_goes_on(make_service, hooks_build, step):
    """The unseal's own rotation is the first; the keeper that comes after the kill lives."""
    service = make_service(hooks_build)
    service.init()
    service.start(environment={"OXV_HOOK": f"log.epoch.{step}:2"})
    keeper, epoch = service.keeper_pid, current_epoch(service)
    assert service.oxvault("log", "rotate-key", check=False).returncode != 0
    wait_until(lambda: dead(keeper), 10.0, f"the keeper's end at {step}")
    wait_until(lambda: service.oxvault("log", "rotate-key", check=False).returncode == 0, 10.0,
               "the next keeper")
    names = {path.name for path in (service.dir / "log").iterdir()}
    assert not {name for name in names if name.startswith("epoch.key.")}
    ended = epoch + (0 if step == "next_key" else 1)
    assert current_epoch(service) == ended + 2  # by its unseal, and by the command
    service.verify_log()
    service.stop()
    assert open_key_file((service.dir / "log/epoch.key").read_bytes(),
                         log_start(service))[0] == ended + 2


@pytest.mark.root
@pytest.mark.plain
def test_neither_the_root_key_nor_the_start_of_the_ratchet_is_in_memory(make_service):
    service = make_service(users="none", options=["--secret-memory", "sodium"])
    service.init()
    root, start = root_key(service), log_start(service)
    service.start()
    service.furnish()
    service.oxvault("log", "rotate-key")
    epoch, seed = open_key_file((service.dir / "log/epoch.key").read_bytes(), start)
    needles = {"root key": root, "start": start, "key of this file": ratchet(start, epoch + 1),
               "epoch key": seed}
    needles |= {f"w({step})": ratchet(start, step) for step in range(1, epoch + 1)}
    names, size = memory.find_in_process(service.keeper_pid, needles)
    assert size > 1_000_000
    assert names == {"key of this file", "epoch key"}  # the control: what it needs is found
    assert json.loads(service.oxvault("status", "--json").stdout)["state"] == "open"
