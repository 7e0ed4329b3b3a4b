"""Log first, then the database, then the answer (design.md 5.2): killed or failing in between."""

import json
import os
import shutil

import pytest
from support.credentials import EMPLOYEE_URL
from support.process import wait_until
from support.service import StartFailed, private_file

pytestmark = pytest.mark.hooks


@pytest.fixture
def at_hook(make_service, hooks_build):
    """at_hook("name:1") -> a service whose first keeper stops at that point of its first change."""

    def make(hook):
        service = make_service(hooks_build)
        service.init()
        service.start(environment={"OXV_HOOK": hook})
        return service

    return make


def change_entries(service):
    return [(e["type"], e.get("cfg")) for e in service.log_entries()
            if e["type"].startswith(("change.", "caller."))]


def wait_for_new_keeper(service, old):
    wait_until(lambda: service.pids("keeper") not in ([], [old]), 20, "a new keeper")
    wait_until(lambda: service.oxvault("status", check=False).returncode == 0, 20, "its doors")


def callers(service):
    return [c["name"] for c in service.oxvault_json("caller", "list")["callers"]]


@pytest.mark.parametrize("hook", ["keeper.before_change_commit:1",
                                  "keeper.before_change_commit:fail:1"])
def test_a_change_that_was_logged_but_not_made_is_undone(at_hook, hook):
    service = at_hook(hook)
    old = service.keeper_pid
    assert service.oxvault("caller", "add", "a", "--uid", 1, check=False).returncode != 0
    wait_for_new_keeper(service, old)
    assert callers(service) == []
    assert change_entries(service) == [("caller.add", 2), ("change.undone", 2)]
    service.oxvault("caller", "add", "a", "--uid", 1)
    assert callers(service) == ["a"]
    service.restart()
    assert callers(service) == ["a"]
    service.verify_log()


def test_a_change_that_was_made_but_not_answered_stands(at_hook):
    service = at_hook("keeper.after_change_commit:1")
    old = service.keeper_pid
    assert service.oxvault("caller", "add", "a", "--uid", 1, check=False).returncode != 0
    wait_for_new_keeper(service, old)
    assert callers(service) == ["a"]
    assert change_entries(service) == [("caller.add", 2), ("change.done", 2)]
    service.verify_log()


def copy_database(service, to):
    to.mkdir()
    for file in service.dir.glob("vault.db*"):
        shutil.copy2(file, to)


def put_back(service, saved):
    for file in service.dir.glob("vault.db*"):
        file.unlink()
    for file in saved.iterdir():
        shutil.copy2(file, service.dir)


def test_yesterdays_database_beside_todays_log_is_refused(make_service, hooks_build):
    service = make_service(hooks_build)
    service.init()
    service.start()
    service.oxvault("caller", "add", "a", "--uid", 1)
    service.stop()
    copy_database(service, service.base / "yesterday")
    service.start()
    service.oxvault("caller", "add", "b", "--uid", 2)
    service.stop()
    put_back(service, service.base / "yesterday")
    with pytest.raises(StartFailed) as refusal:
        service.start()
    assert refusal.value.code == 6
    assert "2" in refusal.value.stderr and "3" in refusal.value.stderr, "both counters are named"


def test_a_database_copied_without_its_wal_is_refused(make_service, hooks_build):
    service = make_service(hooks_build)
    service.init()
    service.start()
    service.oxvault("caller", "add", "a", "--uid", 1)
    service.oxvault("caller", "add", "b", "--uid", 2)
    assert (service.dir / "vault.db-wal").stat().st_size > 0
    main_file = (service.dir / "vault.db").read_bytes()
    service.kill_all()
    (service.dir / "vault.db").write_bytes(main_file)
    (service.dir / "vault.db-wal").unlink()
    with pytest.raises(StartFailed) as refusal:
        service.start()
    assert refusal.value.code in (1, 6)
    assert "vault" in refusal.value.stderr


def test_doctor_finds_a_page_that_is_not_locked(make_service, hooks_build):
    """A check that cannot fail is none: one page is deliberately unlocked."""
    service = make_service(hooks_build, options=["--secret-memory", "sodium"])
    service.init()
    service.start(environment={"OXV_HOOK": "doctor.unlock_page:fail:2"})
    assert service.oxvault("doctor").returncode == 0
    answer = service.oxvault("doctor", "--json", check=False)
    assert answer.returncode == 1
    failed = [c for c in json.loads(answer.stdout)["checks"] if not c["ok"]]
    assert [c["name"] for c in failed] == ["memory locked"]
    assert "1 pages not locked" in failed[0]["detail"]


def test_a_broken_log_stops_signing_until_a_restart(at_hook):
    """No answer, no second try, and lock and unseal do not open it again (fsyncgate)."""
    service = at_hook("log.before_sync:fail:12")
    service.furnish()
    codes = []
    while not codes or codes[-1] != "log_unavailable":
        answer = service.sign_oauth1(EMPLOYEE_URL)
        codes.append("signed" if answer.status == 200 else answer.code)
        assert len(codes) < 20, codes
    assert service.sign.get("/v1/health").json["state"] == "failed"
    assert service.sign_oauth1(EMPLOYEE_URL).code == "log_unavailable"
    service.oxvault("lock", check=False)
    assert service.oxvault("unseal", "--keyfile", service.secret_file, check=False).returncode == 1
    signed = codes.count("signed")
    service.stop()
    service.start()
    assert service.sign_oauth1(EMPLOYEE_URL).status == 200
    in_log = [e for e in service.log_entries() if e["type"] == "sign"]
    assert len(in_log) in (signed + 1, signed + 2), "the one whose sync failed may be there"
    service.verify_log()


def test_a_second_passphrase_opens_without_a_word_of_the_first(make_service, hooks_build):
    service = make_service(hooks_build, seal="passphrase")
    service.init()
    service.start()
    second = private_file(service.base / "second", "another passphrase\n")
    service.oxvault("seal", "add", "passphrase", "--passphrase-file", second,
                    "--existing-passphrase-file", service.secret_file)
    service.stop()
    service.secret_file = second
    service.start()
    unseals = [(e["outcome"], e.get("code")) for e in service.log_entries()
               if e["type"] == "vault.unseal"]
    assert unseals == [("allowed", None), ("allowed", None)]


@pytest.mark.parametrize("name", ["vault.db-journal", "vault.db-wal"])
def test_a_fifo_beside_the_database_is_refused_at_once(make_service, hooks_build, name):
    service = make_service(hooks_build)
    service.init()
    (service.dir / name).unlink(missing_ok=True)
    os.mkfifo(service.dir / name)
    with pytest.raises(StartFailed) as refusal:
        service.start()
    assert f"{name} is not a regular file" in refusal.value.stderr


def test_a_vault_directory_that_others_can_write_to_is_refused(make_service, hooks_build):
    service = make_service(hooks_build)
    service.init()
    service.dir.chmod(0o770)
    with pytest.raises(StartFailed) as refusal:
        service.start()
    assert "chmod 700" in refusal.value.stderr
