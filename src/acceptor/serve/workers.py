"""The worker processes of a server: Granian's, with a shared socket, a notice before the end, and a safe reload."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server import Server

from acceptor.serve.limits import HEADER_SECONDS
from acceptor.serve.metrics import forget_process, has_started, make_folder
from acceptor.serve.settings import CONNECTIONS, ServeSettings

logger = logging.getLogger(__name__)

START_SECONDS = 120  # in which a new worker has loaded its judges, on a GPU, where each loads its own


def start(
    settings: ServeSettings,
    listener: socket.socket,
    *,
    application: Callable[[], Any],
    reload: Callable[[], bool],
) -> None:
    """Runs the workers until SIGTERM or SIGINT; then the process exits with 0.

    Args:
        settings: Where to listen, and with how many workers.
        listener: The socket that listens.
        application: Makes the ASGI application, in a worker.
        reload: Loads the judges anew, in this process, when SIGHUP comes; false if the old ones go on.
    """
    server = _Workers(
        "acceptor",
        listener=listener,
        reload=reload,
        drain_delay=settings.drain_delay,
        address=settings.host,
        port=listener.getsockname()[1],
        interface=Interfaces.ASGI,
        workers=settings.workers,
        websockets=False,
        http=HTTPModes.http1,
        loop=Loops.asyncio,  # and not uvloop, wherever another package brings it
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        backlog=CONNECTIONS,
        backpressure=settings.connections,
        respawn_failed_workers=True,
        respawn_interval=settings.drain_delay,  # between a new worker's start and the end of the one it replaces
        workers_kill_timeout=int(settings.drain_timeout),
        log_level=LogLevels.error,
    )
    server.serve(target_loader=application, wrap_loader=False)


class _Workers(Server):  # type: ignore[misc, valid-type]
    """Granian's server. What is changed: the socket, the end, the reload, and which failures it gives up after."""

    def __init__(
        self,
        target: str,
        *,
        listener: socket.socket,
        reload: Callable[[], bool],
        drain_delay: float,
        **settings: Any,
    ) -> None:
        super().__init__(target, **settings)
        self.listener, self.load_anew, self.drain_delay = listener, reload, drain_delay
        self.is_reloading = False

    def _init_shared_socket(self) -> None:
        """One socket for all workers: with one for each, connections that wait in it are lost when its worker ends."""
        self.listener.set_inheritable(True)
        self._ssp, self._sso, self._sfd = None, self.listener, self.listener.fileno()
        more = () if sys.platform == "win32" else (False, self.backlog)  # it is no Unix domain socket
        self._shd = SocketHolder(self._sfd, *more)  # type: ignore[call-arg]

    def shutdown(self, exit_code: int = 0) -> None:
        """Makes the workers say that they are not ready, then ends them."""
        if not self.interrupt_signal:
            super().shutdown(exit_code)
            return
        logger.info("stopping: requests that were accepted are answered first")
        if self._signal_workers("SIGUSR1"):
            time.sleep(self.drain_delay)  # so that whoever sends requests here learns that it should not
        with contextlib.suppress(SystemExit):  # of a worker that Ctrl-C has ended while it was starting
            super().shutdown(exit_code)

    def _signal_workers(self, name: str) -> bool:
        """Sends all workers a signal; false if the system lacks it."""
        if not hasattr(signal, name):
            return False
        for worker in self.wrks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.inner.pid, getattr(signal, name))
        return True

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:
        self.reload_signal = False
        self.main_loop_interrupt.clear()
        if self.load_anew():
            self._signal_workers("SIGUSR2")
            again = self.reload_signal
            self.interrupt_children.clear()  # all are replaced, also those that ended while the judges were loaded
            self.is_reloading = True
            super()._reload(spawn_target, target_loader)
            self.is_reloading = False
            logger.info("the judges were reloaded")
            if again:  # another SIGHUP came while the judges were loaded
                self.reload_signal = True
                self.main_loop_interrupt.set()
        elif self.interrupt_signal or self.interrupt_children:  # a signal, or a worker's end, just before the `clear`
            self.main_loop_interrupt.set()

    def _spawn_worker(self, *arguments: Any, **options: Any) -> Any:
        """A worker. At a reload, starting it takes until it serves: then the one that it replaces is ended."""
        make_folder()
        worker = super()._spawn_worker(*arguments, **options)
        if self.is_reloading:
            worker.start = functools.partial(self._start, worker, worker.start)
        return worker

    def _start(self, worker: Any, start: Callable[[], None]) -> None:
        start()
        end = time.monotonic() + START_SECONDS
        while not has_started(worker.inner.pid) and worker.is_alive():
            if self.interrupt_signal or time.monotonic() > end:
                return
            time.sleep(0.05)

    def _respawn_workers(self, workers: list[int], *arguments: Any, **options: Any) -> None:
        ended = [self.wrks[index] for index in workers]
        super()._respawn_workers(workers, *arguments, **options)
        for index, old in zip(workers, ended, strict=True):
            forget_process(old.inner.pid)
            if has_started(old.inner.pid):
                self.respawned_wrks.pop(index, None)  # no loop of failing starts
        if self.interrupt_signal or self.interrupt_children:  # meanwhile, and Granian may have cleared the event since
            self.main_loop_interrupt.set()
