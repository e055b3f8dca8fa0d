"""Files at addresses (``s3://``, ``gs://``, ``hdfs://``, ``file://``) and on this machine, through Arrow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from acceptor.errors import DataError, ResourceError, UsageError
from acceptor.storage.files import new_file, user_path

_BUFFER = 4 << 20  # bytes asked for at once: an object store answers each request in tens of milliseconds


def address_of(place: str | Path) -> str:
    """A path of this machine as an address; an address as it is."""
    return str(place) if "://" in str(place) else user_path(place).absolute().as_uri()


def file_system(address: str) -> tuple[Any, str]:
    """The Arrow file system of an address, and the path in it.

    Raises:
        UsageError: The address has a kind or a form that Arrow does not know, or its host does not answer.
    """
    import pyarrow as pa
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(address)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(
            f"{address} cannot be used",
            expected="a path, or s3://BUCKET/PATH, gs://BUCKET/PATH, hdfs://HOST:PORT/PATH, file:///PATH",
            cause=str(error),
            code="E-USAGE-ADDRESS",
        ) from error
    return system, path


def open_input(address: str, origin: str) -> BinaryIO:
    """The bytes of a file as stored.

    Raises:
        DataError: It cannot be opened.
    """
    system, path = file_system(address)
    try:
        return io.BufferedReader(system.open_input_file(path), _BUFFER)
    except OSError as error:
        raise DataError("the file cannot be read", where=origin, cause=str(error), code="E-DATA-UNREADABLE") from error


class OutputFolder:
    """A folder for complete files.

    Attributes:
        address: Its URL, valid on other machines too.
        local: Whether it is on this machine.
        name: What messages call it: its path if it is `local`, else its address.
    """

    def __init__(self, place: str | Path) -> None:
        """Makes the object; the folder need not exist yet.

        Raises:
            UsageError: The address cannot be used.
        """
        self.address = address_of(place).rstrip("/")
        self._system, path = file_system(self.address)
        self._path = path.rstrip("/")
        self.local = self._system.type_name == "local"
        self.name = self._path if self.local else self.address

    @property
    def path(self) -> Path:
        """The folder on this machine, if it is `local`."""
        return Path(self._path)

    def write(self, name: str, content: bytes) -> None:
        """Makes or replaces a file.

        On this machine and in object stores a reader finds the complete old file or the complete new one; on HDFS a
        file is visible while it is written.

        Raises:
            ResourceError: It cannot be written.
        """
        try:
            if self.local:
                path = self.path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with new_file(path) as scratch:
                    scratch.write_bytes(content)
            else:
                with self._system.open_output_stream(f"{self._path}/{name}") as stream:
                    stream.write(content)
        except OSError as error:
            raise ResourceError(
                "the output cannot be written",
                where=f"{self.name}/{name}",
                cause=str(error),
                next="correct that, and give the same command again: what was judged is kept",
                code="E-RESOURCE-WRITE",
            ) from error

    def read(self, name: str) -> bytes:
        """The bytes of a file in it."""
        with self._system.open_input_file(f"{self._path}/{name}") as stream:
            return bytes(stream.read())

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The files in it, or in a folder in it: bytes by name. Empty if there is none.

        Raises:
            ResourceError: It cannot be listed.
        """
        from pyarrow import fs

        where = f"{self._path}/{folder}".rstrip("/")
        try:
            within = self._system.get_file_info(fs.FileSelector(where, allow_not_found=True))
        except OSError as error:
            raise ResourceError(
                "the output cannot be listed", where=self.name, cause=str(error), code="E-RESOURCE-WRITE"
            ) from error
        return {one.base_name: one.size for one in within if one.type == fs.FileType.File}

    def remove(self, names: Iterable[str]) -> None:
        """Removes files in it."""
        for name in names:
            self._system.delete_file(f"{self._path}/{name}")

    def remove_folder(self, name: str) -> None:
        """Removes a folder in it with its content, if it exists."""
        from pyarrow import fs

        path = f"{self._path}/{name}"
        if self._system.get_file_info(path).type == fs.FileType.Directory:
            self._system.delete_dir(path)
