"""Callers that sign without a pause and remember every signature that they were given."""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass

from support import oauth
from support.credentials import EMPLOYEE_URL
from support.door import Door
from support.process import wait_until


@dataclass(frozen=True)
class Released:
    """A signature that left the service: from now on it must be in the log."""

    index: int
    nonce: str
    sig_hash: str
    asked_at: float

    def __str__(self):
        return f"entry {self.index} with nonce {self.nonce}"


class Load:
    """
    `threads` connections to the sign door, each with one request under way. `refused` counts the
    answers 503, by code.
    """

    def __init__(self, socket, threads=4, connection="acme"):
        self.socket = socket
        self.connection = connection
        self.released = []
        self.refused = Counter()
        self.unexpected = []
        self._going = False
        self._ended = False
        self._idle = 0
        self._state = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def go(self):
        with self._state:
            self._going = True
            self._state.notify_all()

    def pause(self):
        """Returns when no request is under way."""
        with self._state:
            self._going = False
            idle = self._state.wait_for(lambda: self._idle == len(self._threads), 15.0)
        assert idle, "a request stays without an answer"

    def end(self):
        with self._state:
            self._ended = True
            self._state.notify_all()
        for thread in self._threads:
            thread.join(15.0)

    def wait_for(self, count, seconds=15.0):
        """Until `count` more signatures have been released."""
        wanted = len(self.released) + count
        wait_until(lambda: len(self.released) >= wanted, seconds, f"{count} signatures")

    def wait_for_one_asked_after(self, moment, seconds=15.0):
        wait_until(
            lambda: self.released and self.released[-1].asked_at > moment,
            seconds,
            "a signature asked for after the kill",
        )

    def _run(self, number):
        door = Door(self.socket, timeout=10.0)
        url = f"{EMPLOYEE_URL}{number}"
        while self._may_go_on():
            self._ask(door, url)
        door.close()

    def _may_go_on(self):
        with self._state:
            while not self._going and not self._ended:
                self._idle += 1
                self._state.notify_all()
                self._state.wait()
                self._idle -= 1
            return not self._ended

    def _ask(self, door, url):
        asked_at = time.monotonic()
        try:
            answer = door.post(
                "/v1/sign/oauth1", {"connection": self.connection, "method": "GET", "url": url}
            )
        except (OSError, http.client.HTTPException):
            time.sleep(0.001)  # nobody at the door for a moment
        else:
            self._note(answer, asked_at)

    def _note(self, answer, asked_at):
        if answer.status == 200:
            given = answer.json
            signature = oauth.header_parameters(given["authorization"])["oauth_signature"]
            released = Released(
                given["log"]["index"], given["nonce"], oauth.signature_hash(signature), asked_at
            )
            self.released.append(released)
        elif answer.status == 503:
            self.refused[answer.code] += 1
            time.sleep(0.001)
        else:
            self.unexpected.append(answer)


def not_in_log(released, entries):
    """Those of `released` that no entry of the log tells of."""
    logged = {(e["seq"], e["nonce"], e["sig_hash"]) for e in entries if "sig_hash" in e}
    return [r for r in released if (r.index, r.nonce, r.sig_hash) not in logged]
