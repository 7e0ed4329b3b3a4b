"""The sandbox of the shipped executables: asked of the processes themselves and of the kernel."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.process import wait_until
from support.service import public_directory
from support.terminal import Terminal

FORBIDDEN_TO_BOTH = {
    "open-passwd", "open-root", "open-own-memory", "create-in-tmp", "signal-parent", "signal-group",
    "signal-all", "attach-parent", "read-parent", "limit-parent", "fork-itself", "execute",
    "become-dumpable", "forget-the-parent", "map-code", "make-page-code", "make-tcp-socket",
    "make-unix-socket", "make-netlink-socket", "bind", "connect", "listen", "clone", "clone3",
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd",
    "pidfd_send_signal", "keyctl", "bpf", "io_uring_setup", "userfaultfd", "unshare", "mount",
    "setuid", "capset", "seccomp", "memfd_create", "open_by_handle_at", "ask-another-level",
    "ask-another-option", "set-buffer", "kill-itself", "dup", "eventfd2", "timerfd_create", "flock",
    "getpeername", "rt_sigaction",
}
FORBIDDEN_TO_KEEPER = {
    "open-above", "create-above", "create-by-old-descriptor", "mkdir-above", "move-out",
    "make-symlink", "make-socket-file",
}
FORBIDDEN_TO_FRONTEND = {
    "accept-peer", "openat", "newfstatat", "unlinkat", "memfd_secret", "read", "pwrite64", "sendto",
    "getsockopt", "mprotect", "getrandom", "prlimit64",
}
# Its module may open, write, connect, load code and start threads.
FORBIDDEN_TO_TOKEN = {
    "signal-parent", "signal-group", "signal-all", "signal-thread-of-parent", "attach-parent",
    "read-parent", "limit-parent", "fork-itself", "vfork-itself", "execute", "execveat", "clone3",
    "become-dumpable", "forget-the-parent", "inject-terminal-input", "make-device-file", "ptrace",
    "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_send_signal", "keyctl", "add_key",
    "request_key", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "kexec_load",
    "init_module", "unshare", "setns", "mount", "umount2", "pivot_root", "move_mount", "setuid",
    "setgroups", "capset", "seccomp", "swapon", "open_by_handle_at", "own-by-fiosetown",
    "own-by-siocspgrp", "choose-signal", "slow-parent", "slow-user", "slow-disk-of-parent",
    "slow-disk-of-user", "schedule-parent", "set-parameters-of-parent", "set-attributes-of-parent",
    "bind-parent",
}
HARDENED = {
    "no-capability", "no-core-file", "private-umask", "no-new-privs", "not-dumpable",
    "seccomp-filter", "landlock-rules",
}

# A sanitizer build logs instead of killing: these are about the executables that are shipped.
pytestmark = pytest.mark.plain


@pytest.fixture
def vault():
    """A directory for the keeper's probe, in a directory that it must not touch."""
    outside = public_directory("oxv-sandbox-")
    (outside / "vault").mkdir(mode=0o700)
    yield outside / "vault"
    left = {path.name for path in outside.iterdir()}
    subprocess.run(["rm", "-rf", outside], check=True)
    assert left == {"vault"}


