"""Checkpoints: the state of a run as one ``.npz`` file without pickle."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CheckpointError
from .evidence import Array
from .method import State
from .problem import digest_value

FORMAT = 1


def pack(value: State, arrays: dict[str, Array], prefix: str) -> dict[str, Any]:
    """Split a state into a header of plain values and arrays by name."""
    header: dict[str, Any] = {"state": f"{type(value).__module__}:{type(value).__qualname__}"}
    for spec in fields(value):
        item, key = getattr(value, spec.name), f"{prefix}.{spec.name}"
        if isinstance(item, np.ndarray):
            arrays[key] = item
            header[spec.name] = {"array": key}
        elif isinstance(item, State):
            header[spec.name] = pack(item, arrays, key)
        elif item is None or type(item) in (bool, int, float):
            header[spec.name] = item
        else:
            got = type(item).__name__
            raise TypeError(
                f"{key}: a state holds arrays, int, float, bool, None or State, not {got}"
            )
    return header


def unpack(header: dict[str, Any], arrays: dict[str, Array]) -> State:
    """Build the state that `pack` split; its class must be a known subclass of State."""
    classes = {f"{c.__module__}:{c.__qualname__}": c for c in _subclasses(State)}
    name = header["state"]
    if name not in classes:
        raise CheckpointError(f"unknown state {name}")
    state: State = object.__new__(classes[name])
    for spec in fields(state):
        item = header[spec.name]
        if isinstance(item, dict):
            item = (
                np.array(arrays[item["array"]], order="K")
                if "array" in item
                else unpack(item, arrays)
            )
        setattr(state, spec.name, item)
    return state


def _subclasses(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def digest(value: Any) -> str:
    """Return a SHA-256 of nested plain values and arrays."""
    made = hashlib.sha256()
    digest_value(made, value)
    return made.hexdigest()


def write(path: str | os.PathLike[str], header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write the file whole or not at all: a temporary file takes the place of the old one."""
    text = json.dumps({"format": FORMAT, **header})
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent or ".", prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, header=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a file that `write` made; nothing in it is ever executed.

    Raises
    ------
    CheckpointError
        The file is broken, is something else, or has another format.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                raise CheckpointError(f"{name}: not a checkpoint")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
        header = json.loads(bytes(arrays.pop("header")).decode())
    except CheckpointError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        raise CheckpointError(f"{name}: broken or no checkpoint ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise CheckpointError(f"{name}: expected format {FORMAT}, got {found}")
    return header, arrays
