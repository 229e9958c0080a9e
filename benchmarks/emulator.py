"""Requests per second of the device emulator under a raw-socket load, beside a bare server of the standard library.

Both run as processes of their own; eight connections are kept open, each sends its next request when the last is
answered. The bare server answers fixed bytes: what the machine and Python give at most to a server of this kind. The
figures per second of the server's processor time hold on a busy machine too.

Run: python benchmarks/emulator.py
"""

from __future__ import annotations

import argparse
import re
import select
import socket
import subprocess
import sys
import time
from itertools import cycle

import psutil

LIMIT_PER_S = 2000.0
CONNECTIONS = 8
NODE = ["/get/dcdc/status/E00{u}"] * 6 + ["/get/unit/E00{u}"] * 3 + ["/set/dcdc/current/E00{u}?dig=1"]
LOADS = {
    "unit data": ["/get/unit/E001"],
    "status of the converter": ["/get/dcdc/status/E001"],
    "set of the mode": ["/set/dcdc/E001?mode=0x0000&dvg=350&dig=0&drg=0"],
    "as nodes ask (9 reads, 1 set)": [path.format(u=1 + k % 4) for k in range(4) for path in NODE],
    "all units": ["/get/log"],
}
BARE = """
import http.server
BODY = b'{"meter": {"vg": 350.0}}'
class Fixed(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", str(len(BODY))); self.end_headers()
        self.wfile.write(BODY)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        connection, address = super().get_request()
        import socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address
server = Server(("127.0.0.1", 0), Fixed)
print("page http://127.0.0.1:%d/ ends with" % server.server_port, flush=True)
server.serve_forever()
"""


def started(command: list[str]) -> tuple[subprocess.Popen[str], int]:
    """Start a server and return it with the port that it says."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    port = 0
    for line in process.stdout or ():
        if found := re.search(r"page\s+http://127.0.0.1:(\d+)/", line):
            port = int(found[1])
        if "ends with" in line:
            break
    return process, port


def per_second(server: psutil.Process, port: int, paths: list[str], seconds: float) -> tuple[float, float]:
    """Return how many requests are answered (all with 200) per second, and per second of *server*'s processor time."""
    requests = cycle([f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths])
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    buffers = dict.fromkeys(connections, b"")
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(next(requests))
    answered, began, used = 0, time.perf_counter(), sum(server.cpu_times()[:2])
    while time.perf_counter() - began < seconds:
        for connection in select.select(connections, [], [], 10)[0]:
            buffers[connection] += connection.recv(262_144)
            head, separator, body = buffers[connection].partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if not separator or not length or len(body) < int(length[1]):
                continue
            if not re.match(rb"HTTP/1\.[01] 200 ", head):
                raise SystemExit(f"an answer that is not 200: {head[:80]!r}")
            answered += 1
            buffers[connection] = body[int(length[1]) :]
            connection.sendall(next(requests))
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return answered / took, answered / (sum(server.cpu_times()[:2]) - used)


def main() -> None:
    """Print one line per load, with its ratio to the limit and to the bare server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    seconds = parser.parse_args().seconds
    bare, bare_port = started([sys.executable, "-c", BARE])
    ports = ["--port", "0", "--v2-port", "0", "--v1-port", "0"]
    emulator, port = started([sys.executable, "-m", "apis_rules", "emulate", *ports])
    try:
        base, base_cpu = per_second(psutil.Process(bare.pid), bare_port, ["/"], seconds)
        print(f"{'':34s}  per second  of limit  of bare   per processor second  of bare")
        print(f"{'bare server, fixed bytes':34s}{base:12.0f}{'':19s}{base_cpu:23.0f}")
        for name, paths in LOADS.items():
            found, cpu = per_second(psutil.Process(emulator.pid), port, paths, seconds)
            ratios = f"{found / LIMIT_PER_S:9.2f}x{found / base:8.2f}x"
            print(f"{name:34s}{found:12.0f}{ratios}{cpu:23.0f}{cpu / base_cpu:8.2f}x")
    finally:
        for process in (bare, emulator):
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
