"""A door that answers what a test wants: for what no real service ever sends."""

import socket
import threading


class FakeDoor:
    """`answer(target, body)` returns the bytes to send, whole with status line; then it closes."""

    def __init__(self, path, answer):
        self.answer = answer
        self.requests = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                self._serve_one(peer)

    def _serve_one(self, peer):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = peer.recv(65536)
            if not piece:
                return
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += peer.recv(65536)
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.requests.append((method, target, body))
        peer.sendall(self.answer(target, body))


def ok(body, content_type="application/json"):
    data = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data
