"""backup, restore, adopt: a copy is a node of its own, and no log is continued twice."""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import threading

import pytest
from support.credentials import EMPLOYEE_URL
from support.process import wait_until
from support.service import StartFailed, private_file

FAILED, USAGE, LOCKED, VERIFY, UNREACHABLE = 1, 2, 4, 6, 8


def backup(service, name="backup", *more):
    file = service.base / name
    service.oxvault("backup", "-o", file, *more)
    return file


def key(service):
    return "--keyfile", service.secret_file


class Copy:
    """A second service over a directory of the first one's base."""

    def __init__(self, make_service, service, directory="restored"):
        self.service = make_service(service.build)
        shutil.rmtree(self.service.base / "vault", ignore_errors=True)
        self.service.secret_file = service.secret_file
        self.service.dir = service.base / directory


@pytest.fixture
def copy_of(make_service):
    return lambda service, directory="restored": Copy(make_service, service, directory).service


def restore(service, file, directory="restored", check=True, **options):
    return service.oxvault("restore", file, "--dir", service.base / directory, *key(service),
                           *service.users, check=check, **options)


def adopt(service, check=True, directory=None, **options):
    return service.oxvault("adopt", "--dir", directory or service.dir, *key(service),
                           *service.users, check=check, **options)


def test_what_was_backed_up_signs_again_in_a_log_of_its_own(acme, copy_of):
    assert acme.sign_oauth1(EMPLOYEE_URL).status == 200
    file = backup(acme)
    assert file.stat().st_mode & 0o777 == 0o600
    said = restore(acme, file).stdout
    copied = copy_of(acme)
    vkey = (copied.dir / "log/genesis.vkey").read_text().strip()
    assert vkey in said and vkey != (acme.dir / "log/genesis.vkey").read_text().strip()
    acme.stop()
    copied.start()
    answer = copied.sign_oauth1(EMPLOYEE_URL)
    assert answer.status == 200
    old = (acme.dir / "log/origin").read_text().strip()
    assert answer.json["log"]["origin"].split("/")[1] == old.split("/")[1], "the same vault"
    assert answer.json["log"]["origin"] != old, "another node"
    first, second = copied.log_entries()[:2]
    assert first["type"] == "log.genesis" and second["type"] == "vault.restore"
    assert second["old_origin"] == old
    entries = acme.log_entries()
    made = [e for e in entries if e["type"] == "vault.backup"]
    assert [e["uid"] for e in made] == [os.getuid()]
    assert second["old_size"] <= made[0]["seq"], "the head is from before"
    copied.verify_log()
    acme.verify_log()


def test_backup_asks_before_it_replaces(acme):
    file = backup(acme)
    before = file.read_bytes()
    done = acme.oxvault("backup", "-o", file, check=False)
    assert done.returncode == FAILED and "--force" in done.stderr
    assert file.read_bytes() == before
    backup(acme, "backup", "--force")
    assert file.read_bytes() != before
    assert acme.oxvault("backup", check=False).returncode == USAGE


def test_the_backup_is_in_the_log_before_a_byte_of_it_leaves(acme):
    begun = acme.admin.post("/v1/admin/backups", {})
    assert begun.status == 200
    assert [e["type"] for e in acme.log_entries()][-1] == "vault.backup"
    path = f"/v1/admin/backups/{begun.json['session']}/next"
    pieces = []
    while not pieces or not pieces[-1]["last"]:
        pieces.append(acme.admin.post(path, {}).json)
        assert pieces[-1]["piece"] == len(pieces) - 1
    assert acme.admin.post(path, {}).status == 404, "it was given"


def test_signing_and_changes_go_on_while_a_backup_is_made(acme, copy_of):
    begun = acme.admin.post("/v1/admin/backups", {}).json
    acme.oxvault("caller", "add", "later", "--uid", 60001)
    acme.oxvault("connection", "remove", "acme")
    data = b""
    last = False
    while not last:
        piece = acme.admin.post(f"/v1/admin/backups/{begun['session']}/next", {}).json
        data += base64.b64decode(piece["data"])
        last = piece["last"]
    file = private_file(acme.base / "taken", data)
    restore(acme, file)
    copied = copy_of(acme)
    acme.stop()
    copied.start()
    assert [c["name"] for c in copied.oxvault_json("connection", "list")["connections"]] == ["acme"]
    assert "later" not in json.dumps(copied.oxvault_json("caller", "list"))
    assert copied.sign_oauth1(EMPLOYEE_URL).status == 200


