"""An append-only file of benchmark records: JSON lines, safe against kills and second writers."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fejer.errors import FejerError
from fejer.kernel_cache import shared_source_hash

__all__ = ["Store", "StoreError", "key", "machine"]

Record = dict[str, Any]


class StoreError(FejerError, OSError):
    """Another process writes this store."""


class Store:
    """Records of a suite, by key.

    Parameters
    ----------
    path : path
        File of JSON lines; made where it does not exist. A last line that a kill has torn is
        skipped and written over.
    writable : bool, default True
        Take the lock of the file, which the operating system drops with the process.

    Attributes
    ----------
    records : dict
        Key to record; of two records with one key, the later.

    Raises
    ------
    StoreError
        Another process holds the lock.

    Examples
    --------
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "records.jsonl")
    ...     with Store(file) as store:
    ...         store.add({"key": "a", "nit": 3})
    ...     Store(file, writable=False).records["a"]["nit"]
    3
    """

    def __init__(self, path: str | os.PathLike[str], *, writable: bool = True) -> None:
        self.path = Path(path)
        self._file = None
        if writable:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab")
            if not _lock(self._file):
                self._file.close()
                raise StoreError(f"{self.path}: another process is writing this store")
        self.records: dict[str, Record] = {}
        self._read()

    def _read(self) -> None:
        raw = self.path.read_bytes() if self.path.exists() else b""
        whole = raw.rfind(b"\n") + 1
        for line in raw[:whole].splitlines():
            try:
                record = json.loads(line)
                self.records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                continue  # not a record: what a crash of the machine may leave
        if self._file is not None and whole < len(raw):
            self._file.truncate(whole)

    def add(self, record: Record) -> None:
        """Append a record and wait until it is on the disk."""
        if self._file is None:
            raise StoreError(f"{self.path}: opened for reading")
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.records[record["key"]] = record

    def close(self) -> None:
        """Drop the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.records)


def _lock(file: Any) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@cache
def machine() -> dict[str, Any]:
    """Return what distinguishes this machine and its installation for timings."""
    names = ("numpy", "scipy", "numba", "fejer")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in names},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str:
    if name == "fejer":
        return str(import_module("fejer").__version__)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


_shared = cache(shared_source_hash)


@cache
def _source(module: str) -> str:
    # a module that is there need not be importable by name: tests make some on the fly
    known = getattr(sys.modules.get(module), "__file__", None)
    try:
        found = None if known else find_spec(module)
    except ImportError:
        found = None
    file = known or (found.origin if found else None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def key(
    job: Mapping[str, Any],
    sources: Iterable[str] = (),
    versions: Iterable[str] = (),
    foreign: Iterable[str] = (),
) -> str:
    """Return the name under which a job's record is kept: other code, data or machine, other key.

    Parameters
    ----------
    job : mapping
        The recipe.
    sources : iterable of str
        Modules whose source decides the outcome: the method's, the problem's.
    versions : iterable of str
        Distributions whose version does.
    foreign : iterable of str
        Modules like ``sources`` that must not be imported here, since a peer's may crash.

    Returns
    -------
    str
        A SHA-256 in hexadecimal digits.
    """
    parts = [
        json.dumps(job, sort_keys=True),
        _shared(),
        json.dumps(machine(), sort_keys=True),
        *(_source(module) for module in sources),
        *(_version(name) for name in versions),
        *(_source(module) for module in foreign),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
