"""The functions K of `DualNormComposite`: value, subgradient, conjugate, prox."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array

__all__ = ["KINDS", "DualNorm"]

KINDS = ("l1", "l2", "half-square", "soft", "huber", "group-l2", "nuclear")


def _soft(v: Array, t: float) -> Array:
    return np.sign(v) * np.maximum(np.abs(v) - t, 0.0)


class DualNorm:
    """One K of the table.

    Parameters
    ----------
    kind : str
        One of KINDS.
    width : float
        e of "soft" and "huber".
    groups : array of int, optional
        Group of each entry, for "group-l2".
    shape : tuple of int, optional
        Rows and columns, for "nuclear".
    """

    def __init__(
        self,
        kind: str,
        width: float,
        groups: npt.NDArray[np.int64] | None,
        shape: tuple[int, int] | None,
    ) -> None:
        self.kind, self.width, self.groups, self.shape = kind, width, groups, shape

    def _group_sizes(self, m: Array) -> Array:
        return np.sqrt(np.bincount(self.groups, m * m))  # type: ignore[arg-type]

    def _svd(self, m: Array) -> Any:
        return np.linalg.svd(m.reshape(self.shape), full_matrices=False)  # type: ignore[arg-type]

    def value(self, m: Array) -> float:
        """Return K(m)."""
        if self.kind == "l1":
            return float(np.abs(m).sum())
        if self.kind == "l2":
            return float(np.linalg.norm(m))
        if self.kind == "half-square":
            return 0.5 * float(m @ m)
        if self.kind == "soft":
            return float(np.maximum(np.abs(m) - self.width, 0.0).sum())
        if self.kind == "huber":
            a, e = np.abs(m), self.width
            return float(np.where(a <= e, a * a / (2.0 * e), a - 0.5 * e).sum())
        if self.kind == "group-l2":
            return float(self._group_sizes(m).sum())
        return float(self._svd(m)[1].sum())

    def slope(self, m: Array) -> Array:
        """Return a subgradient of K at m, 0 at m = 0."""
        if self.kind == "l1":
            return np.sign(m)
        if self.kind == "l2":
            return m / (float(np.linalg.norm(m)) or 1.0)
        if self.kind == "half-square":
            return m.copy()
        if self.kind == "soft":
            return np.sign(m) * (np.abs(m) > self.width)
        if self.kind == "huber":
            return np.clip(m / self.width, -1.0, 1.0)
        if self.kind == "group-l2":
            sizes = self._group_sizes(m)
            return m / np.where(sizes > 0.0, sizes, 1.0)[self.groups]
        U, sizes, V = self._svd(m)
        kept = sizes > 1e-12 * sizes[0]
        return np.asarray(U[:, kept] @ V[kept]).ravel()

    def gauge(self, z: Array) -> float:
        """Return the norm that is at most 1 on the domain of the conjugate; 0 where that is all."""
        if self.kind == "half-square":
            return 0.0
        if self.kind == "l2":
            return float(np.linalg.norm(z))
        if self.kind == "group-l2":
            return float(self._group_sizes(z).max())
        if self.kind == "nuclear":
            return float(self._svd(z)[1][0])
        return float(np.abs(z).max())

    def conjugate(self, z: Array) -> float:
        """Return K*(z) for z in its domain, which is not checked."""
        if self.kind == "half-square":
            return 0.5 * float(z @ z)
        if self.kind == "soft":
            return self.width * float(np.abs(z).sum())
        if self.kind == "huber":
            return 0.5 * self.width * float(z @ z)
        return 0.0

    def project(self, z: Array) -> Array:
        """Return the projection on the domain of the conjugate."""
        if self.kind == "half-square":
            return z.copy()
        if self.kind == "l2":
            return z / max(1.0, float(np.linalg.norm(z)))
        if self.kind == "group-l2":
            return z / np.maximum(self._group_sizes(z), 1.0)[self.groups]
        if self.kind == "nuclear":
            U, sizes, V = self._svd(z)
            return z.copy() if sizes[0] <= 1.0 else ((U * np.minimum(sizes, 1.0)) @ V).ravel()
        return np.clip(z, -1.0, 1.0)

    def prox(self, v: Array, eta: float, lam: float) -> Array:
        """Return the prox of ``eta K*(lam x) / lam``."""
        if self.kind == "half-square":
            return v / (1.0 + eta * lam)
        if self.kind == "soft":
            v = _soft(v, eta * self.width)
        elif self.kind == "huber":
            v = v / (1.0 + eta * lam * self.width)
        return self.project(lam * v) / lam

    def fingerprint(self) -> str:
        """Return the parameters as a text."""
        groups = "" if self.groups is None else self.groups.tobytes().hex()
        return f"{self.kind} {self.width!r} {groups} {self.shape}"
