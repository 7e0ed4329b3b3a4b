#!/usr/bin/python3
"""A keeper, frontend or token helper that does what a test tells it: for tests of the supervisor.

Installed as oxvault-keeper, oxvault-frontend and oxvault-token into a directory for --libexec. What it is to do
stands in DIR/behaviour.json (DIR from --dir); what it saw goes to DIR/seen, a JSON line each.
"""

import json
import os
import resource
import signal
import socket
import stat
import struct
import sys

CHANNEL_FD = 3
PUBLISH, READY, WANT_FRONTEND, REFUSE, STATE, FRONTEND_LOST, WANT_HELPER, HELPER_LOST = range(192, 200)
START, PUBLISHED, FRONTEND, FRONTEND_FAILED, STOP, PIN, HELPER, HELPER_FAILED = range(224, 232)
START_NUMBERS = {
    1: "source", 2: "memory_unlocked", 3: "require_sandbox", 4: "service_uid_plus1",
    5: "admin_gid_plus1", 6: "audit_gid_plus1", 7: "single_uid", 8: "userns_allowed", 10: "replaces",
}


def number(tag, value):
    return struct.pack(">BIQ", tag, 8, value)


def text(tag, value):
    return struct.pack(">BI", tag, len(value)) + value.encode()


def fields(payload):
    found = {}
    while payload:
        tag, size = struct.unpack_from(">BI", payload)
        found[tag], payload = payload[5 : 5 + size], payload[5 + size :]
    return found


def datagram(message_type, message_id, payload=b""):
    return b"\x01" + struct.pack(">BQI", message_type, message_id, len(payload)) + payload


def messages(data):
    assert data[0] == 1
    data = data[1:]
    while data:
        message_type, message_id, size = struct.unpack_from(">BQI", data)
        yield message_type, message_id, data[13 : 13 + size]
        data = data[13 + size :]


def status_line(name):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(line.split(":", 1)[1].strip() for line in status if line.startswith(name))


def about_this_process():
    return {
        "pid": os.getpid(), "argv": sys.argv[1:], "environment": dict(os.environ),
        "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(),
        "group": os.getpgid(0), "capabilities": status_line("CapPrm"),
        "bounding": status_line("CapBnd"), "blocked_signals": status_line("SigBlk"),
        "no_new_privs": status_line("NoNewPrivs"),
        # 3 is the channel; listdir's own descriptor is closed by now
        "descriptors": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if is_open(int(fd))),
        "limits": {"files": resource.getrlimit(resource.RLIMIT_NOFILE),
                   "data": resource.getrlimit(resource.RLIMIT_DATA)},
        "stdin": os.readlink("/proc/self/fd/0"),
        "stdout_is_stderr": os.path.sameopenfile(1, 2),
    }


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