def test_a_wrong_or_missing_secret_restores_nothing(acme):
    file = backup(acme)
    wrong = private_file(acme.base / "wrong", secrets.token_bytes(32))
    new = acme.base / "restored"
    done = acme.oxvault("restore", file, "--dir", new, "--keyfile", wrong, *acme.users, check=False)
    assert done.returncode == LOCKED and "wrong key file" in done.stderr
    assert not new.exists()
    phrase = private_file(acme.base / "phrase", "not it\n")
    done = acme.oxvault("restore", file, "--dir", new, "--passphrase-file", phrase, *acme.users,
                        check=False)
    assert done.returncode == LOCKED and "no passphrase seal" in done.stderr
    assert not new.exists()


def test_a_passphrase_that_was_added_opens_the_backup(acme):
    phrase = private_file(acme.base / "phrase", "correct horse\n")
    wrong = private_file(acme.base / "wrong", "wrong horse\n")
    acme.oxvault("seal", "add", "passphrase", "--passphrase-file", phrase,
                 "--existing-keyfile", acme.secret_file)
    file = backup(acme)
    new = acme.base / "restored"
    done = acme.oxvault("restore", file, "--dir", new, "--passphrase-file", wrong, *acme.users,
                        check=False)
    assert done.returncode == LOCKED and "wrong passphrase" in done.stderr
    acme.oxvault("restore", file, "--dir", new, "--passphrase-file", phrase, *acme.users)


def test_a_damaged_backup_is_refused_and_leaves_nothing(acme):
    file = backup(acme)
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:200], whole + b"x", b"", b"no backup at all" * 20,
                    whole[:-50] + bytes([whole[-50] ^ 1]) + whole[-49:]):
        bad = acme.base / f"bad-{secrets.token_hex(4)}"
        bad.write_bytes(damaged)
        done = restore(acme, bad, check=False)
        assert done.returncode == VERIFY, done
        assert "backup" in done.stderr
        assert not (acme.base / "restored").exists()


def test_restore_makes_no_second_vault_in_a_directory(acme):
    file = backup(acme)
    restore(acme, file)
    done = restore(acme, file, check=False)
    assert done.returncode == FAILED and "not empty" in done.stderr


def test_twice_restored_are_two_nodes(acme):
    file = backup(acme)
    origins = set()
    for i in range(2):
        restore(acme, file, f"r{i}")
        origins.add((acme.base / f"r{i}/log/origin").read_text())
    assert len(origins) == 2


def test_a_backup_of_a_sealed_vault_is_refused(acme):
    acme.oxvault("lock")
    done = acme.oxvault("backup", "-o", acme.base / "b", check=False)
    assert done.returncode == LOCKED
    assert not (acme.base / "b").exists() and not list(acme.base.glob("b.*"))


def test_a_full_disk_leaves_no_half_of_a_backup(acme):
    done = acme.oxvault("backup", "-o", "/dev/full/x", check=False)
    assert done.returncode == FAILED
    limited = subprocess.run(
        ["bash", "-c", f"ulimit -f 1; trap '' XFSZ; exec {acme.build.oxvault} --run {acme.run} "
                       f"backup -o {acme.base}/big"],
        capture_output=True, text=True, check=False)
    size = backup(acme, "small").stat().st_size
    if size > 1024:
        assert limited.returncode == FAILED and "cannot write the backup" in limited.stderr
        assert not list(acme.base.glob("big*"))


def test_several_pieces_with_signing_meanwhile(acme, copy_of):
    lines = "\n".join(json.dumps({
        "name": f"c{i}", "system": "netsuite", "account_id": "123456",
        "consumer_key": secrets.token_hex(32), "token_id": secrets.token_hex(32),
        "consumer_secret": secrets.token_hex(32), "token_secret": secrets.token_hex(32),
    }) for i in range(300))
    acme.oxvault("connection", "import", private_file(acme.base / "many", lines + "\n"))
    failures = []
    stop = threading.Event()

    def sign():
        with acme.door("sign") as door:
            while not stop.is_set():
                if acme.sign_oauth1(EMPLOYEE_URL, door=door).status != 200:
                    failures.append(1)

    signer = threading.Thread(target=sign)
    signer.start()
    try:
        file = backup(acme)
    finally:
        stop.set()
        signer.join()
    assert not failures and file.stat().st_size > 100_000
    said = restore(acme, file)
    assert said.returncode == 0
    copied = copy_of(acme)
    acme.stop()
    copied.start()
    assert len(copied.oxvault_json("connection", "list")["connections"]) == 301


# Moved, cloned, put back


