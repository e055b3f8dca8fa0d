"""A real server in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import httpx

from conftest import REPOSITORY, wait_for


@dataclass
class Server:
    """A running `acceptor serve`."""

    process: subprocess.Popen
    lines: list[str] = field(default_factory=list)

    @property
    def url(self):
        return next((found[1] for line in self.lines if (found := re.search(r"serving at (http://\S+)", line))), None)

    @property
    def host(self):
        return self.url.removeprefix("http://")

    def is_ready(self):
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/ready", timeout=30).status_code == 200

    def workers(self):
        """The process ids of the workers."""
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{''.join(self.lines)}"
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(600)


@contextlib.contextmanager
def serving(*arguments, program=("-m", "acceptor"), env=None):
    """A server that is ready; it is stopped at the end, and must then exit with 0."""
    command = [sys.executable, *program, "serve", "--port", "0", "--drain-delay", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, env=env)
    server = Server(process)

    reader = threading.Thread(target=lambda: [server.lines.append(line) for line in process.stderr], daemon=True)
    reader.start()
    try:
        wait_for(lambda: server.url or process.poll() is not None)
        assert process.poll() is None, "".join(server.lines)
        wait_for(server.is_ready)
        yield server
        if process.poll() is None:
            assert server.stop() == 0, "".join(server.lines)
    finally:
        for pid in [] if process.poll() is not None else server.workers():  # they would hold stderr open
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
