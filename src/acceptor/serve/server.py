"""`serve`: loads the judges, starts worker processes, starts them anew if they end, and ends without losing a request.

Granian answers HTTP. On Linux the judges are loaded once, before the workers are forked, so that all of them share the
pages of the weights, and a new worker is ready at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import importlib.util
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from acceptor.errors import AcceptorError, ResourceError, RunError, check_installed
from acceptor.judging.judge import PAIRS, Judge
from acceptor.judging.load import files_of, load, run_path
from acceptor.model.onnx import OnnxModel
from acceptor.runtime.device import choose_device
from acceptor.runtime.garbage import collect_as_usual
from acceptor.runtime.threads import choose_threads
from acceptor.serve.settings import CONNECTIONS, COUNTERS_PREFIX, ServeSettings

logger = logging.getLogger(__name__)

Loaded = tuple[dict[str, Judge], dict[str, str]]

FILES_BESIDE_CONNECTIONS = 128  # that a process has open: standard streams, judges, counters, a GPU's device files


def serve(settings: ServeSettings) -> None:
    """Serves judges over HTTP until SIGTERM or SIGINT. SIGHUP loads them anew.

    Args:
        settings: What to serve, and where.

    Raises:
        UsageError: A package is missing; or a judge cannot be loaded with these settings.
        RunError: A judge is missing or damaged.
        ResourceError: The address is in use, or the workers end as soon as they have started.
    """
    with contextlib.suppress(AttributeError, ValueError):  # Windows; not in the main thread
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the workers run, since it would end the process
    check_installed("granian", "prometheus_client", "starlette")
    settings = dataclasses.replace(settings, connections=connections_allowed())
    with listening(settings) as listener, _shared_counters():
        from acceptor.serve.workers import start

        forks = sys.platform == "linux" and not uses_gpu(settings)
        multiprocessing.set_start_method("fork" if forks else "spawn", force=True)
        judges = Judges(settings, forks=forks)
        for name, judge in judges.loaded[0].items() if judges.loaded else []:
            logger.info("%s is %r", name, judge)
        host, port = listener.getsockname()[:2]
        logger.info("serving at http://%s:%d", f"[{host}]" if ":" in host else host, port)
        start(settings, listener, application=judges.application, reload=judges.reload)


def connections_allowed() -> int:
    """How many connections each worker accepts: `CONNECTIONS`, or as many as it may open files.

    Raises the limit of open files of this process, which the workers inherit, as far as that needs: 1,024 is usual.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return CONNECTIONS
    needed = CONNECTIONS + FILES_BESIDE_CONNECTIONS
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    files, most = (needed if one == resource.RLIM_INFINITY else min(one, needed) for one in limits)
    if files < most:
        with contextlib.suppress(ValueError, OSError):  # macOS may allow fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
            files = most
    connections = max(1, files - FILES_BESIDE_CONNECTIONS)
    if connections < CONNECTIONS:
        logger.warning(
            "each worker accepts %s connections at the same time and not %s, because a process may open %s files here; "
            "to raise that, as root: ulimit -n %d; LimitNOFILE=%d in a unit of systemd; --ulimit nofile=%d for Docker",
            *(f"{number:,}" for number in (connections, CONNECTIONS, files)),
            *[needed] * 3,
        )
    return connections


def uses_gpu(settings: ServeSettings) -> bool:
    """True if a judge will be computed on a GPU: a process that uses one cannot share it with those that it forks."""
    if all(run.endswith(".onnx") for run in settings.judges.values()) or importlib.util.find_spec("torch") is None:
        return False
    return bool(choose_device(settings.device).value != "cpu")


class Judges:
    """The judges as the parent process keeps them, for the workers that it forks."""

    def __init__(self, settings: ServeSettings, *, forks: bool) -> None:
        self.settings = settings
        self.loaded = load_judges(settings) if forks else None  # else each worker loads them

    def application(self) -> Any:
        """The application, in a worker."""
        return make_application(self.settings, self.loaded)

    def reload(self) -> bool:
        """Loads the judges from the same paths again, and tries them. The old ones stay if that fails."""
        try:
            loaded = load_judges(self.settings)
        except AcceptorError as error:
            logger.error("the judges were not reloaded; the old ones go on\n%s", error)
            return False
        except Exception:  # of any kind, such as too little memory: this process must go on
            logger.exception("the judges were not reloaded; the old ones go on")
            return False
        if self.loaded:
            self.loaded = loaded
        return True


