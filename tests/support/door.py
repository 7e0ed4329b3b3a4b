"""HTTP over a Unix socket, with keep-alive."""

import http.client
import json
import socket


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The stable error code of a problem document."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        return self.json["code"]

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Door:
    """One connection to one door, reopened where the other end closed it."""

    def __init__(self, path, timeout=30.0):
        self.path = str(path)
        self._http = _Connection(self.path, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._http.close()

    def request(self, method, target, body=None, headers=None):
        """`body` is bytes as they are, or anything else to be sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            self._http.request(method, target, body=body, headers=headers)
            return Answer(self._http.getresponse())
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise

    def get(self, target, **options):
        return self.request("GET", target, **options)

    def post(self, target, body=None, **options):
        return self.request("POST", target, body=body, **options)

    def delete(self, target, **options):
        return self.request("DELETE", target, **options)


def raw(path, data, timeout=10.0):
    """Sends bytes as they are and returns everything until the other end closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout)
        peer.connect(str(path))
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := peer.recv(65536):
            answer += chunk
        return answer
