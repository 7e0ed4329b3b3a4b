"""Answers that carry the proof of their log entry, checked by code that is not ours (support/tlog.py)."""

import base64
import hashlib
import json
import threading

import pytest
from support import tlog
from support.backends import on
from support.credentials import EMPLOYEE_URL

OAUTH1 = {"connection": "acme", "method": "GET", "url": EMPLOYEE_URL}
BODIES = {
    "oauth1": OAUTH1,
    "token-passport": {"connection": "acme"},
    "connect-password": {"connection": "acme"},
}
LONG_URL = EMPLOYEE_URL + "/" + "a" * (8192 - len(EMPLOYEE_URL) - 1)

in_vault_and_token = on(("software", "softhsm-token"))


def sign(service, kind, door=None, **members):
    return (door or service.sign).post(f"/v1/sign/{kind}", {**BODIES[kind], **members})


def log_key(service):
    return [e["log_key"] for e in service.log_entries() if e["type"] == "log.key"][-1]


def commits_of(service):
    return [line["commit"] for line in service.log_lines() if "commit" in line]


def signature_of(kind, answer):
    """The bytes whose hash the entry has."""
    if kind == "token-passport":
        return base64.b64decode(answer["signature"]["value"])
    return None


def check(service, answer, kind="oauth1"):
    """The proof alone: leaf, path, root, signature. Then against the log that it is about."""
    place = answer["log"]
    assert sorted(place) == ["index", "origin", "proof"]
    proof = tlog.Proof(place["proof"])
    head = proof.checkpoint
    assert proof.number == place["index"]
    assert head.origin == place["origin"]
    entry = json.loads(proof.extra)
    assert (entry["seq"], entry["type"], entry["kind"]) == (place["index"], "sign", kind)
    assert entry["nonce"] == answer.get("nonce", entry["nonce"])
    if signature_of(kind, answer) is not None:
        assert entry["sig_hash"] == hashlib.sha256(signature_of(kind, answer)).hexdigest()
    assert tlog.root_by_inclusion(
        tlog.leaf_hash(proof.extra), place["index"], head.size, proof.path) == head.root
    return proof


def check_log(service, proofs):
    """Each leads to the head that the commit of its entry made; that head is signed."""
    key, commits = tlog.Key(log_key(service)), commits_of(service)
    for proof in proofs:
        own = next(c for c in commits if c["size"] > proof.number)
        assert (proof.checkpoint.size, proof.checkpoint.root) == (
            own["size"], tlog.strict_base64(own["root"]))
        assert proof.checkpoint.is_signed_by(key)


@in_vault_and_token
@pytest.mark.parametrize("kind", BODIES)
def test_an_answer_carries_its_proof_where_it_is_asked_for(acme, kind):
    proofs = []
    for _ in range(9):
        assert sorted(sign(acme, kind).json["log"]) == ["index", "origin"]
        assert sorted(sign(acme, kind, proof=False).json["log"]) == ["index", "origin"]
        proofs.append(check(acme, sign(acme, kind, proof=True).json, kind))
    check_log(acme, proofs)
    saved, key = acme.base / "proof", acme.base / "key"
    saved.write_text(sign(acme, kind, proof=True).json["log"]["proof"])
    key.write_text(log_key(acme) + "\n")
    said = acme.oxvault("log", "verify", "--proof", saved, "--key", key).stdout
    assert "The proof holds:" in said


@in_vault_and_token
def test_a_batch_has_proofs_as_a_whole_or_by_item(acme):
    def batch(count, flag, **members):
        kinds = list(BODIES)
        requests = [{"kind": kinds[i % 3], **BODIES[kinds[i % 3]], **flag(i)} for i in range(count)]
        return acme.sign.post("/v1/sign/batch", {"requests": requests, **members}).json["responses"]

    def proved(answers):
        return [i for i, answer in enumerate(answers) if "proof" in answer["log"]]

    def of_every_other(i):
        return {"proof": i % 2 == 0} if i % 3 else {}

    assert proved(batch(30, of_every_other)) == [i for i in range(30) if i % 3 and i % 2 == 0]
    answers = batch(30, of_every_other, proof=True)
    assert proved(answers) == [i for i in range(30) if i % 3 == 0 or i % 2 == 0]
    kinds = list(BODIES)
    proofs = [check(acme, answers[i], kinds[i % 3]) for i in proved(answers)]
    assert proved(batch(6, lambda _: {}, proof=False)) == []
    check_log(acme, proofs)