def load_judges(settings: ServeSettings) -> Loaded:
    """The judges by name, each of which has judged a sentence; and the sha256 of each one's files.

    Raises:
        UsageError: As `load`.
        RunError: As `load`; or a judge computes NaN.
    """
    judges, versions = {}, {}
    exported = all(run.endswith(".onnx") for run in settings.judges.values())
    with contextlib.nullcontext() if exported or importlib.util.find_spec("torch") is None else one_thread():
        for name, run in settings.judges.items():
            judge = judges[name] = _in_memory(load(run, device=settings.device, precision=settings.precision))
            sentence = ["The cats sleep."]  # of unknown tokens, perhaps: not every judge reads English
            encoded = judge.encode(sentence, sentence if judge.inputs == PAIRS else None, refuse=False)
            if not np.isfinite(judge.logits_of(encoded)).all():
                raise RunError("the judge computes logits that are not finite", where=run, code="E-RUN-NAN")
            if judge.recomputes_close_calls:
                judge.scorer(judge.runtime.precision)  # now, so that the workers share its weights, too
            files = sorted(files_of(run_path(run)).items())
            versions[name] = hashlib.sha256(repr(files).encode()).hexdigest()
    return judges, versions


def _in_memory(judge: Judge) -> Judge:
    """The judge with its weights in memory: as pages of a file, a process dies if the file is overwritten in place."""
    if not isinstance(judge.model, OnnxModel) and judge.runtime.device == "cpu":
        for parameter in judge.model.parameters():
            parameter.data = parameter.data.clone()
    return judge


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Computes with torch on one thread, because a forked process has none of its parent's other ones."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_application(settings: ServeSettings, loaded: Loaded | None) -> Any:
    """The application of one worker process."""
    _leave_signals_to_the_parent()
    judges, versions = loaded or load_judges(settings)
    threads = threads_of_a_worker(settings.workers)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    from acceptor.serve import access_log
    from acceptor.serve.app import application
    from acceptor.serve.service import Service

    shared = {
        name: judge.with_runtime(dataclasses.replace(judge.runtime, threads=threads)) for name, judge in judges.items()
    }
    service = Service(shared, versions, settings)
    if settings.access_log:
        access_log.set_up()
    collect_as_usual()  # what is loaded by now stays; looking through it again and again stops every request for .3 s
    return application(service)


def threads_of_a_worker(workers: int) -> int:
    """The share of each of several workers: of a container's limit, where there is one, or of OMP_NUM_THREADS."""
    return max(1, int(choose_threads().value) // workers)


def _leave_signals_to_the_parent() -> None:
    """In a worker that is starting: none of the parent's handlers; Ctrl-C on a terminal ends the parent alone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def listening(settings: ServeSettings) -> socket.socket:
    """The socket of all workers, which listens: two servers that are started at the same time cannot have one port.

    Raises:
        ResourceError: The address is in use, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        found = socket.getaddrinfo(settings.host or None, settings.port, family, flags=socket.AI_PASSIVE)
        listener = socket.create_server(found[0][4], family=family, backlog=CONNECTIONS)
    except (OSError, ValueError) as error:  # ValueError: of a host that can be no name
        code = getattr(error, "errno", None)
        is_port = code in (errno.EADDRINUSE, errno.EACCES)
        raise ResourceError(
            f"the server cannot listen on {settings.host}, port {settings.port}",
            expected=None if is_port else "an address of this machine, or a name that has one",
            cause=getattr(error, "strerror", None) or str(error),
            next="choose another port: --port 8001; or 0 for a free one"
            if is_port
            else "--host 127.0.0.1 for this machine alone, or --host 0.0.0.0 for all of its addresses",
            code="E-RESOURCE-ADDRESS",
        ) from error
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def _shared_counters() -> Iterator[None]:
    """A folder for the counters of all workers, removed at the end."""
    folder = tempfile.mkdtemp(prefix=COUNTERS_PREFIX)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
