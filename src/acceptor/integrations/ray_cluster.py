"""Connects to a running Ray cluster, or starts and stops a local one."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from acceptor.errors import AcceptorError, ResourceError, RunError, UsageError, check_installed

LOCAL, AUTO = "local", "auto"
PATIENCE = 10  # seconds for a host to accept a connection
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")


def check_cluster(cluster: str) -> None:
    """Refuses a value that is not ``local``, ``auto`` or HOST:PORT.

    Raises:
        UsageError: ``cluster`` is something else.
    """
    if cluster not in (LOCAL, AUTO) and not re.fullmatch(r"[^/\s]+:[0-9]+", cluster):
        raise UsageError(
            f"{cluster!r} is not a cluster",
            expected="local (one on this machine, for this command), auto (the running one) or HOST:PORT",
            code="E-USAGE-OPTION",
        )


def import_ray(cluster: str) -> Any:
    """Imports Ray without telemetry. Ray reads its settings from the environment, some when it is imported.

    Anyone who can connect to a cluster's ports can run code. So a local cluster listens only on the loopback address
    (``RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0``) and requires a token, which protects it from other users of the machine.
    Neither is set if the calling program has already imported Ray.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if cluster == LOCAL and "ray" not in sys.modules:
        os.environ.update(ONE_THREAD, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        os.environ.setdefault("RAY_worker_niceness", "0")  # by default 15: beside other work nothing would be judged
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are raised as exceptions
    check_installed("ray")
    import ray
    import ray.data

    return ray


@contextlib.contextmanager
def connected(ray: Any, cluster: str, workers: int | None, store: int) -> Iterator[None]:
    """Connects to a cluster for the block; ``local`` starts one, and stops and removes it afterwards.

    Args:
        ray: The module from `import_ray`.
        cluster: See `check_cluster`.
        workers: Number of CPUs of a local cluster; all of the machine if None.
        store: Bytes of a local cluster's object store.

    Raises:
        ResourceError: No cluster answers, or none can be started.
    """
    options: dict[str, object] = {"address": cluster, "log_to_driver": False, "logging_level": logging.ERROR}
    with contextlib.ExitStack() as stack:
        if cluster == LOCAL:
            scratch = tempfile.TemporaryDirectory(prefix="acceptor-ray-", ignore_cleanup_errors=True)
            options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": store}
            options |= {"_temp_dir": stack.enter_context(scratch)}
        else:
            options["runtime_env"] = {"env_vars": ONE_THREAD}
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # Ray prints messages about dead workers there
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"ray\.")  # such as that there are fewer chunks than workers
        at_sigterm = signal.getsignal(signal.SIGTERM)
        stack.callback(ray.shutdown)  # also if the start fails halfway
        try:
            if cluster not in (LOCAL, AUTO):
                _check_answers(cluster)
            with _without_stderr():
                ray.init(**options)
        except Exception as error:  # Ray raises a bare one if a node does not start in time
            raise ResourceError(
                f"no Ray cluster answers at {cluster!r}" if cluster != LOCAL else "Ray could not start here",
                cause=str(error).strip().split("\n")[0],
                next=None if cluster == LOCAL else "check it: ray status; set RAY_AUTH_TOKEN to its token",
                code="E-RESOURCE-CLUSTER",
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, at_sigterm)  # Ray's handler aborts
        yield


def _check_answers(cluster: str) -> None:
    """Raises an OSError if nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = cluster.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Hides what Ray's C++ core prints on stderr about its log level."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def pool_size(ray: Any, workers: int | None, device: str | None) -> tuple[int, int]:
    """The number of judging actors, and the number of GPUs of each: 1 or 0."""
    there = ray.cluster_resources()
    gpus = int(there.get("GPU", 0)) if device in (None, "cuda") else 0
    if device == "cuda" and not gpus:
        raise UsageError(
            "the cluster has no GPU",
            next="leave --device out to use the best available device",
            code="E-USAGE-DEVICE",
        )
    return workers or gpus or int(there.get("CPU", 0)) or 1, min(gpus, 1)


@contextlib.contextmanager
def original_errors(ray: Any) -> Iterator[None]:
    """Raises the original error of a task or an actor, and the exit code of a signal's handler, instead of Ray's."""
    try:
        yield
    except SystemExit as error:
        # A handler's exit that comes while Ray's core waits gets the code 1 there; its own is only in the message.
        own = re.search(r"Exit code: (\d+)", getattr(error, "ray_terminate_msg", ""))
        if own:
            error.code = int(own[1])
        raise
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, AcceptorError):
            raise type(cause)(
                cause.problem, **cause.details, code=cause.code
            ) from None  # without the traceback that Ray has added
        raise RunError(
            "Ray failed",
            cause=str(error).strip().split("\n")[-1],
            next="run the same command again: finished parts are kept",
            code="E-RUN-CLUSTER",
        ) from error
