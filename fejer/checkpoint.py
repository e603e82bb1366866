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
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CheckpointError
from .evidence import EMPTY, Array, Best
from .problem import digest_value
from .state import State

if TYPE_CHECKING:
    from .driver import Run

FORMAT = 1
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)
PLAN = ("place", "goal", "judged", "heard", "improved")


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
    known: list[Any] = [State, *_subclasses(State)]
    classes = {f"{c.__module__}:{c.__qualname__}": c for c in known}
    name = header["state"]
    if name not in classes:
        raise CheckpointError(f"unknown state {name}")
    state: State = object.__new__(classes[name])
    for spec in fields(state):
        item = header[spec.name]
        if isinstance(item, dict):
            item = np.array(arrays[item["array"]]) if "array" in item else unpack(item, arrays)
        setattr(state, spec.name, item)
    return state


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
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
    except _BROKEN as error:
        raise CheckpointError(f"{name}: broken or no checkpoint ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise CheckpointError(f"{name}: expected format {FORMAT}, got {found}")
    return header, arrays


def identity(run: Run) -> dict[str, Any]:
    """Return what two runs must share for one to continue the other."""
    kind = type(run.problem)
    return {
        "problem": f"{kind.__module__}.{kind.__qualname__}",
        "methods": [method.name for method in run.chain],
        "options": [digest(method.options()) for method in run.chain],
        "seed": run.seed,
        "data": run.problem.fingerprint(),
    }


def save(run: Run, path: str | os.PathLike[str]) -> None:
    """Write state, plan, best saved point and trace of a run."""
    best = run.saved
    if best is None:
        return
    arrays: dict[str, Array] = {"best.x": best.x}
    arrays |= {f"witness.{key}": value for key, value in best.certificate.witness.items()}
    arrays |= {f"trace.{key}": value for key, value in run.trace.save().items()}
    header = {
        **identity(run),
        "state": pack(run.state, arrays, "state"),
        "best": {"value": best.certificate.value, "nit": best.nit},
        "trace": list(run.trace.columns),
        "times": run.times,
        "notes": run.notes,
        "before": run.before,
        **{key: getattr(run, key) for key in PLAN},
    }
    write(path, header, arrays)


def restore(run: Run, path: str | os.PathLike[str]) -> None:
    """Put a run where the file left it.

    Raises
    ------
    CheckpointError
        The file is broken, or was made by another run: class, methods, options, seed and data
        must agree, and the saved point, judged again, must have the saved value.
    """
    from .result import Trace

    name = os.fspath(path)
    header, arrays = read(path)
    for key, ours in identity(run).items():
        if header.get(key) != ours:
            theirs = header.get(key)
            said = "other data" if key == "data" else f"{key} {theirs!r}, this run has {ours!r}"
            raise CheckpointError(f"{name}: made with {said}")
    try:
        run.trace = Trace.load({key: arrays[f"trace.{key}"] for key in header["trace"]})
        run.times.update(header["times"])
        run.notes, run.before = list(header["notes"]), dict(header["before"])
        for key in PLAN:
            setattr(run, key, int(header[key]))
        run.state = unpack(header["state"], arrays)
        x = arrays["best.x"]
        value, nit = float(header["best"]["value"]), int(header["best"]["nit"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{name}: broken or no checkpoint ({error!r})") from error
    found = (key.partition(".") for key in arrays)
    witness = {key: arrays[f"witness.{key}"] for part, _, key in found if part == "witness"}
    certificate = run.problem.judge(x, witness or EMPTY)
    again = certificate.value
    if not (again == value or abs(again - value) <= 1e-9 * max(abs(again), abs(value))):
        said = f"its point had {value:.6g} and has {again:.6g} now"
        raise CheckpointError(f"{name}: made with other data: {said}")
    run.best = run.saved = Best(x, certificate, nit)