def refusal_of(service, **options):
    with pytest.raises(StartFailed) as refusal:
        service.start(**options)
    return refusal.value


@pytest.fixture
def elsewhere(tmp_path):
    """A wrapper of commands: as on a machine with another machine-id."""
    if os.geteuid() != 0:
        pytest.skip("another machine-id needs a mount namespace, so root")
    other = tmp_path / "machine-id"
    other.write_text(secrets.token_hex(16) + "\n")
    other.chmod(0o644)
    script = tmp_path / "elsewhere"
    script.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'mount --bind {other} /etc/machine-id && '
                      f'exec "$@"\' sh "$@"\n')
    script.chmod(0o755)
    return str(script)


def run_elsewhere(elsewhere, service, *words):
    command = [elsewhere, service.build.oxvault, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})


def test_a_clone_or_moved_disk_is_refused_until_it_is_adopted(acme, elsewhere):
    acme.sign_oauth1(EMPLOYEE_URL)
    acme.stop()
    old = (acme.dir / "log/origin").read_text().strip()
    size = len(acme.log_entries())
    acme.wrapper = [elsewhere]
    refusal = refusal_of(acme)
    assert "another machine" in refusal.stderr and "oxvault adopt" in refusal.stderr
    done = run_elsewhere(elsewhere, acme, "adopt", "--dir", acme.dir, *key(acme), *acme.users)
    assert done.returncode == 0, done.stderr
    acme.start()
    assert acme.sign_oauth1(EMPLOYEE_URL).status == 200
    first, second = acme.log_entries()[:2]
    assert first["type"] == "log.genesis" and second["type"] == "vault.adopt"
    assert second["old_origin"] == old and second["old_size"] == size
    assert re.fullmatch("[0-9a-f]{64}", second["old_root"])
    acme.verify_log()
    aside = list(acme.dir.glob("log.*"))
    assert [a.name for a in aside] == [f"log.{old.split('/')[2][:8]}"]
    assert (aside[0] / "origin").read_text().strip() == old
    # and the machine it came from does not take it back
    acme.stop()
    acme.wrapper = []
    assert "oxvault adopt" in refusal_of(acme).stderr


def save(service, name, parts):
    (service.base / name).mkdir()
    for part in parts:
        for file in service.dir.glob(part):
            if file.is_dir():
                shutil.copytree(file, service.base / name / file.name)
            else:
                shutil.copy2(file, service.base / name)


def put_back(service, name, parts):
    for part in parts:
        for file in service.dir.glob(part):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    for file in (service.base / name).iterdir():
        if file.is_dir():
            shutil.copytree(file, service.dir / file.name)
        else:
            shutil.copy2(file, service.dir)


@pytest.mark.parametrize("parts", [["vault.db*"], ["log"]])
def test_a_snapshot_put_back_in_part_is_refused_until_it_is_adopted(acme, parts):
    acme.stop()
    save(acme, "yesterday", parts)
    acme.start()
    acme.oxvault("caller", "add", "b", "--uid", 60002)
    acme.oxvault("caller", "add", "c", "--uid", 60003)
    acme.stop()
    put_back(acme, "yesterday", parts)
    refusal = refusal_of(acme)
    assert refusal.code == VERIFY and "oxvault adopt" in refusal.stderr
    adopt(acme)
    acme.start()
    assert acme.sign_oauth1(EMPLOYEE_URL).status == 200
    assert acme.log_entries()[1]["type"] == "vault.adopt"
    acme.verify_log()


def test_a_cut_log_is_adopted_with_the_head_of_what_is_whole(acme):
    for _ in range(3):
        acme.sign_oauth1(EMPLOYEE_URL)
    acme.stop()
    segment = acme.dir / "log/seg/000000000000.jsonl"
    text = segment.read_bytes()
    at = text.index(b'"seq":2') + 6
    segment.write_bytes(text[:at] + b"9" + text[at + 1:])
    assert "oxvault adopt" in refusal_of(acme).stderr
    assert "put aside" in adopt(acme).stderr
    acme.start()
    entry = acme.log_entries()[1]
    assert entry["type"] == "vault.adopt" and entry["reason"] == "the old log is not whole"
    assert entry.get("old_size", 0) <= 2


def test_adopt_waits_for_no_running_service_to_lose_its_vault(acme):
    done = adopt(acme, check=False)
    assert done.returncode == FAILED and "stop it first" in done.stderr
    assert acme.sign_oauth1(EMPLOYEE_URL).status == 200