def probe(build, role, *arguments):
    done = subprocess.run(
        [build.libexec / f"oxvault-{role}", "--sandbox-probe", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=30, env={},
    )
    answers = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    return done.returncode, answers, done.stdout + done.stderr


def assert_shut_in(answers, forbidden, output):
    assert {name for name in forbidden if not answers[name].startswith("denied (")} == set(), output
    wrong = {n: a for n, a in answers.items() if a != "works" and not a.startswith("denied (")}
    assert wrong == {}
    assert {name for name in HARDENED if answers[name] != "works"} == set()


def test_the_keeper_is_shut_in(build, vault):
    code, answers, output = probe(build, "keeper", vault)
    assert_shut_in(answers, FORBIDDEN_TO_BOTH | FORBIDDEN_TO_KEEPER, output)
    assert answers["open-passwd"] == "denied (EACCES)"
    assert answers["execute"] == "denied (seccomp)"
    for work in ("accept-peer", "keep-files", "lock-memory", "pass-descriptor"):
        assert answers[work] == "works"
    assert code == 0


def test_the_frontend_is_shut_in(build):
    code, answers, output = probe(build, "frontend")
    assert_shut_in(answers, FORBIDDEN_TO_BOTH | FORBIDDEN_TO_FRONTEND, output)
    assert answers["open-passwd"] == "denied (seccomp)"
    for work in ("wait-for-events", "pass-descriptor", "use-memory"):
        assert answers[work] == "works"
    assert code == 0


def test_the_token_helper_is_shut_in_as_far_as_a_module_allows(build):
    code, answers, output = probe(build, "token")
    assert_shut_in(answers, FORBIDDEN_TO_TOKEN, output)
    assert answers["execute"] == "denied (seccomp)"
    assert answers["clone3"] == "denied (ENOSYS)"  # and so threads are made by clone()
    for work in ("start-thread", "load-code", "map-code", "make-tcp-socket", "make-unix-socket",
                 "move-between-directories", "pass-descriptor", "signal-own", "slow-own-thread"):
        assert answers[work] == "works"
    assert "open-passwd" not in answers
    assert code == 0


@pytest.mark.parametrize("attempt", ["attach-parent", "read-parent", "become-dumpable", "bpf",
                                     "mount", "userfaultfd", "io_uring_setup"])
def test_the_filter_in_use_ends_the_token_helper_at_the_attempt(build, attempt):
    code, answers, _ = probe(build, "token", attempt)
    assert code == -signal.SIGSYS
    assert attempt not in answers


@pytest.mark.parametrize("attempt", ["execute", "fork-itself", "vfork-itself", "signal-parent",
                                     "keyctl", "setuid", "own-by-fiosetown", "choose-signal",
                                     "slow-user", "bind-parent"])
def test_a_module_that_starts_a_program_is_told_no(build, attempt):
    code, answers, _ = probe(build, "token", attempt)
    assert answers[attempt] == "denied (EPERM)"
    assert code == 0


@pytest.mark.parametrize("attempt", ["execute", "fork-itself", "make-tcp-socket", "attach-parent",
                                     "signal-parent", "map-code", "keyctl"])
def test_the_filter_in_use_ends_the_keeper_at_the_attempt(build, vault, attempt):
    code, answers, _ = probe(build, "keeper", vault, attempt)
    assert code == -signal.SIGSYS
    assert attempt not in answers


@pytest.mark.parametrize("attempt", ["open-passwd", "execute", "make-unix-socket", "accept-peer",
                                     "signal-all", "become-dumpable", "openat"])
def test_the_filter_in_use_ends_the_frontend_at_the_attempt(build, attempt):
    code, answers, _ = probe(build, "frontend", attempt)
    assert code == -signal.SIGSYS
    assert attempt not in answers


def test_what_is_allowed_passes_the_filter_in_use(build, vault):
    assert probe(build, "keeper", vault, "keep-files")[1]["keep-files"] == "works"
    assert probe(build, "frontend", "pass-descriptor")[1]["pass-descriptor"] == "works"
    assert probe(build, "token", "start-thread")[1]["start-thread"] == "works"


def test_a_probe_without_what_it_needs_is_a_usage_error(build):
    assert probe(build, "keeper")[0] == 2
    assert probe(build, "frontend", "no-such-attempt")[0] == 2


def kernel_status(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return {key: value.strip() for key, value in (x.split(":", 1) for x in text.splitlines())}


def assert_locked_in(pid):
    status = kernel_status(pid)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, f"{kind} of {pid}"
    assert status["Threads"] == "1"
    # a process that is not dumpable belongs to root in /proc, whoever it is
    assert Path(f"/proc/{pid}/environ").stat().st_uid == 0


@pytest.mark.root
def test_the_processes_of_a_service_are_locked_in(role_service):
    assert role_service.admin.get("/v1/health").status == 200
    wait_until(lambda: role_service.frontend_pids, 5, "a frontend")
    for pid in (role_service.keeper_pid, *role_service.frontend_pids):
        assert_locked_in(pid)
        assert Path(f"/proc/{pid}/environ").read_bytes() == b"OPENSSL_CONF=/dev/null\0"
    assert kernel_status(role_service.supervisor_pid)["NoNewPrivs"] == "1"
    for pid in role_service.frontend_pids:
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        data = next(line for line in limits if line.startswith("Max data size"))
        assert data.split()[3:5] == [str(1 << 30)] * 2


@pytest.mark.root
def test_a_frontend_holds_no_file(acme):
    acme.sign_oauth1("https://123456.suitetalk.api.netsuite.com/services/rest/x")
    for pid in acme.frontend_pids:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if int(fd) > 2:
                assert target.startswith(("socket:", "anon_inode:")), f"{fd} -> {target}"


def test_status_tells_of_the_sandbox(service):
    sandbox = service.oxvault_json("status")["sandbox"]
    parts = ("no_new_privs", "not_dumpable", "seccomp", "landlock")
    assert [sandbox[part] for part in parts] == [True] * 4


def test_a_whole_sandbox_satisfies_require_sandbox(make_service):
    service = make_service(options=["--require-sandbox"])
    service.init()
    service.start()
    assert service.stop() == 0


def test_the_keeper_finds_a_relative_directory(make_service, monkeypatch):
    service = make_service()
    monkeypatch.chdir(service.base)
    service.dir = Path("vault")
    service.init()
    service.start()
    assert service.admin.get("/v1/health").status == 200
    assert service.stop() == 0


def test_the_keeper_asks_at_the_terminal_from_within(make_service):
    service = make_service(seal="passphrase")
    service.init()
    terminal = Terminal(service.build.oxvaultd, "--dir", service.dir, "--run", service.run,
                        "--ask-passphrase", *service.users)
    try:
        terminal.expect("Passphrase of the vault: ")
        terminal.wait_for_silence()
        terminal.type(service.secret_file.read_text())
        terminal.expect("oxvaultd ready")
        assert terminal.echoes()
        terminal.signal(signal.SIGTERM)
        terminal.wait()
        assert terminal.code == 0
    finally:
        terminal.close()
