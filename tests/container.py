"""What deploy/Dockerfile describes, run without Docker: Linux's namespaces, as a container has them, by util-linux.

The process has number 1, a root that it cannot write to, a small /tmp, no rights, and a network of its own. What is not
done is the first stage's `pip install` from a package index.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SETUP = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$ROOT"
mkdir "$ROOT/proc" "$ROOT/tmp"
mount -t proc none "$ROOT/proc"
mount -t tmpfs -o size=64m,mode=1777 none "$ROOT/tmp"  # before the others: a test's folder may lie in /tmp
bind() { mkdir -p "$ROOT$2"; mount --rbind "$1" "$ROOT$2"; }
for folder in $FOLDERS; do bind "$folder" "$folder"; done
bind "$VENV" /opt/acceptor
bind "$JUDGES" /judges
bind /dev /dev
for folder in $FOLDERS /opt/acceptor /judges; do mount -o remount,bind,ro "$ROOT$folder"; done
mount -o remount,ro "$ROOT"
ip link set lo up
exec chroot "$ROOT" "$@"
"""


def is_possible() -> bool:
    """True if this process may make namespaces."""
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "chroot", "ip"))):
        return False
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


def instructions(dockerfile: Path) -> list[list[tuple[str, str]]]:
    """The instructions of each stage."""
    text = re.sub(r"^[ \t]*#.*\n", "", dockerfile.read_text("utf-8"), flags=re.MULTILINE)
    stages: list[list[tuple[str, str]]] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        if name:
            stages[-1].append((name, rest))
    return stages


@dataclass
class Container:
    """A running container."""

    process: subprocess.Popen
    as_user: list[str]

    @property
    def pid(self) -> int:
        """The number outside of the process that is 1 inside."""
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return int(found.stdout)

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Runs a command inside, as the container's user."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--root"]
        return subprocess.run([*enter, *self.as_user, *command], capture_output=True, text=True)


@contextlib.contextmanager
def running(dockerfile: Path, *, venv: Path, judges: Path, root: Path, variables: dict[str, str]):
    """A container with the environment `venv` as /opt/acceptor, and `judges` as /judges. Its log: ROOT.log."""
    final = dict(instructions(dockerfile)[-1])
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    pairs = [one.partition("=") for one in shlex.split(final["ENV"])]
    own = {name: value.replace("$PATH", path["PATH"]) for name, _, value in pairs}
    assignments = [f"{name}={value}" for name, value in (path | own | variables).items()]
    user, _, group = final["USER"].partition(":")
    rights = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    as_user = ["setpriv", f"--reuid={user}", f"--regid={group}", *rights, "env", "-i", *assignments]
    place = ["sh", "-c", f'cd {final["WORKDIR"]} && exec "$@"', "sh"]
    command = [*as_user, *place, *json.loads(final["ENTRYPOINT"]), *json.loads(final["CMD"])]

    packages = {path for path in sys.path if path.endswith("site-packages")}
    folders = sorted({"/usr", "/bin", "/lib", "/lib64", "/etc", sys.base_prefix, *packages, str(venv)})
    given = {"ROOT": str(root), "FOLDERS": " ".join(folders), "VENV": str(venv), "JUDGES": str(judges)}
    root.mkdir()
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", SETUP, "sh"]
    with open(root.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen([*unshare, *command], stdout=log, stderr=log, env=os.environ | given)
    try:
        yield Container(process, as_user)
    finally:
        process.kill()
        process.wait()