def test_adopt_with_a_wrong_secret_changes_nothing(acme):
    acme.stop()
    origin = (acme.dir / "log/origin").read_text()
    wrong = private_file(acme.base / "wrong", secrets.token_bytes(32))
    done = acme.oxvault("adopt", "--dir", acme.dir, "--keyfile", wrong, *acme.users, check=False)
    assert done.returncode == LOCKED
    assert (acme.dir / "log/origin").read_text() == origin and not list(acme.dir.glob("log.*"))
    acme.start()


# A new root key


def second_seal(service):
    phrase = private_file(service.base / "phrase", "correct horse\n")
    service.oxvault("seal", "add", "passphrase", "--passphrase-file", phrase,
                    "--existing-keyfile", service.secret_file)
    return phrase


def seals(service):
    return [s["kind"] for s in service.oxvault_json("seal", "list")["seals"]]


def test_after_a_rekey_a_removed_seal_and_an_old_copy_open_nothing_new(acme):
    phrase = second_seal(acme)
    assert "rekey" in acme.oxvault("seal", "remove", 2).stdout
    acme.stop()
    save(acme, "before", ["vault.db*"])
    acme.start()
    epoch = acme.log_entries()[-1]["epoch"]
    done = acme.oxvault_json("rekey", *key(acme))
    assert done == {"generation": 2, "seals": 1, "removed": 0}
    assert acme.sign_oauth1(EMPLOYEE_URL).status == 200
    entries = acme.log_entries()
    made = next(e for e in entries if e["type"] == "vault.rekey")
    assert made["uid"] == os.getuid() and made["cfg_digest"]
    assert any(e["type"] == "change.done" and e["cfg"] == made["cfg"] for e in entries)
    assert entries[-1]["epoch"] > epoch, "its epoch ended"
    assert not (acme.dir / "rekey.old").exists()
    acme.restart()
    assert acme.sign_oauth1(EMPLOYEE_URL).status == 200
    acme.verify_log()
    acme.stop()
    put_back(acme, "before", ["vault.db*"])
    assert refusal_of(acme).code == VERIFY
    assert phrase.exists()


def test_a_rekey_keeps_the_seals_that_are_given(acme):
    phrase = second_seal(acme)
    done = acme.oxvault("rekey", *key(acme), check=False)
    assert done.returncode == FAILED and "seal 2" in done.stderr, done.stderr
    assert "--drop-other-seals" in done.stderr and len(seals(acme)) == 2
    wrong = private_file(acme.base / "wrong", "wrong horse\n")
    done = acme.oxvault("rekey", *key(acme), "--passphrase-file", wrong, "--drop-other-seals",
                        check=False)
    assert done.returncode == LOCKED and len(seals(acme)) == 2
    acme.oxvault("rekey", *key(acme), "--passphrase-file", phrase)
    assert len(seals(acme)) == 2
    acme.restart()
    acme.oxvault("lock")
    acme.oxvault("unseal", "--passphrase-file", phrase)
    acme.oxvault("rekey", "--passphrase-file", phrase, "--drop-other-seals")
    assert seals(acme) == ["passphrase"]
    acme.stop()
    assert refusal_of(acme).code == LOCKED


def test_a_backup_before_a_rekey_is_another_vault(acme, copy_of):
    file = backup(acme)
    acme.oxvault("rekey", *key(acme))
    restore(acme, file)
    copied = copy_of(acme)
    acme.stop()
    copied.start()
    assert copied.sign_oauth1(EMPLOYEE_URL).status == 200


@pytest.mark.hooks
@pytest.mark.parametrize("hook, generation", [
    ("vault.rekey.kept", 1), ("keeper.before_change_commit", 1), ("keeper.after_change_commit", 2)])
def test_a_killed_rekey_opens_by_the_old_or_the_new_root_key(make_service, hooks_build, hook,
                                                            generation):
    service = make_service(hooks_build)
    service.init()
    service.start()
    service.furnish()
    service.restart(environment={"OXV_HOOK": f"{hook}:1"})
    old = service.keeper_pid
    assert service.oxvault("rekey", *key(service), check=False).returncode != 0
    wait_until(lambda: service.pids("keeper") not in ([], [old]), 20, "a new keeper")
    wait_until(lambda: service.oxvault("status", check=False).returncode == 0, 20, "its doors")
    assert service.sign_oauth1(EMPLOYEE_URL).status == 200
    assert not (service.dir / "rekey.old").exists()
    assert service.oxvault_json("rekey", *key(service))["generation"] == generation + 1
    service.restart()
    assert service.sign_oauth1(EMPLOYEE_URL).status == 200
    service.verify_log()
