"""What the kernel says about processes, and running things as another user."""

import os
import pickle
import signal
import subprocess
import time
from dataclasses import dataclass


class Deadline:
    """Waits end by an event or by this, never by a fixed sleep."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    @property
    def left(self):
        return max(0.0, self.end - time.monotonic())

    @property
    def passed(self):
        return self.left == 0.0


def wait_until(condition, seconds=10.0, what="the condition"):
    """Returns the first true value of condition()."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if deadline.passed:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.002)


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    group: int
    name: str  # as the kernel keeps it: 15 characters
    state: str

    @property
    def role(self):
        for role in ("keeper", "frontend", "token", "oxvaultd"):
            if role[:7] in self.name:
                return "supervisor" if role == "oxvaultd" else role
        return self.name


def process(pid):
    """None where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            text = stat.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, rest = text[text.index("(") + 1 :].rsplit(")", 1)
    state, parent, group = rest.split()[:3]
    return Process(pid, int(parent), int(group), name, state)


def processes_of_group(group):
    """All living processes of a process group; zombies do not count."""
    found = (process(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return [p for p in found if p and p.group == group and p.state not in "ZX"]


def kill_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def as_uid(uid, function, *arguments, gid=None, groups=()):
    """Calls function(*arguments) in a child process of that uid; returns what it returns."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgroups(list(groups))
            os.setresgid(*(3 * (gid if gid is not None else uid,)))
            os.setresuid(uid, uid, uid)
            try:
                answer = (True, function(*arguments))
            except Exception as error:  # goes to the parent, which raises it
                answer = (False, error)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise RuntimeError("the child ended without an answer")
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value


def run_as(uid, command, **options):
    """subprocess.run() as another uid, without groups."""
    options.setdefault("capture_output", True)
    options.setdefault("text", True)
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    return subprocess.run(drop + [str(word) for word in command], check=False, **options)
