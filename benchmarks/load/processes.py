"""The processes of the benchmark: servers, which are watched from outside, and clients."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.load.client import Load

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build" / "load"
START_SECONDS = 120
ACCEPTOR = ("-m", "acceptor", "serve")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """What the condition gives as soon as it is true.

    Raises:
        TimeoutError: It did not become true in time.
    """
    until = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)
    return found


class Server:
    """A server in a process of its own, its log in a file.

    Args:
        command: The command line.
        ready: From the log to the server's port, or None if it is not there yet.
        path: The path that answers 200 once the server is ready.
    """

    def __init__(self, command: list[str], ready: Callable[[str], int | None], path: str) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="acceptor-load-", suffix=".log")  # noqa: SIM115 - until `stop`
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=REPOSITORY)
        try:
            self.port: int = wait_for(lambda: ready(self.log()) or self._ended(), "the server's port", START_SECONDS)
            wait_for(lambda: self.status(path) == 200 or self._ended(), "the server's first answer", START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _ended(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()[-2000:]}")

    def log(self) -> str:
        """What the server has written."""
        return Path(self._log.name).read_text("utf-8", "replace")

    def status(self, path: str) -> int | None:
        """The status of a GET; None without an answer."""
        try:
            return int(self.get(path)[0])
        except (OSError, ValueError):
            return None

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def outcomes(self) -> Counter[str]:
        """What /metrics says of requests to /v1/judge, by outcome."""
        found: Counter[str] = Counter()
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith("acceptor_requests_total{") and 'path="/v1/judge"' in line:
                found[line.partition('outcome="')[2].partition('"')[0]] += int(float(line.rsplit(" ", 1)[1]))
        return found

    def workers(self) -> list[int]:
        """The process ids of the workers that run."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if _state(int(child)) not in "ZX"]

    def memory(self) -> int:
        """Resident bytes of all its processes."""
        return sum(resident(pid) for pid in (self.process.pid, *_descendants(self.process.pid)))

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        pids = (self.process.pid, *_descendants(self.process.pid))
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in pids) / os.sysconf("SC_CLK_TCK")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops all its processes for a while: some servers take processor time even if they have nothing to do."""
        pids = (self.process.pid, *_descendants(self.process.pid))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> int | None:
        """Ends it, its children too."""
        children = _descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(45)
            self.process.kill()
        for pid in children:  # those that do not end with their parent
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()
        return self.process.returncode

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(f"the server's log:\n{self.log()[-2000:]}", file=sys.stderr)
        self.stop()


def acceptor_server(run: Path, *options: str, command: tuple[str, ...] = ACCEPTOR) -> Server:
    """`acceptor serve` on a free port."""

    def ready(log: str) -> int | None:
        lines = [line for line in log.splitlines() if "serving at http://127.0.0.1:" in line]
        return int(lines[0].rsplit(":", 1)[1]) if lines else None

    return Server([sys.executable, *command, str(run), "--port", "0", *options], ready, "/health/ready")


def free_port() -> int:
    """A port that is free now, for servers that cannot choose one."""
    with socket.create_server(("127.0.0.1", 0)) as trial:
        return int(trial.getsockname()[1])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none if the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", *["0"] * 20]


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in (child, *_descendants(child))]


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 if it has gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@contextlib.contextmanager
def peak_memory(server: Server, every: float = 0.05) -> Iterator[dict[str, int]]:
    """Watches a server's memory: ``before`` and the ``peak`` meanwhile, in bytes."""
    found = {"before": server.memory(), "peak": server.memory()}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every):
            found["peak"] = max(found["peak"], server.memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


class Client:
    """A client process that has started."""

    def __init__(self, load: Load) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load.client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(load.to_json())
        self.process.stdin.close()
        self._lines: list[str] = []

    def wait_open(self) -> None:
        """Waits until all its connections are open."""
        assert self.process.stdout is not None
        self._lines.append(self.process.stdout.readline())

    def is_running(self) -> bool:
        """It has not ended."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Makes it send no more requests."""
        self.process.terminate()

    def result(self) -> dict[str, Any]:
        """What came of its requests."""
        assert self.process.stdout is not None
        with self.process.stdout:
            lines = [*self._lines, *self.process.stdout]
        if self.process.wait() != 0:
            raise RuntimeError("the client failed")
        found: dict[str, Any] = json.loads(lines[-1])
        return found


def asked(load: Load) -> dict[str, Any]:
    """What came of the requests of one client."""
    return Client(load).result()


def raise_limits() -> int:
    """As many open files as this user may have; their number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def set_client_core_apart() -> int | None:
    """With four cores or more, keeps the last one for clients; gives its number."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 4:
        return None
    os.sched_setaffinity(0, set(cores[:-1]))
    return cores[-1]