def test_a_batch_of_1000_proofs_is_answered_in_order(acme):
    requests = [{"kind": "oauth1", **OAUTH1, "url": f"{EMPLOYEE_URL}{i}"} for i in range(1000)]
    answers = acme.sign.post("/v1/sign/batch", {"proof": True, "requests": requests}).json["responses"]
    proofs = [check(acme, answer) for answer in answers]
    assert [json.loads(p.extra)["path"].rsplit("/", 1)[1] for p in proofs] == [
        f"40{i}" for i in range(1000)]
    check_log(acme, proofs)


def test_the_longest_answers_are_split_over_datagrams(acme):
    body = {"proof": True, "requests": [{"kind": "oauth1", **OAUTH1, "url": LONG_URL}] * 100}
    answers = acme.sign.post("/v1/sign/batch", body).json["responses"]
    check_log(acme, [check(acme, answer) for answer in answers])


@in_vault_and_token
def test_proofs_are_of_their_own_signature_among_many(acme):
    got, plain, lock = [], [], threading.Lock()

    def work(number):
        with acme.door("sign") as door:
            for i in range(20):
                wanted = (number + i) % 3 == 0
                answer = sign(acme, "oauth1", door, **({"proof": True} if wanted else {})).json
                with lock:
                    (got if wanted else plain).append(answer)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) + len(plain) == 320 and len(got) > 90
    assert all("proof" not in answer["log"] for answer in plain)
    check_log(acme, [check(acme, answer) for answer in got])


def test_a_proof_holds_over_the_end_of_an_epoch(acme):
    before = sign(acme, "oauth1", proof=True).json
    acme.oxvault("log", "rotate-key")
    after = sign(acme, "oauth1", proof=True).json
    acme.add_grant("order-exchange", "acme")  # it ends the epoch too
    third = sign(acme, "oauth1", proof=True).json
    check_log(acme, [check(acme, answer) for answer in (before, after, third)])


@pytest.mark.parametrize("value", [1, 0, "true", None, [], {}])
def test_proof_is_a_boolean(acme, value):
    for kind in BODIES:
        answer = sign(acme, kind, proof=value)
        assert (answer.status, answer.code) == (400, "bad_request")
        assert answer.json["detail"] == "proof: must be true or false"
    requests = [{"kind": "oauth1", **OAUTH1}]
    answer = acme.sign.post("/v1/sign/batch", {"requests": requests, "proof": value})
    assert (answer.status, answer.code) == (400, "bad_request")
    assert answer.json["detail"] == "proof: must be true or false"
    requests[0]["proof"] = value
    answer = acme.sign.post("/v1/sign/batch", {"requests": requests, "proof": True})
    assert answer.json["responses"][0]["detail"] == "proof: must be true or false"


def test_refusals_have_no_proof(acme):
    answer = sign(acme, "oauth1", url="https://example.com/", proof=True)
    assert (answer.status, "log" in answer.json) == (403, False)
    answer = sign(acme, "oauth1", proof=True)
    assert answer.status == 200


@pytest.mark.hooks
def test_without_memory_for_a_proof_the_signature_is_kept_back(make_service, hooks_build):
    service = make_service(hooks_build)
    service.init()
    service.start()
    service.furnish()
    service.restart(environment={"OXV_HOOK": "log.proof.memory:fail:2"})
    check(service, sign(service, "oauth1", proof=True).json)
    answer = sign(service, "oauth1", proof=True)
    assert (answer.status, answer.code) == (500, "internal")
    assert "no memory for its proof" in answer.json["detail"]
    entry = service.log_entries()[-1]
    assert (entry["type"], entry["outcome"]) == ("sign", "allowed")
    check_log(service, [check(service, sign(service, "oauth1", proof=True).json)])


@pytest.mark.hooks
def test_no_proof_leaves_where_the_log_breaks(make_service, hooks_build):
    service = make_service(hooks_build)
    service.init()
    service.start()
    service.furnish()
    service.restart(environment={"OXV_HOOK": "log.before_sync:fail:8"})
    answers = [sign(service, "oauth1", proof=True) for _ in range(9)]
    assert answers[0].status == 200
    for answer in answers:
        if answer.status == 200:
            check(service, answer.json)
        else:
            assert (answer.status, answer.code) == (503, "log_unavailable")
            assert "log" not in answer.json
    assert answers[-1].status == 503
