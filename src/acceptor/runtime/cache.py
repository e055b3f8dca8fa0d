"""The cache folder: in the user's cache, or a private temporary one that is removed with the process."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import shutil
import tempfile
from pathlib import Path

from acceptor.environment import variable
from acceptor.storage.files import user_path

logger = logging.getLogger(__name__)

OTHERS = 0o022  # write permission of group and others


def cache_folder() -> Path:
    """``$ACCEPTOR_CACHE``, or ``acceptor`` in the user's cache (XDG); a temporary folder if neither can be made."""
    return _created(_configured())


def _configured() -> Path | None:
    """The folder that the environment names. None if there is no HOME either, and no entry of this user in passwd."""
    own, shared = variable("ACCEPTOR_CACHE"), variable("XDG_CACHE_HOME")
    if own and (place := _expanded(own)):
        return place.absolute()
    if shared and (place := _expanded(shared)) and place.is_absolute():  # the standard: a relative path is invalid
        return place / "acceptor"
    home = _home()
    return None if home is None else home / ".cache" / "acceptor"


def _home() -> Path | None:
    home = variable("HOME") or variable("USERPROFILE")
    if home and os.path.isabs(home):
        return Path(home)
    try:
        import pwd

        home = pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, AttributeError, KeyError):  # not POSIX; a number without an entry, as containers give
        return None
    return Path(home) if os.path.isabs(home) else None


def _expanded(text: str) -> Path | None:
    """The path with its ``~`` resolved; None if there is no such home."""
    if text == "~" or text.startswith("~/"):
        home = _home()
        return None if home is None else home / text[2:]
    try:
        return user_path(text)
    except RuntimeError:
        return None


@functools.cache
def _created(wanted: Path | None) -> Path:
    if wanted is None:
        problem = "no HOME, and this user has no entry in passwd"
    else:
        try:
            wanted.mkdir(parents=True, exist_ok=True)
            return wanted  # it may be read-only, and is read then
        except OSError as error:
            problem = f"{wanted} cannot be made ({error.strerror})"
    place = _temporary_folder()
    logger.warning(
        "%s", f"{problem}: the cache is {place} and is removed when this process ends; to keep one: ACCEPTOR_CACHE"
    )
    return place


def _temporary_folder() -> Path:
    """A folder that only this user may enter; it is removed when the process ends."""
    place, owner = Path(tempfile.mkdtemp(prefix="acceptor-cache-")), os.getpid()

    def clear() -> None:
        if os.getpid() == owner:  # not a process that was forked from it
            shutil.rmtree(place, ignore_errors=True)

    atexit.register(clear)
    return place


def why_not_trusted(path: Path) -> str | None:
    """Why code in a file or folder may not be loaded; None if only this user can write it."""
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    mine = found.st_uid == os.geteuid() if hasattr(os, "geteuid") else True
    if path.is_symlink():
        return f"{path} is a link"
    if not mine:
        return f"{path} belongs to another user"
    if found.st_mode & OTHERS:
        return f"{path} can be written by others"
    return None
