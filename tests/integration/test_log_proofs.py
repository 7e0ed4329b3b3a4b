"""Checkpoints and proofs of a running service, checked by code that is not ours (support/tlog.py)."""

import json
import shutil

from support import tlog
from support.credentials import EMPLOYEE_URL
from support.segments import entry_lines

DONE, FAILED, USAGE, NOT_FOUND, VERIFY = 0, 1, 2, 5, 6


def log_key(service):
    """A file with the key that signs checkpoints in every epoch."""
    named = [e["log_key"] for e in service.log_entries() if e["type"] == "log.key"]
    return save(service, "log.vkey", named[-1] + "\n")


def key_of(service):
    return tlog.Key(log_key(service).read_text())


def entries_of(service):
    """The lines as they stand in the files, without commit lines."""
    return entry_lines(service.dir / "log")


def sign(service, count=1):
    for _ in range(count):
        service.sign_oauth1(EMPLOYEE_URL)


def save(service, name, text):
    path = service.base / name
    path.write_text(text)
    return path


def verify(service, *arguments, code=DONE):
    key = log_key(service) if "--proof" in arguments else service.dir / "log/genesis.vkey"
    done = service.oxvault("log", "verify", *arguments, "--key", key, check=False)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def test_a_checkpoint_is_the_signed_head_of_what_is_durable(acme):
    for _ in range(3):
        sign(acme)
        before = len(entries_of(acme))
        checkpoint = tlog.Checkpoint(acme.oxvault("log", "checkpoint").stdout)
        assert checkpoint.is_signed_by(key_of(acme))
        assert checkpoint.origin == (acme.dir / "log/origin").read_text().strip()
        assert checkpoint.size == before
        assert checkpoint.root == tlog.root_of(entries_of(acme)[:before])


def test_asking_for_a_checkpoint_is_logged(acme):
    answer = acme.audit.get("/v1/audit/checkpoint").json
    assert tlog.Checkpoint(answer["checkpoint"]).size == answer["size"]
    last = json.loads(entries_of(acme)[answer["size"]])
    assert (last["type"], last["reason"], last["door"]) == ("log.read", "checkpoint", "audit")


def test_every_entry_is_proved_and_the_proof_holds_elsewhere(acme):
    sign(acme, 5)
    size = len(entries_of(acme))
    for index in range(size):
        text = acme.oxvault("log", "prove", str(index)).stdout
        proof = tlog.Proof(text)
        line = entries_of(acme)[index]
        assert (proof.number, proof.extra) == (index, line)
        assert proof.checkpoint.is_signed_by(key_of(acme))
        root = tlog.root_by_inclusion(
            tlog.leaf_hash(line), index, proof.checkpoint.size, proof.path)
        assert root == proof.checkpoint.root
        said = verify(acme, "--proof", save(acme, "p", text))
        assert "The proof holds:" in said and line.decode() in said
        assert "NOT checked: whether others are shown the same log" in said


def test_growth_is_proved_from_every_kept_checkpoint(acme):
    kept = []
    for _ in range(6):
        kept.append(acme.oxvault("log", "checkpoint").stdout)
        sign(acme)
    for number, note in enumerate(kept):
        old = tlog.Checkpoint(note)
        path = save(acme, f"kept-{number}", note)
        text = acme.oxvault("log", "prove", "--from", path).stdout
        proof = tlog.Proof(text)
        assert proof.number == old.size
        assert tlog.roots_by_consistency(
            old.size, proof.checkpoint.size, old.root, proof.path) == (old.root, proof.checkpoint.root)
        said = verify(acme, "--proof", save(acme, "p", text), "--checkpoint", path)
        assert f"begins with the {old.size} of the checkpoint" in said
        by_size = tlog.Proof(acme.oxvault("log", "prove", "--from", str(old.size)).stdout)
        assert by_size.number == old.size
    other = save(acme, "other", kept[0])
    said = verify(acme, "--proof", acme.base / "p", "--checkpoint", other, code=VERIFY)
    assert f"the checkpoint has {tlog.Checkpoint(kept[0]).size}" in said


def test_a_proof_with_any_byte_changed_is_refused(acme):
    text, key = acme.oxvault("log", "prove", "2").stdout, log_key(acme)
    epochs = range(text.index("\u2014"), text.rindex("\u2014"))  # that line is another key's
    for at in range(0, len(text), 7):
        changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]
        said = acme.oxvault("log", "verify", "--proof", save(acme, "p", changed), "--key", key,
                            check=False)
        assert said.returncode in (FAILED, DONE if at in epochs else VERIFY), (at, changed)


