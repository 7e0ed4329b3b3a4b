"""liboxvault as it is installed, through a real service: by FFI, by a C program, by CMake."""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import oauth, process, tlog
from support.backends import every_backend
from support.credentials import A1, EMPLOYEE_URL

TOP = Path(__file__).resolve().parent.parent.parent
HEADERS = ["client.h", "verify.h"]
OK, UNREACHABLE, TIMEOUT = 0, 102, 104
NO_GRANT, URL_NOT_ALLOWED, UNPROCESSABLE, SEALED, NOT_FOUND = 2, 4, 9, 11, 5


def run(*command, **options):
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, timeout=120,
        **options,
    )
    assert done.returncode == 0, done
    return done.stdout


def is_sanitized(build):
    return b"__asan_init" in (build.prefix / "lib/liboxvault.so").read_bytes()


# What is exported


def documented(build):
    """The functions that the installed headers declare."""
    names = set()
    for header in HEADERS:
        text = (build.prefix / "include/oxvault" / header).read_text()
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        names |= set(re.findall(r"\b(oxv_\w+)\(", code))
    return names


def test_the_shared_library_exports_what_the_headers_document_and_nothing_else(build):
    lines = run("nm", "-D", "--defined-only", build.prefix / "lib/liboxvault.so").splitlines()
    exported = {line.split()[-1] for line in lines if line.split()[1] == "T"}
    assert exported == {f"{name}@@OXVAULT_0.1" for name in documented(build)}
    others = [line for line in lines if line.split()[1] not in "TA"]
    assert others == []


def test_the_library_has_a_soname(build):
    assert "SONAME               liboxvault.so.0" in run("objdump", "-p", build.prefix / "lib/liboxvault.so")


@pytest.mark.parametrize("language", [("c", "gcc"), ("c++", "g++")])
def test_each_header_compiles_alone(build, language):
    for header in HEADERS:
        run(language[1], "-x", language[0], "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
            build.prefix / "include/oxvault" / header)


# The example


def example(build, target, *flags):
    source = TOP / "docs/examples/sign_request.c"
    run("gcc", "-std=c17", "-Wall", "-Wextra", "-Werror", source, "-o", target, *flags)
    return target


def pkg_config(build, *arguments):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(build.prefix / "lib/pkgconfig")}
    return run("pkg-config", *arguments, "oxvault", env=environment).split()


@pytest.mark.plain
@pytest.mark.parametrize("how", ["shared", "static"])
def test_the_example_signs(build, acme, tmp_path, how):
    flags = pkg_config(build, "--cflags", "--libs")
    if how == "static":
        flags = [build.prefix / "lib/liboxvault.a" if flag == "-loxvault" else flag for flag in flags]
        flags += ["-lcurl", "-lsodium", "-lcrypto", "-pthread"]
    program = example(build, tmp_path / "sign_request", *flags)
    environment = {"LD_LIBRARY_PATH": str(build.prefix / "lib")} if how == "shared" else {}
    header = run(program, acme.socket("sign"), "acme", "GET", EMPLOYEE_URL, env=environment)
    assert header.startswith("Authorization: OAuth realm=")
    assert oauth.verifies(header.removeprefix("Authorization: ").strip(), "GET", EMPLOYEE_URL, A1.secrets)
    refused = subprocess.run(
        [program, acme.socket("sign"), "nobody", "GET", EMPLOYEE_URL], env=environment,
        capture_output=True, text=True, check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("no_grant: ")


@pytest.mark.plain
def test_a_cmake_project_finds_the_library(build, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(f"""
        cmake_minimum_required(VERSION 3.25)
        project(user LANGUAGES C)
        find_package(oxvault 0.1 REQUIRED)
        foreach(kind oxvault static)
          add_executable(user_${{kind}} {TOP}/docs/examples/sign_request.c)
          target_link_libraries(user_${{kind}} PRIVATE oxvault::${{kind}})
        endforeach()
    """)
    run("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={build.prefix}")
    run("cmake", "--build", tmp_path / "b")
    for kind in ["oxvault", "static"]:
        done = subprocess.run([tmp_path / f"b/user_{kind}"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "usage: sign_request SOCKET CONNECTION METHOD URL\n")


# By FFI


class Error(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_int), ("http_status", ctypes.c_int), ("retry_after_s", ctypes.c_uint64),
        ("problem", ctypes.c_char * 64), ("detail", ctypes.c_char * 1280),
    ]


class Options(ctypes.Structure):
    _fields_ = [
        ("connect_timeout_ms", ctypes.c_uint32), ("total_timeout_ms", ctypes.c_uint32),
        ("max_connections", ctypes.c_uint32), ("reserved", ctypes.c_uint32 * 5),
    ]


class Request(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int), ("connection", ctypes.c_char_p), ("method", ctypes.c_char_p),
        ("url", ctypes.c_char_p), ("form", ctypes.c_void_p), ("form_count", ctypes.c_size_t),
        ("version", ctypes.c_char_p), ("proof", ctypes.c_void_p),
        ("reserved", ctypes.c_void_p * 2),
    ]


class OAuth1(ctypes.Structure):
    _fields_ = [
        ("authorization", ctypes.c_char_p), ("timestamp", ctypes.c_uint64), ("nonce", ctypes.c_char_p),
        ("log_origin", ctypes.c_char_p), ("log_index", ctypes.c_uint64), ("storage", ctypes.c_void_p),
    ]


class BatchItem(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int), ("oauth1", ctypes.POINTER(OAuth1)), ("token_passport", ctypes.c_void_p),
        ("connect_password", ctypes.c_void_p), ("error", ctypes.POINTER(Error)),
    ]