class Fake:
    def __init__(self, directory):
        self.directory = directory
        self.channels = {}
        self.channel = socket.socket(fileno=CHANNEL_FD)
        with open(f"{directory}/behaviour.json", encoding="utf-8") as file:
            self.behaviour = json.load(file)

    def see(self, event, **details):
        line = json.dumps({"event": event, **details}) + "\n"
        fd = os.open(f"{self.directory}/seen", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(fd, line.encode())
        os.close(fd)

    def send(self, message_type, message_id=0, payload=b""):
        self.channel.send(datagram(message_type, message_id, payload))

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.channel, 65536, 8)
        return (list(messages(data)) if data else None), list(fds)

    def run(self):
        self.see("started", **about_this_process())
        self.die_if("before-start")
        self.start()
        self.die_if("before-ready")
        if "refuse" in self.behaviour:
            code, words = self.behaviour["refuse"]
            self.send(REFUSE, 0, number(1, code) + text(2, words))
            sys.exit(1)
        self.send(PUBLISH, 7, text(1, f"public key of {os.getpid()}\n"))
        (message_type, message_id, _), = self.receive()[0]
        assert (message_type, message_id) == (PUBLISHED, 7)
        self.see("published")
        self.send(READY, 0, number(1, self.behaviour.get("sealed", 0)))
        for text_of_pub in self.behaviour.get("publish", []):
            self.publish(text_of_pub)
        signal.signal(signal.SIGUSR1, lambda *_: self.lose(*self.behaviour["lose"]))
        signal.signal(signal.SIGUSR2, lambda *_: self.lose_helpers(
            *self.behaviour["lose-helpers"], orderly=self.behaviour.get("orderly", 0)))
        for serial in self.behaviour.get("helpers", []):
            self.send(WANT_HELPER, 200 + serial, number(1, serial))
        for i in range(self.behaviour.get("frontends", 0)):
            self.send(WANT_FRONTEND, 100 + i, self.frontend(50 + i))
            if self.behaviour.get("lose-at-once"):
                self.lose(50 + i)
        while self.behaviour.get("hang"):
            signal.pause()
        self.die_if("after-ready")
        for _ in range(self.behaviour.get("lock", 0)):
            self.send(STATE, 0, number(1, 1))
        if self.behaviour.get("garbage"):
            self.channel.send(b"\x01garbage")
        self.serve()

    @staticmethod
    def frontend(serial):
        return number(1, 1 + (serial - 50) % 3) + number(2, 950 + serial) + number(3, serial)

    def lose(self, *serials):
        """Closes their channels and says so."""
        for serial in serials:
            if serial in self.channels:
                os.close(self.channels.pop(serial))
            self.send(FRONTEND_LOST, 0, self.frontend(serial))

    def lose_helpers(self, *serials, orderly=0):
        for serial in serials:
            self.send(HELPER_LOST, orderly, number(1, serial))

    def publish(self, words):
        self.send(PUBLISH, 8, text(1, words))
        (message_type, message_id, _), = self.receive()[0]
        assert (message_type, message_id) == (PUBLISHED, 8)
        self.see("published-again")

    @staticmethod
    def numbers(payload):
        return {tag: int.from_bytes(value, "big") for tag, value in fields(payload).items()}

    def die_if(self, moment):
        if self.behaviour.get("die") == moment:
            if "exit" in self.behaviour:
                sys.exit(self.behaviour["exit"])
            os.kill(os.getpid(), signal.SIGKILL)

    def start(self):
        received, fds = self.receive()
        (message_type, _, payload), = received
        while message_type == PIN:
            (fd,) = fds
            label, path = (fields(payload).get(tag, b"").decode() for tag in (1, 2))
            self.see("pin", label=label, path=path, secret=os.read(fd, 1000).decode())
            received, fds = self.receive()
            (message_type, _, payload), = received
        assert message_type == START
        found = fields(payload)
        seen = {name: int.from_bytes(found.get(tag, b""), "big")
                for tag, name in START_NUMBERS.items()}
        seen["source_path"] = found.get(9, b"").decode()
        seen["listening"] = [
            socket.socket(fileno=fd).getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            for fd in os_dup(fds[:3])
        ]
        if len(fds) > 3:
            seen["secret"] = os.read(fds[3], 1000).decode()
            seen["secret_is_file"] = stat.S_ISREG(os.fstat(fds[3]).st_mode)
        self.doors = fds[:3]
        self.see("start", **seen)

    def serve(self):
        while True:
            received, fds = self.receive()
            if received is None:
                self.see("end-of-channel")
                return
            for message_type, message_id, payload in received:
                self.see("message", type=message_type, id=message_id, fds=len(fds),
                         fields=self.numbers(payload))
                if message_type == FRONTEND:
                    (self.channels[self.numbers(payload)[3]],) = fds
                if message_type == STOP and not self.behaviour.get("deaf"):
                    self.see("stopped")
                    return


def os_dup(fds):
    return [os.dup(fd) for fd in fds]


def run_child(directory, role):
    """Ends at the end of its channel, as a real one does; not where there is a file `stay`."""
    line = json.dumps(about_this_process()) + "\n"
    with open(f"{directory}/{role}s", "a", encoding="utf-8") as seen:
        seen.write(line)
    if os.path.exists(f"{directory}/stay"):
        signal.pause()
    socket.socket(fileno=CHANNEL_FD).recv(1)


if __name__ == "__main__":
    name = os.path.basename(sys.argv[0])
    if name != "oxvault-keeper":
        run_child(os.path.dirname(sys.argv[0]), name.removeprefix("oxvault-"))
    else:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        Fake(sys.argv[sys.argv.index("--dir") + 1]).run()
