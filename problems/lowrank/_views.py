"""Views that all classes with packed factors share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array

from ._entries import predict
from ._factors import LowRankMatrix, Spectrum, balanced, spectrum, unpack
from ._observed import index_array
from ._recovery import Study, study


class FactorViews:
    """Mixin for problems with ``shape`` and ``rank`` whose x packs U (m, k) and V (n, k)."""

    shape: tuple[int, int]
    rank: int

    def factors(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return the canonical factors U (m, k) and V (n, k)."""
        U, V = unpack(x, self.shape, self.rank)
        found = spectrum(U, V)
        return (U.copy(), V.copy()) if found is None else balanced(found)

    def singular_values(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the k largest singular values, descending."""
        found = spectrum(*unpack(x, self.shape, self.rank))
        return np.full(self.rank, math.inf) if found is None else found.values

    def matrix(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> LowRankMatrix:
        """Return the matrix as an operator; ``np.asarray`` forms it."""
        U, V = unpack(np.array(x), self.shape, self.rank)
        return LowRankMatrix(U, V)

    def predict(
        self, x: Array, witness: Mapping[str, Array] = EMPTY
    ) -> Callable[[npt.ArrayLike, npt.ArrayLike], Array]:
        """Return the function ``(rows, cols) -> entries``, k multiplications an entry."""
        U, V = unpack(np.array(x), self.shape, self.rank)

        def entries(rows: npt.ArrayLike, cols: npt.ArrayLike) -> Array:
            i, j = positions(rows, cols, self.shape)
            out = np.empty(i.size)
            predict(i, j, U, V, out)
            return out

        return entries


class RecoveryViews:
    """Mixin for problems made of entries: what is known of those that were not observed."""

    shape: tuple[int, int]

    def _study(self, x: Array) -> Study:
        memo = self.__dict__.get("_studied")
        if memo is None or memo[0] != x.tobytes():
            problem: Any = self
            certificate = problem.judge(x)
            fit = certificate.details.get("fit", math.inf)
            U, V = unpack(np.array(x), problem.shape, problem.rank)
            found = spectrum(U, V) or Spectrum(U, np.zeros(problem.rank), V, 0.0)
            studied = study(problem.orders()[0], problem.shape, found, fit, certificate.value)
            self.__dict__["_studied"] = memo = (x.tobytes(), studied)
        found_before: Study = memo[1]
        return found_before

    def recovery(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> int:
        """Return the level: 0 undetermined, 1 fitted, 2 locally unique, 3 least nuclear norm."""
        return self._study(x).level

    def recovered(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> bool:
        """Return whether the entries that were not observed are determined: level 2 or 3."""
        return self._study(x).level >= 2

    def found_rank(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> int:
        """Return the number of singular values above 1e-6 and 10 times the fit, of the first."""
        return self._study(x).rank

    def identified(
        self, x: Array, witness: Mapping[str, Array] = EMPTY
    ) -> Callable[[npt.ArrayLike, npt.ArrayLike], NDArray[np.bool_]]:
        """Return the function ``(rows, cols) -> bool``: which entries are determined."""
        studied, shape = self._study(x), self.shape

        def determined(rows: npt.ArrayLike, cols: npt.ArrayLike) -> NDArray[np.bool_]:
            i, j = positions(rows, cols, shape)
            part = studied.row_part[i]
            return (part >= 0) & (part == studied.col_part[j])

        return determined


def positions(
    rows: npt.ArrayLike, cols: npt.ArrayLike, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Check a list of positions in the matrix."""
    i = index_array(rows, "rows", shape[0], shape)
    j = index_array(cols, "cols", shape[1], shape)
    if i.size != j.size:
        raise ProblemError(f"cols: expected shape {i.shape} as rows has, got {j.shape}")
    return i, j