class Batch(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_size_t), ("items", ctypes.POINTER(BatchItem)), ("storage", ctypes.c_void_p),
    ]


class Connection(ctypes.Structure):
    _fields_ = [
        ("id", ctypes.c_uint64),
        *[(name, ctypes.c_char_p) for name in (
            "name", "system", "account_id", "consumer_key", "token_id", "realm", "role_id",
            "application_id", "signature_method",
        )],
        ("origins", ctypes.POINTER(ctypes.c_char_p)), ("kinds", ctypes.POINTER(ctypes.c_char_p)),
        ("storage", ctypes.c_void_p),
    ]


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error.detail.decode())
        self.code = error.code
        self.http_status = error.http_status


class Client:
    def __init__(self, library, path, **options):
        self.library = library
        self.handle = ctypes.c_void_p()
        error = Error()
        self.check(library.oxv_client_open(
            str(path).encode(), ctypes.byref(Options(**options)), ctypes.byref(self.handle),
            ctypes.byref(error)), error)

    def close(self):
        self.library.oxv_client_close(self.handle)

    @staticmethod
    def check(code, error):
        assert code == error.code
        if code != OK:
            raise Refused(error)

    def sign(self, url=EMPLOYEE_URL, method="GET", connection="acme"):
        request = Request(connection=connection.encode(), method=method.encode(), url=url.encode())
        result, error = ctypes.POINTER(OAuth1)(), Error()
        self.check(self.library.oxv_client_sign_oauth1(
            self.handle, ctypes.byref(request), ctypes.byref(result), ctypes.byref(error)), error)
        value = (result.contents.authorization.decode(), result.contents.log_index)
        self.library.oxv_client_oauth1_free(result)
        return value


@pytest.fixture(scope="module")
def library(build):
    if is_sanitized(build):
        pytest.skip("an instrumented library cannot be loaded into this Python")
    library = ctypes.CDLL(str(build.prefix / "lib/liboxvault.so"))
    for name in documented(build):
        getattr(library, name).argtypes = None
    library.oxv_client_close.argtypes = [ctypes.c_void_p]
    library.oxv_client_version.restype = ctypes.c_char_p
    return library


@contextmanager
def client_of(library, service, **options):
    client = Client(library, service.socket("sign"), **options)
    try:
        yield client
    finally:
        client.close()


def code_of(function, *arguments, **options):
    with pytest.raises(Refused) as refused:
        function(*arguments, **options)
    return refused.value.code


@pytest.mark.plain
def test_a_signature_by_ffi(library, acme):
    with client_of(library, acme) as client:
        header, index = client.sign()
    assert oauth.verifies(header, "GET", EMPLOYEE_URL, A1.secrets)
    entry = acme.log_entries()[index]
    assert (entry["type"], entry["outcome"], entry["connection"]) == ("sign", "allowed", "acme")


@pytest.mark.plain
def test_a_proof_by_ffi(library, acme):
    library.oxv_client_oauth1_proof.restype = ctypes.c_char_p
    with client_of(library, acme) as client:
        for wanted in (1, 0):
            request = Request(connection=b"acme", method=b"GET", url=EMPLOYEE_URL.encode(), proof=wanted)
            result, error = ctypes.POINTER(OAuth1)(), Error()
            client.check(library.oxv_client_sign_oauth1(
                client.handle, ctypes.byref(request), ctypes.byref(result), ctypes.byref(error)), error)
            text = library.oxv_client_oauth1_proof(result).decode()
            index = result.contents.log_index
            library.oxv_client_oauth1_free(result)
            assert (tlog.Proof(text).number == index) if wanted else text == ""


@every_backend
@pytest.mark.plain
def test_errors_have_their_codes(library, acme):
    with client_of(library, acme) as client:
        assert code_of(client.sign, connection="nobody") == NO_GRANT
        assert code_of(client.sign, url="https://example.com/services/x") == URL_NOT_ALLOWED
        assert code_of(client.sign, url="https://a b/") == UNPROCESSABLE
        assert code_of(client.sign, method="DELETE") == URL_NOT_ALLOWED
        acme.oxvault("lock")
        assert code_of(client.sign) == SEALED