def test_a_proof_is_of_its_entry_and_of_no_other(acme):
    text = acme.oxvault("log", "prove", "2").stdout
    lines = text.splitlines(keepends=True)
    bare = save(acme, "bare", "".join(line for line in lines if not line.startswith("extra ")))
    verify(acme, "--proof", bare, code=USAGE)
    for index, line in enumerate(entries_of(acme)[:4]):
        entry = save(acme, "entry", line.decode() + "\n")
        said = verify(acme, "--proof", bare, "--entry", entry, code=DONE if index == 2 else VERIFY)
        assert ("this is not entry 2" in said) == (index != 2)
    answer = acme.oxvault("log", "verify", "--proof", bare, "--entry", save(acme, "e", entries_of(acme)[2].decode()),
                          "--key", log_key(acme), "--json").stdout
    assert json.loads(answer)["index"] == 2
    assert json.loads(answer)["entry"] == entries_of(acme)[2].decode()


def test_a_proof_under_another_key_is_refused(acme, make_service):
    other = make_service()
    other.init()
    proof = save(acme, "p", acme.oxvault("log", "prove", "0").stdout)
    done = acme.oxvault("log", "verify", "--proof", proof, "--key", other.dir / "log/genesis.vkey", check=False)
    assert done.returncode == VERIFY
    assert "of another log than the key" in done.stderr


def test_what_is_not_there_cannot_be_proved(acme):
    def refused(code, *arguments):
        done = acme.oxvault("log", "prove", *arguments, check=False)
        assert done.returncode == code, done
        assert done.stdout == ""
        return done.stderr

    size = tlog.Checkpoint(acme.oxvault("log", "checkpoint").stdout).size
    assert "no entry" in refused(NOT_FOUND, str(size + 100))
    assert "fewer than the" in refused(VERIFY, "--from", str(size + 100))
    refused(USAGE)
    refused(USAGE, "0", "--from", "1")
    refused(USAGE, "x")
    refused(USAGE, "--from", "0")
    refused(FAILED, "--from", str(acme.base / "none"))
    refused(FAILED, "--from", str(save(acme, "kept", "no note\n")))


def test_output_goes_into_files(acme):
    acme.oxvault("log", "checkpoint", "-o", acme.base / "head")
    acme.oxvault("log", "prove", "1", "--output", acme.base / "proof")
    assert tlog.Checkpoint((acme.base / "head").read_text()).is_signed_by(key_of(acme))
    assert tlog.Proof((acme.base / "proof").read_text()).number == 1
    assert (acme.base / "proof").stat().st_mode & 0o777 == 0o600
    assert tlog.Proof(acme.oxvault_json("log", "prove", "1")["proof"]).number == 1
    assert tlog.Checkpoint(acme.oxvault_json("log", "checkpoint")["checkpoint"]).size > 0


def test_the_verdict_says_how_far_it_reaches(acme):
    log = acme.dir / "log"
    sign(acme, 3)
    kept = save(acme, "kept", acme.oxvault("log", "checkpoint").stdout)
    early = save(acme, "early", kept.read_text())
    sign(acme, 2)
    acme.stop()
    said = verify(acme, "--log", log)
    assert "there is no saved checkpoint (--checkpoint) and no witness was asked" in said
    said = verify(acme, "--log", log, "--checkpoint", kept, "--checkpoint", early)
    size = tlog.Checkpoint(kept.read_text()).size
    assert f"It contains all checkpoints that were kept, up to entry {size - 1}." in said
    assert "NOT checked: whether entries behind that were cut off" in said
    verdict = json.loads(verify(acme, "--log", log, "--checkpoint", kept, "--json"))
    assert (verdict["checkpoints"], verdict["compared_up_to"]) == (1, size)
    assert verdict["not_checked"] == ["witness"]
    verdict = json.loads(verify(acme, "--log", log, "--json"))
    assert (verdict["checkpoints"], verdict["compared_up_to"]) == (0, 0)
    assert verdict["not_checked"] == ["saved_checkpoint", "witness"]


def cut_to(service, size):
    """The log as it was at a commit of at most so many entries."""
    segment = service.dir / "log/seg/000000000000.jsonl"
    data, count, end = b"", 0, 0
    for line in segment.read_bytes().rstrip(b"\0").splitlines(keepends=True):
        data += line
        if line.startswith(b'{"commit"'):
            if count <= size:
                end = len(data)
        else:
            count += 1
    segment.write_bytes(data[:end])


def test_a_log_cut_back_to_an_old_commit_passes_but_not_beside_a_kept_checkpoint(acme):
    size = len(entries_of(acme))
    sign(acme, 4)
    kept = save(acme, "kept", acme.oxvault("log", "checkpoint").stdout)
    acme.stop()
    verify(acme, "--log", acme.dir / "log", "--checkpoint", kept)
    cut_to(acme, size)
    assert "The log is intact." in verify(acme, "--log", acme.dir / "log")
    said = verify(acme, "--log", acme.dir / "log", "--checkpoint", kept, code=VERIFY)
    assert "checkpoint_ahead" in said and "NOT the one that was seen before" in said


