"""A connection to a Ray cluster: a running one, or a local one that is started and stopped here."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from acceptor.errors import AcceptorError, ResourceError, RunError, UsageError

LOCAL, AUTO = "local", "auto"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")


def check_cluster(cluster: str) -> None:
    """Refuses what is not ``local``, ``auto`` or HOST:PORT.

    Raises:
        UsageError: It does not.
    """
    if cluster not in (LOCAL, AUTO) and not re.fullmatch(r"[^/\s]+:[0-9]+", cluster):
        raise UsageError(
            f"{cluster!r} is not a cluster",
            expected="local (one on this machine, for this command), auto (the one that runs here) or HOST:PORT",
            code="E-USAGE-OPTION",
        )


def import_ray(cluster: str) -> Any:
    """Imports Ray without telemetry. Ray reads its settings from the environment, some when it is imported.

    Whoever reaches a cluster's ports can run code. So a local one listens on the loopback address alone
    (``RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0``) and asks for a token, which protects it from other users of the machine.
    Neither is set where the calling program has imported Ray before, with settings of its own.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if cluster == LOCAL and "ray" not in sys.modules:
        os.environ.update(ONE_THREAD, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors come as exceptions
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError(
            "--ray needs Ray",
            cause=str(error),
            next="pip install 'acceptor[ray]'",
            code="E-USAGE-EXTRA",
        ) from error
    return ray


@contextlib.contextmanager
def connected(ray: Any, cluster: str, workers: int | None, store: int) -> Iterator[None]:
    """A connection to a cluster; ``local`` starts one, and stops and removes it afterwards.

    Args:
        ray: From `import_ray`.
        cluster: As for `check_cluster`.
        workers: How many CPUs a local one has; those of the machine where None.
        store: Bytes of a local one's object store.

    Raises:
        ResourceError: None answers, or none can be started.
    """
    options: dict[str, object] = {"address": cluster, "log_to_driver": False, "logging_level": logging.ERROR}
    with contextlib.ExitStack() as stack:
        if cluster == LOCAL:
            scratch = tempfile.TemporaryDirectory(prefix="acceptor-ray-", ignore_cleanup_errors=True)
            options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": store}
            options |= {"_temp_dir": stack.enter_context(scratch)}
        else:
            options["runtime_env"] = {"env_vars": ONE_THREAD}
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # Ray prints there that workers died
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"ray\.")  # such as fewer chunks than workers
        at_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            with _without_stderr():
                ray.init(**options)
        except (OSError, RuntimeError, ValueError) as error:
            raise ResourceError(
                f"no Ray cluster answers at {cluster!r}" if cluster != LOCAL else "Ray could not start here",
                cause=str(error).strip().split("\n")[0],
                next=None
                if cluster == LOCAL
                else "look at it: ray status; the token it asks for goes into RAY_AUTH_TOKEN",
                code="E-RESOURCE-CLUSTER",
            ) from error
        stack.callback(ray.shutdown)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, at_sigterm)  # Ray's own aborts
        yield


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Hides what Ray's core, which is not Python, prints on stderr about its log level."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def pool_size(ray: Any, workers: int | None, device: str | None) -> tuple[int, int]:
    """How many actors judge, and how many GPUs each has: 1 or 0."""
    there = ray.cluster_resources()
    gpus = int(there.get("GPU", 0)) if device in (None, "cuda") else 0
    if device == "cuda" and not gpus:
        raise UsageError(
            "the cluster has no GPU",
            next="leave --device out, and the best device present is taken",
            code="E-USAGE-DEVICE",
        )
    return workers or gpus or int(there.get("CPU", 0)) or 1, min(gpus, 1)


@contextlib.contextmanager
def original_errors(ray: Any) -> Iterator[None]:
    """Raises the error of a task or an actor itself, in place of Ray's wrapper of it."""
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, AcceptorError):
            raise type(cause)(
                cause.problem, **cause.details, code=cause.code
            ) from None  # without the traceback that Ray has added
        raise RunError(
            "Ray failed",
            cause=str(error).strip().split("\n")[-1],
            next="give the same command again: what was judged is kept",
            code="E-RUN-CLUSTER",
        ) from error