@every_backend
@pytest.mark.plain
def test_a_batch_by_ffi(library, acme):
    requests = (Request * 3)(
        Request(kind=1, connection=b"acme", method=b"GET", url=EMPLOYEE_URL.encode()),
        Request(kind=1, connection=b"nobody", method=b"GET", url=EMPLOYEE_URL.encode()),
        Request(kind=4, connection=b"acme"),
    )
    batch, error = ctypes.POINTER(Batch)(), Error()
    with client_of(library, acme) as client:
        client.check(library.oxv_client_sign_batch(
            client.handle, requests, ctypes.c_size_t(3), ctypes.byref(batch), ctypes.byref(error)), error)
        items = batch.contents.items
        assert batch.contents.count == 3
        assert oauth.verifies(items[0].oauth1.contents.authorization.decode(), "GET", EMPLOYEE_URL, A1.secrets)
        assert not items[0].error
        assert items[1].error.contents.code == NO_GRANT
        assert items[2].connect_password and not items[2].error
        library.oxv_client_batch_free(batch)


@pytest.mark.plain
def test_the_public_fields_of_a_connection_by_ffi(library, acme):
    found, error = ctypes.POINTER(Connection)(), Error()
    with client_of(library, acme) as client:
        client.check(library.oxv_client_connection(
            client.handle, b"acme", ctypes.byref(found), ctypes.byref(error)), error)
        connection = found.contents
        assert connection.account_id == A1.account.encode()
        assert connection.consumer_key == A1.consumer_key.encode()
        assert connection.token_id == A1.token.encode()
        assert connection.origins[0] == b"https://123456.suitetalk.api.netsuite.com"
        assert [connection.kinds[i] for i in range(3)] == [b"oauth1", b"token-passport", b"connect-password"]
        assert connection.kinds[3] is None
        library.oxv_client_connection_free(found)
        assert library.oxv_client_connection(client.handle, b"nobody", ctypes.byref(found), None) in (
            NO_GRANT, NOT_FOUND)


@pytest.mark.plain
def test_a_client_finds_the_service_again_after_a_restart(library, acme):
    with client_of(library, acme) as client:
        _, first = client.sign()
        acme.stop()
        assert code_of(client.sign) == UNREACHABLE
        acme.start()
        header, second = client.sign()
    assert oauth.verifies(header, "GET", EMPLOYEE_URL, A1.secrets)
    assert second > first


@pytest.mark.plain
def test_a_client_finds_the_service_again_after_every_process_was_killed(library, acme):
    with client_of(library, acme) as client:
        client.sign()
        for pid in acme.pids("frontend") + acme.pids("keeper"):
            os.kill(pid, signal.SIGKILL)

        def signs():
            try:
                return client.sign()
            except Refused:
                return None

        header, _ = process.wait_until(signs, 20.0, "a signature after the kill")
    assert oauth.verifies(header, "GET", EMPLOYEE_URL, A1.secrets)


@pytest.mark.plain
def test_a_stopped_frontend_costs_the_time_out_and_no_more(library, acme):
    with client_of(library, acme, total_timeout_ms=300) as client:
        client.sign()
        stopped = acme.frontend_pids
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        assert code_of(client.sign) == TIMEOUT
        assert 0.25 < time.monotonic() - begin < 5
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        process.wait_until(lambda: not _fails(client), 10.0, "a signature after SIGCONT")


def _fails(client):
    try:
        client.sign()
    except Refused:
        return True
    return False


@pytest.mark.plain
def test_threads_share_one_client(library, acme):
    headers, failures = [], []

    def work(client):
        for _ in range(25):
            try:
                headers.append(client.sign()[0])
            except Refused as refused:
                failures.append(refused)

    with client_of(library, acme) as client:
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    nonces = {oauth.header_parameters(header)["oauth_nonce"] for header in headers}
    assert len(nonces) == 200


@pytest.mark.plain
def test_the_library_tells_its_version(library, build):
    assert library.oxv_client_version().decode() == run(build.oxvault, "version").split()[1]


# Verification


class Verdict(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_uint64) for name in (
            "entries", "commits", "epochs", "findings", "first_time_us", "last_time_us")],
        ("origin", ctypes.c_char * 96), ("root", ctypes.c_uint8 * 32), ("writer_active", ctypes.c_int),
        ("detail", ctypes.c_char * 256),
    ]


@pytest.mark.plain
def test_a_log_is_verified_by_ffi(library, acme):
    acme.sign_oauth1(EMPLOYEE_URL)
    acme.stop()
    key = (acme.dir / "log/genesis.vkey").read_text().strip().encode()
    verdict, fingerprint = Verdict(), ctypes.create_string_buffer(64)

    def verify():
        return library.oxv_verify_log(str(acme.dir / "log").encode(), key, None, None, ctypes.byref(verdict))

    assert verify() == 0
    assert verdict.entries == len(acme.log_entries())
    assert verdict.origin.decode() == (acme.dir / "log/origin").read_text().strip()
    assert library.oxv_verify_fingerprint(key, fingerprint, ctypes.c_size_t(64)) == 0
    assert fingerprint.value.startswith(b"SHA256:")
    assert library.oxv_verify_fingerprint(b"no key", fingerprint, ctypes.c_size_t(64)) == 2
    segment = next((acme.dir / "log/seg").iterdir())
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b'"allowed"', b'"denied_"', 1))
    assert verify() == 1
    assert verdict.findings >= 1
