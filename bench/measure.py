"""What the benchmarks share: programs, pinning, requests, tables."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

SERVICE_CORE, CLIENT_CORE = "0", "1"
PROGRAMS = Path(os.environ.get("OXV_BENCH_BUILD") or TOP / "build/benchmarks") / "bench"
PREFIX = Path(os.environ.get("OXV_PREFIX") or TOP / "build/install")


def pinned(core):
    return ["taskset", "-c", core]


def http_request(connection, url):
    body = json.dumps({"connection": connection, "method": "GET", "url": url}).encode()
    head = (
        "POST /v1/sign/oauth1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(socket, connections, seconds, request_files, answer_bytes=0):
    """(answers per second, p50 in us, p99 in us)"""
    done = subprocess.run(
        [*pinned(CLIENT_CORE), PROGRAMS / "bench_load", socket, str(connections), str(seconds),
         str(answer_bytes), *request_files],
        check=True, capture_output=True, text=True,
    )
    return tuple(float(word) for word in done.stdout.split())


def median(rounds):
    """Of each column."""
    return tuple(statistics.median(column) for column in zip(*rounds))


def table(head, rows):
    rows = [head, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        first = row[0].ljust(widths[0])
        print("  ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]).rstrip())


def file_system(path):
    done = subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def verdict(words, value, wanted, least=True):
    """Prints whether a figure that issue 2 asks for is reached; returns it."""
    reached = value >= wanted if least else value <= wanted
    print(f"{'reached' if reached else 'NOT REACHED'}: {words}: {value:.2f}"
          f" ({'at least' if least else 'at most'} {wanted})")
    return reached