def test_a_restored_snapshot_that_went_on_passes_but_not_beside_a_kept_checkpoint(acme):
    acme.stop()
    shutil.copytree(acme.dir, acme.base / "snapshot")
    acme.start()
    sign(acme, 4)
    kept = save(acme, "kept", acme.oxvault("log", "checkpoint").stdout)
    acme.stop()
    shutil.rmtree(acme.dir)
    shutil.copytree(acme.base / "snapshot", acme.dir)
    acme.start()
    sign(acme, 8)
    done = acme.oxvault("log", "prove", "--from", kept, check=False)
    assert done.returncode == VERIFY
    assert "the log does not contain the checkpoint" in done.stderr
    acme.stop()
    assert "The log is intact." in verify(acme, "--log", acme.dir / "log")
    said = verify(acme, "--log", acme.dir / "log", "--checkpoint", kept, code=VERIFY)
    assert "checkpoint_differs" in said


def test_a_malformed_checkpoint_is_named(acme):
    acme.stop()
    bad = save(acme, "bad", "no note\n")
    said = verify(acme, "--log", acme.dir / "log", "--checkpoint", bad, code=FAILED)
    assert "saved checkpoint 1" in said
    verify(acme, "--log", acme.dir / "log", "--checkpoint", acme.base / "none", code=FAILED)


def test_proofs_are_made_from_a_copy_of_the_log_too(acme):
    sign(acme, 5)
    early = save(acme, "early", acme.oxvault("log", "checkpoint").stdout)
    sign(acme, 5)
    late = save(acme, "late", acme.oxvault("log", "checkpoint").stdout)
    acme.stop()
    log = acme.dir / "log"
    for kept in (early, late):
        head = tlog.Checkpoint(kept.read_text())
        for index in (0, 3, head.size - 1):
            text = acme.oxvault("log", "prove", str(index), "--log", log, "--checkpoint", kept).stdout
            proof = tlog.Proof(text)
            assert proof.extra == entries_of(acme)[index]
            assert proof.checkpoint.text == head.text
            verify(acme, "--proof", save(acme, "p", text))
    growth = acme.oxvault("log", "prove", "--from", early, "--log", log, "--checkpoint", late).stdout
    verify(acme, "--proof", save(acme, "p", growth), "--checkpoint", early)

    def refused(code, *arguments):
        done = acme.oxvault("log", "prove", *arguments, check=False)
        assert (done.returncode, done.stdout) == (code, ""), done

    refused(USAGE, "0", "--log", log)
    refused(USAGE, "0", "--checkpoint", late)
    refused(VERIFY, "--from", late, "--log", log, "--checkpoint", early)
    cut_to(acme, tlog.Checkpoint(early.read_text()).size)
    refused(VERIFY, "0", "--log", log, "--checkpoint", late)


def bundles(folder):
    """The entries of a tree of tiles."""
    data = b"".join(p.read_bytes() for p in sorted((folder / "tile/entries").rglob("*")) if p.is_file())
    while data:
        length = int.from_bytes(data[:2], "big")
        yield data[2:2 + length]
        data = data[2 + length:]


def test_the_log_as_tiles_is_read_by_the_rules_of_c2sp(acme):
    sign(acme, 300)
    folder = acme.base / "tiles"
    assert "entries are in tiles below" in acme.oxvault("log", "export", "--format", "tiles", "-o", folder).stdout
    checkpoint = tlog.Checkpoint((folder / "checkpoint").read_text())
    assert checkpoint.is_signed_by(key_of(acme))
    entries = entries_of(acme)[:checkpoint.size]
    assert list(bundles(folder)) == entries
    full, width = divmod(checkpoint.size, 256)
    assert full == 1 and width > 0
    hashes = b"".join(tlog.leaf_hash(entry) for entry in entries)
    assert (folder / "tile/0/000").read_bytes() == hashes[:8192]
    assert (folder / f"tile/0/001.p/{width}").read_bytes() == hashes[8192:]
    assert (folder / "tile/1/000.p/1").read_bytes() == tlog.root_of(entries[:256])
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == ["checkpoint", "tile/0/000", f"tile/0/001.p/{width}", "tile/1/000.p/1",
                     "tile/entries/000", f"tile/entries/001.p/{width}"]


def test_tiles_are_of_the_whole_log_and_go_into_a_new_folder(acme):
    (acme.base / "old").mkdir()
    for code, *arguments in ((USAGE,), (USAGE, "-o", "-"), (USAGE, "-o", acme.base / "x", "--type", "sign"),
                             (FAILED, "-o", acme.base / "old"), (FAILED, "-o", acme.base / "none/x")):
        done = acme.oxvault("log", "export", "--format", "tiles", *arguments, check=False)
        assert (done.returncode, done.stdout) == (code, ""), done
    assert not (acme.base / "x").exists()
    assert json.loads(acme.oxvault("log", "export", "--format", "tiles", "-o", acme.base / "x", "--json").stdout) == {
        "entries": tlog.Checkpoint((acme.base / "x/checkpoint").read_text()).size}
