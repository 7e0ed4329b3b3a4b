"""Looks for bytes in files and in the memory of running processes."""

import base64
import hashlib
import os
import threading
import time
from collections import Counter
from pathlib import Path

from support.process import processes_of_group

CHUNK = 1 << 20


def find_in_file(path, needles):
    data = Path(path).read_bytes()
    return {name for name, needle in needles.items() if needle in data}


def find_below(directory, needles):
    """{needle's name: [files]} over all regular files."""
    found = {}
    for path in Path(directory).rglob("*"):
        if path.is_file():
            for name in find_in_file(path, needles):
                found.setdefault(name, []).append(str(path))
    return found


def find_in_process(pid, needles, rights_wanted="r"):
    """
    Names of the needles found in any readable mapping, and how many bytes were read. A mapping
    that the kernel does not show to anybody (memfd_secret) counts as not readable.
    rights_wanted: "rw" leaves out what the process cannot have written to.
    """
    found, total = set(), 0
    overlap = max(len(needle) for needle in needles.values()) - 1
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
        regions = [line.split()[:2] for line in maps if "[vvar]" not in line]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for span, rights in regions:
            if not rights.startswith(rights_wanted):
                continue
            start, end = (int(bound, 16) for bound in span.split("-"))
            tail = b""
            for address in range(start, end, CHUNK):
                try:
                    data = os.pread(memory.fileno(), min(CHUNK, end - address), address)
                except OSError:
                    break
                total += len(data)
                data = tail + data
                found |= {name for name, needle in needles.items() if needle in data}
                tail = data[-overlap:]
    return found, total


def secret_needles(credentials):
    """Every form in which the two secrets could lie around."""
    needles = {}
    for name, secret in credentials.secrets.items():
        needles[name] = secret.encode()
        needles[f"{name}, decoded"] = bytes.fromhex(secret)
        needles[f"{name}, base64"] = base64.b64encode(secret.encode()).rstrip(b"=")[:-1]
        needles[f"{name}, its middle"] = secret[16:48].encode()
    return needles


def signing_key(credentials):
    """K0 of design 5.3 for HMAC-SHA256, without its zero padding."""
    joined = f"{credentials.consumer_secret}&{credentials.token_secret}".encode()
    return hashlib.sha256(joined).digest()


def key_needles(credentials):
    """K0, and K0 as the two pads of HMAC hold it."""
    key = signing_key(credentials)
    return {
        "K0": key,
        "K0 in the inner pad": bytes(byte ^ 0x36 for byte in key),
        "K0 in the outer pad": bytes(byte ^ 0x5C for byte in key),
    }


def plant(pid, data):
    """Writes into the part of a process's stack that nothing has reached yet."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
        span = next(line.split()[0] for line in maps if line.rstrip().endswith("[stack]"))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        os.pwrite(memory.fileno(), data, int(span.split("-")[0], 16) + 64)


class Watch:
    """Scans the processes of a service again and again, whatever they do meanwhile."""

    def __init__(self, service, needles):
        self.found = {}  # {role: names of needles}
        self.scans = Counter()  # {role: how many}
        self.failure = None
        self._service = service
        self._needles = needles
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self):
        try:
            while not self._ended.is_set():
                daemon = self._service.daemon
                living = processes_of_group(daemon.pid) if daemon is not None else []
                if living:  # whoever was seen least: a helper as soon as it is there
                    self._scan(min(living, key=lambda one: self.scans[one.role]))
                time.sleep(0.001)
        except Exception as failure:  # raised again by whoever started it
            self.failure = failure

    def _scan(self, one):
        try:
            names, size = find_in_process(one.pid, self._needles, "rw")
            names |= self._in_words(one.pid)
        except (FileNotFoundError, ProcessLookupError):
            names, size = set(), 0  # it has ended meanwhile
        self.found.setdefault(one.role, set()).update(names)
        self.scans[one.role] += size > 0

    def _in_words(self, pid):
        """What is in the arguments and the environment."""
        return {
            f"{name} in {file}"
            for file in ("cmdline", "environ")
            for name in find_in_file(f"/proc/{pid}/{file}", self._needles)
        }
