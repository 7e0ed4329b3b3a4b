"""Runs a command at a terminal of its own, to see what a user sees."""

import os
import pty
import select
import signal
import termios
import time


class Terminal:
    def __init__(self, *command, environment=None):
        self.text = ""
        self.code = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(str(command[0]), [str(word) for word in command],
                      {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8", **(environment or {})})

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, text, seconds=20.0):
        end = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} did not come: {self.text!r}"
            if not self._read(0.5) and self.ended():
                break
        assert text in self.text, self.text
        before, self.text = self.text.split(text, 1)
        return before

    def wait_for_silence(self, seconds=20.0):
        """Until the terminal does not echo, as when a secret is asked for."""
        end = time.monotonic() + seconds
        while self.echoes():
            assert time.monotonic() < end
            time.sleep(0.005)

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.fd, text.encode())

    def signal(self, number):
        os.kill(self.pid, number)

    def ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds=30.0):
        """Everything that is printed until the end."""
        end = time.monotonic() + seconds
        while not self.ended():
            assert time.monotonic() < end, self.text
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.text

    def close(self):
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
