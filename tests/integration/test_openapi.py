"""docs/openapi.yaml against the real service: every operation with every status it names."""

import base64
import json
import os
import re
import secrets
import socket
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator, RefResolver
from support import boxes, process, wire
from support.door import Answer, Door
from support.service import Service
from support.token_service import TokenService
from support.tokens import SoftHsm

TOP = Path(__file__).resolve().parent.parent.parent
SPEC = yaml.safe_load((TOP / "docs/openapi.yaml").read_text(encoding="utf-8"))
RESOLVER = RefResolver.from_schema(SPEC)
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
CONNECTIONS_OF_ONE_UID = 512
URL = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40"
SIGN = {"connection": "acme", "method": "GET", "url": URL}
ANSWERED_WHILE_SEALED = {
    "health", "status", "doctor", "challenge", "unseal", "listSeals",
}


def resolve(node):
    return RESOLVER.resolve(node["$ref"])[1] if "$ref" in node else node


def validate(value, schema):
    Draft202012Validator(
        schema, resolver=RESOLVER, format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(value)


class Operation:
    def __init__(self, method, path, node):
        self.method, self.path, self.node = method.upper(), path, node
        self.id = node["operationId"]
        self.doors = node["x-doors"]
        self.statuses = [int(status) for status in node["responses"]]
        self.parameters = [resolve(p) for p in node.get("parameters", [])]
        self.body = node.get("requestBody")

    def check_request(self, target, body):
        """What is taken is written: query, path and body."""
        path, _, query = target.partition("?")
        names = {p["name"] for p in self.parameters if p["in"] == "query"}
        assert {part.split("=")[0] for part in query.split("&") if part} <= names, target
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        for name, value in re.fullmatch(pattern, path).groupdict().items():
            schema = next(p["schema"] for p in self.parameters if p["name"] == name)
            is_number = resolve(schema)["type"] == "integer"
            validate(int(value) if is_number else value, schema)
        if body is None:
            assert self.body is None or not self.body["required"]
        else:
            validate(body, self.body["content"]["application/json"]["schema"])

    def check_answer(self, answer):
        assert str(answer.status) in self.node["responses"], f"{self.id}: not written: {answer}"
        response = resolve(self.node["responses"][str(answer.status)])
        check_response(response, answer)


def check_response(response, answer):
    media = answer.headers["Content-Type"]
    assert media in response["content"], answer
    schema = response["content"][media]["schema"]
    value = answer.json if media.endswith("json") else answer.body.decode()
    validate(value, schema)
    if media == "application/problem+json":
        assert value["status"] == answer.status
        assert value["type"] == f"urn:oxvault:error:{value['code']}"
    for name, header in response.get("headers", {}).items():
        if header.get("required"):
            assert name in answer.headers, answer
    if "Retry-After" in answer.headers:
        validate(int(answer.headers["Retry-After"]), response["headers"]["Retry-After"]["schema"])


OPERATIONS = [
    Operation(method, path, node)
    for path, item in SPEC["paths"].items() for method, node in item.items()
]
BY_ID = {operation.id: operation for operation in OPERATIONS}


class World:
    """An open service with a bit of everything, and what it takes to send boxes to it."""

    def __init__(self, service):
        self.service = service
        service.furnish()
        service.add_connection("second")
        service.add_caller("other", 60111)
        service.add_grant("other", "acme")
        service.add_grant("order-exchange", "second", rate="1/h")
        service.oxvault("connection", "add", "elsewhere", "--system", "oauth1",
                        "--consumer-key", "ck", "--token-id", "ti", "--origin",
                        "https://api.example.com", "--secrets-file", self.secrets_file())
        service.add_grant("order-exchange", "elsewhere", kinds="oauth1,connect-password")

    def secrets_file(self):
        path = self.service.base / "elsewhere.json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            json.dump({"consumer_secret": "cs", "token_secret": "ts"}, file)
        return path

    @property
    def published(self):
        return (self.service.run / "vault.pub").read_text()

    def call(self, name, target=None, body=None, door=None, **options):
        """One request; it and its answer must be as written."""
        operation = BY_ID[name]
        door = getattr(self.service, door or operation.doors[0])
        answer = door.request(operation.method, target or operation.path, body, **options)
        operation.check_answer(answer)
        if answer.status == 200:
            operation.check_request(target or operation.path, body)
        return answer

    def box(self, purpose, payload, challenge=None):
        if challenge is None:
            challenge = self.call("challenge").json["challenge"]
        sealed = boxes.box(self.published, purpose, base64.b64decode(challenge), payload)
        return base64.b64encode(sealed).decode()

    def connection_box(self, name):
        return {"name": name, "box": self.box(boxes.CONNECTION_ADD, boxes.connection(name))}

    def token_box(self):
        """Without a pair: its keys are objects, which takes less time."""
        payload = wire.fields((1, self.service.module), (2, self.service.token.uri), (5, 1))
        return {"box": self.box(boxes.TOKEN_ADD, payload)}

    def login_box(self, row):
        payload = wire.fields((1, row), (2, self.service.token.pin))
        return {"box": self.box(boxes.TOKEN_LOGIN, payload)}

    def move_box(self, name, row=None, old_id=None):
        """old_id: of its key in a token until now."""
        key_id = secrets.token_bytes(16)
        place = (wire.TOKEN, row, key_id) if row else None
        secret = (boxes.signing_key(), boxes.check_value(key_id)) if row else None
        moved = (boxes.check_value(bytes.fromhex(old_id)) if old_id else None, None)
        payload = boxes.connection(name, place=place, secret=secret, moved=moved)
        return {"box": self.box(boxes.CONNECTION_MOVE, payload)}

    def seal_box(self):
        key = self.service.secret_file.read_bytes()
        return {"box": self.box(boxes.SEAL_ADD, boxes.seal_add(1, key, secrets.token_bytes(32)))}

    def rekey_box(self):
        key = self.service.secret_file.read_bytes()
        return {"box": self.box(boxes.REKEY, boxes.rekey(1, key))}

    def begin(self):
        return self.call("beginImport").json

    def chunk(self, started, number, *names):
        payload = boxes.import_chunk(
            started["session"], number, [boxes.connection(name) for name in names])
        return {"box": self.box(boxes.CONNECTION_IMPORT, payload, started["challenge"])}

    def send_chunk(self, started, number, *names):
        target = f"/v1/admin/imports/{started['session']}/chunks"
        return self.call("importChunk", target, self.chunk(started, number, *names))

    def end_import(self, started):
        assert self.call("abortImport", f"/v1/admin/imports/{started['session']}").status == 200

    def id_of(self, name, **wanted):
        listed = next(iter(v for v in self.call(name).json.values() if isinstance(v, list)))
        return next(i["id"] for i in listed if wanted.items() <= i.items())


@pytest.fixture(scope="module")
def world(build):
    with SoftHsm() as token:
        service = TokenService(build, token, seal="keyfile")
        service.init()
        service.start()
        yield World(service)
        service.remove()


@pytest.fixture(scope="module")
def sealed(build):
    service = Service(build, source=False)
    service.init()
    service.start()
    yield service
    service.remove()


# A call for each operation with status 200, in an order that leaves the world as it was


def sign_twice_in_a_batch(w):
    answer = w.call("signBatch", body={"requests": [
        {"kind": "oauth1", **SIGN}, {"kind": "token-passport", "connection": "acme"},
        {"kind": "connect-password", "connection": "acme"},
        {"kind": "connect-password", "connection": "nobody"},
    ], "proof": True})
    assert all("proof" in r["log"] for r in answer.json["responses"][:3])
    assert [("log" in r) for r in answer.json["responses"]] == [True, True, True, False]
    return answer


def with_and_without_proof(name, body):
    def call(w):
        answer = w.call(name, body=body)
        assert "proof" not in answer.json["log"]
        assert "proof" in w.call(name, body={**body, "proof": True}).json["log"]
        return answer

    return call


def unseal_again(w):
    return w.call("unseal", body={"box": w.box(boxes.UNSEAL, b"")})


def lock_and_unseal(w):
    answer = w.call("lock")
    assert answer.json == {"state": "sealed"}
    health = w.call("health", door="admin")
    assert health.json["state"] == "sealed" and health.json["seals"][0]["kind"] == "keyfile"
    w.service.close_doors()  # those who came in while it was open are refused now
    assert w.call("status").json["state"] == "sealed"
    payload = boxes.unseal(1, w.service.secret_file.read_bytes())
    opened = w.call("unseal", body={"box": w.box(boxes.UNSEAL, payload)})
    assert opened.json == {"state": "open"}
    w.service.close_doors()
    return answer


def add_and_remove(add, remove, body):
    """For things with an id in their path: the answer of `add` or `remove`."""

    def both(w, give_back):
        made = w.call(add, body=body(w))
        assert made.status == 200, made
        target = BY_ID[remove].path
        key = re.search(r"\{(\w+)\}", target)[1]
        value = made.json["id"] if key == "id" else body_value(w, made, key)
        gone = w.call(remove, target.replace("{%s}" % key, str(value)))
        return made if give_back == "add" else gone

    def body_value(w, made, key):
        return made.json.get(key, 60112)  # an admin is named by uid, which is not in the answer

    return (lambda w: both(w, "add")), (lambda w: both(w, "remove"))


ADD_SEAL, REMOVE_SEAL = add_and_remove("addSeal", "removeSeal", lambda w: w.seal_box())
ADD_CONNECTION, REMOVE_CONNECTION = add_and_remove(
    "addConnection", "removeConnection", lambda w: w.connection_box("made"))
ADD_CALLER, REMOVE_CALLER = add_and_remove(
    "addCaller", "removeCaller", lambda w: {"name": "made", "uid": 60113})
ADD_GRANT, REMOVE_GRANT = add_and_remove("addGrant", "removeGrant", lambda w: {
    "caller": "other", "connection": "second", "kinds": ["oauth1"], "methods": ["get"],
    "paths": ["/a/**"], "query": {"script": "508", "deploy": "1"}, "rate": "60/m",
    "not_before": "2026-01-01", "not_after": "2126-01-01T00:00:00+01:00"})
ADD_ADMIN, REMOVE_ADMIN = add_and_remove("addAdmin", "removeAdmin", lambda w: {"uid": 60112})


def whole_import(give_back):
    def run(w):
        started = w.begin()
        begun = w.call("importChunk", f"/v1/admin/imports/{started['session']}/chunks",
                       w.chunk(started, 1, "i1", "i2"))
        more = w.send_chunk(begun.json, 2, "i3")
        assert more.json["received"] == 3
        done = w.call("commitImport", f"/v1/admin/imports/{started['session']}/commit",
                      {"count": 3})
        assert done.json == {"count": 3}
        for name in ("i1", "i2", "i3"):
            assert w.call("removeConnection", f"/v1/admin/connections/{name}").status == 200
        return {"chunk": begun, "commit": done}[give_back]

    return run


def begin_and_abort(give_back):
    def run(w):
        begun = w.call("beginImport")
        gone = w.call("abortImport", f"/v1/admin/imports/{begun.json['session']}")
        assert gone.json == {"state": "aborted"}
        return {"begin": begun, "abort": gone}[give_back]

    return run


def whole_backup(w):
    begun = w.call("beginBackup").json
    while True:
        piece = w.call("nextBackupPiece", f"/v1/admin/backups/{begun['session']}/next")
        if piece.json["last"]:
            return piece


def disable_and_enable(give_back):
    def run(w):
        off = w.call("disableCaller", "/v1/admin/callers/other/disable")
        on = w.call("enableCaller", "/v1/admin/callers/other/enable", {})
        return {"disable": off, "enable": on}[give_back]

    return run


def read_log_in_every_way(w):
    for query in ("", "?purpose=show&limit=3&from=1", "?purpose=export&type=grant.add",
                  "?since=2026-01-01&until=2126-01-01&caller=other&connection=acme"
                  "&outcome=allowed", "?limit=0"):
        answer = w.call("readLog", f"/v1/audit/log{query}")
        assert answer.headers["Content-Type"] == "application/jsonl"
        assert all(json.loads(line)["v"] == 1 for line in answer.body.splitlines())
    answer = w.call("readLog", "/v1/audit/log?format=csv")
    assert answer.body.startswith(b'"v","seq","epoch",')
    return answer


def page_by_page(name, items):
    def run(w):
        everything = w.call(name).json[items]
        found, after, answer = [], 0, None
        while after is not None:
            answer = w.call(name, f"{BY_ID[name].path}?after={after}&limit=1")
            found += answer.json[items]
            after = answer.json.get("next")
        assert found == everything and len(found) > 1
        return answer

    return run


def grants_of_one(w):
    page_by_page("listGrants", "grants")(w)
    answer = w.call("listGrants", "/v1/admin/grants?caller=other&connection=acme")
    assert len(answer.json["grants"]) == 1
    return answer


def with_a_token(run):
    """The answer of run(world, row): a token is there meanwhile."""

    def both(w):
        added = w.call("addToken", body=w.token_box())
        assert added.status == 200, added
        assert w.call("addToken", body=w.token_box()).json == {**added.json, "added": False}
        row = added.json["id"]
        try:
            answer = run(w, row)
        finally:
            gone = w.call("removeToken", f"/v1/admin/tokens/{row}")
        assert gone.status == 200, gone
        return {"add": added, "remove": gone}.get(answer, answer)

    return both


def move_in_and_out(w, row):
    path = "/v1/admin/connections/moved/move"
    assert w.call("addConnection", body=w.connection_box("moved")).status == 200
    there = w.call("moveConnection", path, w.move_box("moved", row))
    assert there.status == 200, there
    shown = w.call("getAnyConnection", "/v1/admin/connections/moved").json
    assert shown["key"] == "in token" and shown["key_token"] == row
    back = w.call("moveConnection", path, w.move_box("moved", old_id=shown["key_id"]))
    assert w.call("removeConnection", "/v1/admin/connections/moved").status == 200
    return back


def list_with_status(w, row):
    answer = w.call("listTokens")
    assert [t["id"] for t in answer.json["tokens"]] == [row]
    assert [t["state"] for t in w.call("status").json["tokens"]] == ["ready"]
    return answer


GOOD = {
    "listTokens": with_a_token(list_with_status),
    "addToken": with_a_token(lambda w, row: "add"),
    "removeToken": with_a_token(lambda w, row: "remove"),
    "loginToken": with_a_token(lambda w, row: w.call(
        "loginToken", body=w.login_box(row))),
    "moveConnection": with_a_token(move_in_and_out),
    "signOauth1": with_and_without_proof("signOauth1", {
        **SIGN, "method": "POST", "form": [["a", "1"], ["a", "é"]]}),
    "signTokenPassport": with_and_without_proof("signTokenPassport", {
        "connection": "acme", "version": "2024_1"}),
    "signConnectPassword": with_and_without_proof("signConnectPassword", {"connection": "acme"}),
    "signBatch": sign_twice_in_a_batch,
    "listConnections": page_by_page("listConnections", "connections"),
    "getConnection": lambda w: w.call("getConnection", "/v1/connections/acme"),
    "metrics": lambda w: w.call("metrics"),
    "challenge": lambda w: w.call("challenge", body={}),
    "unseal": unseal_again,
    "lock": lock_and_unseal,
    "rotateLogKey": lambda w: w.call("rotateLogKey"),
    "addSeal": ADD_SEAL,
    "rekey": lambda w: w.call("rekey", body=w.rekey_box()),
    "beginBackup": lambda w: w.call("beginBackup"),
    "nextBackupPiece": whole_backup,
    "removeSeal": REMOVE_SEAL,
    "listAllConnections": page_by_page("listAllConnections", "connections"),
    "getAnyConnection": lambda w: w.call("getAnyConnection", "/v1/admin/connections/elsewhere"),
    "addConnection": ADD_CONNECTION,
    "removeConnection": REMOVE_CONNECTION,
    "beginImport": begin_and_abort("begin"),
    "abortImport": begin_and_abort("abort"),
    "importChunk": whole_import("chunk"),
    "commitImport": whole_import("commit"),
    "listCallers": page_by_page("listCallers", "callers"),
    "addCaller": ADD_CALLER,
    "removeCaller": REMOVE_CALLER,
    "disableCaller": disable_and_enable("disable"),
    "enableCaller": disable_and_enable("enable"),
    "listGrants": grants_of_one,
    "addGrant": ADD_GRANT,
    "removeGrant": REMOVE_GRANT,
    "addAdmin": ADD_ADMIN,
    "removeAdmin": REMOVE_ADMIN,
    "readLog": read_log_in_every_way,
    **{name: lambda w, name=name: w.call(name) for name in (
        "status", "doctor", "listSeals", "listAdmins", "logInfo", "checkpoint")},
    "health": lambda w: [w.call("health", door=door) for door in ("sign", "admin", "audit")][-1],
}


# Calls for the other statuses: of one operation, or the same for all

EXISTING = {
    "{name}": "acme", "{id}": "1", "{uid}": str(os.getuid()), "{session}": "0" * 32,
    "/callers/{name}": "/callers/other",
}
MISSING = {"{name}": "nobody", "{id}": "999999", "{uid}": "60199", "{session}": "0" * 32}


def fill(path, values):
    for key in sorted(values, key=len, reverse=True):
        path = path.replace(key, values[key])
    return path


def body_for(w, operation):
    """A body that is taken, where one is needed."""
    if operation.id == "addConnection":
        return w.connection_box("acme")
    if operation.id == "rekey":
        return w.rekey_box()
    if operation.id == "addSeal":
        return w.seal_box()
    if operation.id == "addToken":
        return w.token_box()
    if operation.id == "loginToken":
        return w.login_box(999999)
    if operation.id == "moveConnection":
        return w.move_box("acme")
    if operation.id in ("importChunk", "unseal"):
        return {"box": "AAAA"}
    return {
        "signOauth1": SIGN, "signTokenPassport": {"connection": "acme"},
        "signConnectPassword": {"connection": "acme"},
        "signBatch": {"requests": [{"kind": "oauth1", **SIGN}]},
        "commitImport": {"count": 1}, "addCaller": {"name": "other", "uid": 60120},
        "addGrant": {"caller": "other", "connection": "acme", "kinds": ["connect-password"]},
        "addAdmin": {"uid": os.getuid()},
    }.get(operation.id)


def bad_query(w, operation):
    return w.call(operation.id, fill(operation.path, EXISTING) + "?nonsense=1",
                  body_for(w, operation))


def long_head(w, operation):
    return w.call(operation.id, fill(operation.path, EXISTING), headers={"X-Long": "x" * 9000})


def plain_text(w, operation):
    return w.call(operation.id, fill(operation.path, EXISTING), b"{}",
                  headers={"Content-Type": "text/plain"})


def nothing_there(w, operation):
    return w.call(operation.id, fill(operation.path, MISSING), body_for(w, operation))


def during_an_import(w, operation):
    started = w.begin()
    try:
        return w.call(operation.id, fill(operation.path, EXISTING), body_for(w, operation))
    finally:
        w.end_import(started)


def as_another_user(w, operation):
    door = operation.doors[0]
    socket_path = str(w.service.socket(door))
    # Group and others have no right on the inner doors: let this one in as far as the keeper.
    mode = os.stat(socket_path).st_mode & 0o777
    os.chmod(socket_path, 0o666)
    try:
        status, headers, body = process.as_uid(
            60199, ask_raw, socket_path, operation.method, fill(operation.path, EXISTING))
    finally:
        os.chmod(socket_path, mode)
    return checked(operation, status, headers, body)


def ask_raw(path, method, target):
    with Door(path) as door:
        answer = door.request(method, target)
        return answer.status, list(answer.headers.items()), answer.body


class RawAnswer(Answer):
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def checked(operation, status, headers, body):
    answer = RawAnswer(status, dict(headers), body)
    operation.check_answer(answer)
    return answer


def in_a_crowd(w, operation):
    """One connection more than a user may have: told before it asks anything."""
    path = str(w.service.socket(operation.doors[0]))
    crowd = []
    try:
        for _ in range(CONNECTIONS_OF_ONE_UID + 40):
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            crowd.append(peer)
            peer.settimeout(10)
            peer.connect(path)
        answer = b""
        while chunk := crowd[-1].recv(65536):
            answer += chunk
    finally:
        for peer in crowd:
            peer.close()
        w.service.close_doors()
    process.wait_until(lambda: is_served(w, operation.doors[0]), what="the door")
    head, body = answer.split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return checked(operation, int(lines[0].split()[1]), [h.split(": ") for h in lines[1:]], body)


def is_served(w, door):
    with w.service.door(door) as fresh:
        try:
            return fresh.get("/v1/health").status == 200
        except OSError:
            return False


def while_sealed(sealed_service, operation):
    with sealed_service.door(operation.doors[0]) as door:
        body = body_for_sealed(operation)
        answer = door.request(operation.method, fill(operation.path, EXISTING), body)
    operation.check_answer(answer)
    assert answer.code == "sealed"
    return answer


def body_for_sealed(operation):
    if operation.id in ("addConnection", "addSeal", "addToken", "loginToken", "moveConnection",
                        "rekey"):
        return {"box": "AAAA", **({"name": "x"} if operation.id == "addConnection" else {})}
    return body_for(None, operation)


def rate_used_up(body):
    def run(w, operation):
        answers = [w.call(operation.id, body={**body, "connection": "second"}) for _ in range(2)]
        assert answers[-1].code == "rate_limited"
        return answers[-1]

    return run


def import_of_a_known_name(w, operation):
    return w.send_chunk(w.begin(), 1, "acme")


def remove_a_token_during_an_import(w, operation):
    def run(w, row):
        started = w.begin()
        try:
            return w.call(operation.id, f"/v1/admin/tokens/{row}")
        finally:
            w.end_import(started)

    return with_a_token(run)(w)


def wrong_seal_to_add(w, operation):
    payload = boxes.seal_add(1, secrets.token_bytes(32), secrets.token_bytes(32))
    return w.call("addSeal", body={"box": w.box(boxes.SEAL_ADD, payload)})


OTHERS = {
    ("signOauth1", 403): lambda w, o: w.call(o.id, body={**SIGN, "connection": "nobody"}),
    ("signTokenPassport", 403): lambda w, o: w.call(o.id, body={"connection": "nobody"}),
    ("signConnectPassword", 403): lambda w, o: w.call(o.id, body={"connection": "nobody"}),
    ("getConnection", 403): lambda w, o: w.call(o.id, "/v1/connections/nobody"),
    ("signOauth1", 422): lambda w, o: w.call(o.id, body={**SIGN, "url": "https://[x"}),
    ("signTokenPassport", 422): lambda w, o: w.call(
        o.id, body={"connection": "acme", "version": "latest"}),
    ("signConnectPassword", 422): lambda w, o: w.call(o.id, body={"connection": "elsewhere"}),
    ("signOauth1", 429): rate_used_up(SIGN),
    ("signTokenPassport", 429): rate_used_up({}),
    ("signConnectPassword", 429): rate_used_up({}),
    ("addSeal", 403): wrong_seal_to_add,
    ("removeToken", 409): remove_a_token_during_an_import,
    ("importChunk", 409): import_of_a_known_name,
    ("addGrant", 404): lambda w, o: w.call(o.id, body={
        "caller": "nobody", "connection": "acme", "kinds": ["connect-password"]}),
}
FOR_ALL = {
    400: bad_query, 403: as_another_user, 404: nothing_there, 409: during_an_import,
    413: long_head, 415: plain_text,
}


def cases():
    for operation in OPERATIONS:
        for status in operation.statuses:
            needs_root = status == 403 and (operation.id, status) not in OTHERS
            yield pytest.param(operation, status, id=f"{operation.id}-{status}",
                               marks=[pytest.mark.root] if needs_root else [])


@pytest.mark.parametrize(("operation", "status"), cases())
def test_every_status_of_every_operation_is_served_as_written(
    world, sealed, make_service, operation, status
):
    if status == 200:
        answer = GOOD[operation.id](world)
    elif status == 500:
        answer = read_a_damaged_log(make_service)
    elif status == 503 and operation.id in ANSWERED_WHILE_SEALED:
        answer = in_a_crowd(world, operation)
    elif status == 503:
        answer = while_sealed(sealed, operation)
    else:
        call = OTHERS.get((operation.id, status)) or FOR_ALL[status]
        answer = call(world, operation)
    assert answer.status == status, answer


def read_a_damaged_log(make_service):
    service = make_service()
    service.init()
    service.start()
    (segment,) = (service.dir / "log/seg").iterdir()
    with open(segment, "r+b") as file:
        file.write(b"x")
    answer = service.audit.get("/v1/audit/log?limit=1000")
    BY_ID["readLog"].check_answer(answer)
    return answer


@pytest.mark.parametrize("door", ["sign", "admin", "audit"])
def test_nothing_but_what_is_written_is_served(world, door):
    for path, item in SPEC["paths"].items():
        written = {m for m, node in item.items() if door in node["x-doors"]}
        for method in METHODS:
            if method in written:
                continue
            answer = getattr(world.service, door).request(
                method.upper(), fill(path, EXISTING).replace("{", "").replace("}", ""))
            name = "MethodNotAllowed" if written else "NotFound"
            assert answer.status == (405 if written else 404), (method, path, answer)
            if written:
                allowed = answer.headers["Allow"].split(", ")
                assert {m.lower() for m in allowed} == written
            if method != "head":
                check_response(SPEC["components"]["responses"][name], answer)
    answer = getattr(world.service, door).get("/v1")
    assert answer.status == 404


def test_every_object_is_closed_and_every_schema_is_one():
    def walk(node, where):
        if isinstance(node, dict):
            if node.get("type") == "object":
                extra = node.get("additionalProperties")
                assert extra is False or (isinstance(extra, dict) and "type" in extra), where
                assert set(node.get("required", [])) <= set(node.get("properties", {})), where
            for key, value in node.items():
                walk(value, f"{where}/{key}")
        elif isinstance(node, list):
            for i, value in enumerate(node):
                walk(value, f"{where}/{i}")

    walk(SPEC, "")
    for schema in SPEC["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_component_is_used():
    text = (TOP / "docs/openapi.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"#/components/(\w+/\w+)", text))
    there = {f"{kind}/{name}" for kind, named in SPEC["components"].items() for name in named}
    # These two belong to no operation: they are what there is where no operation is.
    assert used | {"responses/MethodNotAllowed", "responses/NotFound"} == there
    assert used <= there
