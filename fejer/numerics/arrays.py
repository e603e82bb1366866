"""The border: arrays as users bring them become float64 arrays as kernels want them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ProblemError
from ..evidence import Array

__all__ = ["float_array"]

LARGEST, SMALLEST = 1e100, 1e-100


def float_array(
    data: Any,
    name: str,
    *,
    ndim: int = 1,
    shape: tuple[int, ...] | None = None,
    finite: bool = True,
    nan: bool = False,
    copy: bool = True,
    order: str = "C",
    empty: bool = False,
) -> Array:
    """Check an array-like and return it as a read-only float64 array.

    Parameters
    ----------
    data : array_like
        Numbers: lists, integer, boolean or float arrays, pandas objects through ``__array__``.
    name : str
        What the error calls it.
    ndim : int, default 1
        Required number of dimensions.
    shape : tuple of int, optional
        Required shape; -1 where any length will do.
    finite : bool, default True
        Refuse nan and infinities, and a largest modulus outside 1e-100..1e100 (beyond it squares
        overflow or vanish, and with them every certificate). False: infinities may stand, for
        bounds and forbidden costs.
    nan : bool, default False
        Accept nan too, where it marks what is missing; needs ``finite=False``.
    copy : bool, default True
        Copy always. False: only where dtype or order ask for it; the result is a read-only view
        then, and the flags of the user's array stay as they are.
    order : {"C", "F"}, default "C"
        Memory order of the result.
    empty : bool, default False
        Accept arrays with no entry.

    Raises
    ------
    ProblemError
        Names the array, what was expected and what came.

    Examples
    --------
    >>> float_array([1, 2], "y")
    array([1., 2.])
    """
    kind = {0: "a number", 1: "a vector", 2: "a matrix"}.get(ndim, f"an array of {ndim} dimensions")
    try:
        raw = np.asarray(data)
    except Exception as error:
        raise ProblemError(f"{name}: expected {kind} of real numbers, got {data!r:.80}") from error
    if raw.dtype.kind == "O":
        try:
            raw = raw.astype(np.float64)
        except (TypeError, ValueError) as error:
            got = type(data).__name__
            raise ProblemError(f"{name}: expected {kind} of real numbers, got {got}") from error
    if raw.dtype.kind not in "fiub":
        got = f"{type(data).__name__} of dtype {raw.dtype}"
        raise ProblemError(f"{name}: expected {kind} of real numbers, got {got}")
    if raw.ndim != ndim:
        raise ProblemError(f"{name}: expected {kind}, got shape {raw.shape}")
    check_shape(raw.shape, name, shape)
    if raw.size == 0 and not empty:
        raise ProblemError(f"{name}: expected at least one entry, got shape {raw.shape}")
    array: Array = np.array(raw, dtype=np.float64, order=order, copy=True if copy else None)  # type: ignore[call-overload]
    check_entries(array, name, finite=finite, nan=nan)
    array = array.view()
    array.flags.writeable = False
    return array


def check_shape(got: tuple[int, ...], name: str, shape: tuple[int, ...] | None) -> None:
    """Refuse another shape; -1 stands for any length."""
    if shape is not None and any(w not in (-1, g) for w, g in zip(shape, got, strict=True)):
        wanted = str(tuple("any" if w == -1 else w for w in shape)).replace("'", "")
        raise ProblemError(f"{name}: expected shape {wanted}, got {got}")


def check_entries(array: Array, name: str, *, finite: bool = True, nan: bool = False) -> None:
    """Refuse nan, infinities and magnitudes whose squares leave float64."""
    largest = max(array.max(initial=0.0), -array.min(initial=0.0))
    if not np.isfinite(largest):
        bad = ~np.isfinite(array) if finite else np.isnan(array) & (not nan)
        if bad.any():
            count = int(bad.sum())
            index = ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
            entries = "entry that is" if count == 1 else "entries that are"
            what = "nan or infinite" if finite else "nan"
            raise ProblemError(f"{name}: has {count} {entries} {what}, first at [{index}]")
        largest = np.abs(array[np.isfinite(array)]).max(initial=0.0)
    if largest and not SMALLEST <= largest <= LARGEST:
        raise ProblemError(
            f"{name}: expected a largest modulus between {SMALLEST:g} and {LARGEST:g} (or 0), "
            f"got {largest:.3g}; rescale the data"
        )
