"""Extrapolation of fixed-point iterations: Anderson acceleration with a safeguard."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..evidence import Array
from ..state import State

__all__ = ["AndersonMemory", "extrapolation_weights"]


@dataclass
class AndersonMemory(State):
    """The last iterates of ``x = T x``, from which the next one is extrapolated.

    With ``f = x - T x`` and the differences dX, dF of consecutive x and f, the next point is
    ``x - f - (dX - dF) gamma`` where gamma minimises ``||f - dF gamma||^2`` plus a small multiple
    of ``||gamma||^2``, after scaling the columns of dF to length 1 (type II).  Made by `empty`; a
    `State` that a method keeps as a field of its own State.

    Attributes
    ----------
    x_steps, f_steps : ndarray, shape (memory, n)
        The columns of dX and dF as rows, in a ring.
    gram : ndarray, shape (memory, memory)
        Inner products of the rows of f_steps.
    x, f : ndarray, shape (n,)
        The last point and its residual; where ``count`` is 0, nothing yet.
    count : int
        Points seen since the last `clear`.
    norm : float
        Norm of the last residual; inf after `clear`.
    rejected : int
        How often the safeguard was needed.

    Notes
    -----
    Cost of a step: about ``6 n memory`` flops.  Memory: ``2 n memory`` numbers.  On linear T it is
    GMRES without restart as long as the memory lasts.

    References
    ----------
    .. [1] H. F. Walker, P. Ni (2011). Anderson acceleration for fixed-point iterations, SIAM
       Journal on Numerical Analysis 49(4).

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.anderson import AndersonMemory
    >>> memory, x = AndersonMemory.empty(3, memory=3), np.zeros(3)
    >>> for _ in range(5):
    ...     x = memory.step(x, np.array([0.9, 0.5, -0.9]) * x + 1.0)
    >>> (x * np.array([0.1, 0.5, 1.9])).round(6)
    array([1., 1., 1.])
    """

    x_steps: Array
    f_steps: Array
    gram: Array
    x: Array
    f: Array
    count: int = 0
    norm: float = math.inf
    rejected: int = 0

    @classmethod
    def empty(cls, n: int, memory: int = 10) -> AndersonMemory:
        """Return a memory of the given length for vectors of n entries."""
        shape = (min(memory, n), n)
        gram = np.zeros((shape[0], shape[0]))
        return cls(np.zeros(shape), np.zeros(shape), gram, np.zeros(n), np.zeros(n))

    def clear(self) -> None:
        """Forget all points."""
        self.count = 0
        self.norm = math.inf
        self.gram[:] = 0.0  # an empty column has no length and takes no part

    def push(self, x: Array, image: Array) -> None:
        """Take the next point and its image ``T x``; both are copied."""
        f = x - image
        if self.count:
            slot = (self.count - 1) % len(self.f_steps)
            self.x_steps[slot] = x - self.x
            self.f_steps[slot] = f - self.f
            products = self.f_steps @ self.f_steps[slot]
            self.gram[slot] = products
            self.gram[:, slot] = products
        self.x[:] = x
        self.f[:] = f
        self.norm = float(np.linalg.norm(f))
        self.count += 1

    def extrapolate(self, regularization: float = 1e-10) -> Array:
        """Return the point that the memory suggests; the image of the last point where it is empty.

        Parameters
        ----------
        regularization : float, default 1e-10
            Relative to the trace of the scaled Gram matrix.
        """
        used = min(self.count - 1, len(self.f_steps))
        if used < 1:
            return self.x - self.f
        dF, dX = self.f_steps[:used], self.x_steps[:used]
        lengths = np.sqrt(self.gram.diagonal()[:used])
        scale = np.divide(1.0, lengths, out=np.zeros(used), where=lengths > 0.0)
        system = self.gram[:used, :used] * scale * scale[:, None]
        system[np.diag_indices(used)] += regularization * used
        gamma = scale * np.linalg.solve(system, scale * (dF @ self.f))
        return np.asarray(self.x - self.f - gamma @ dX + gamma @ dF)

    def step(
        self, x: Array, image: Array, *, growth: float = 2.0, regularization: float = 1e-10
    ) -> Array:
        """Take a point and its image, and return the next point.

        Parameters
        ----------
        x, image : ndarray, shape (n,)
            The point and ``T x``.
        growth : float, default 2.0
            Safeguard: where the residual is more than `growth` times the last one, or not finite,
            the memory is cleared and the image of the last point is returned.
        regularization : float, default 1e-10
            See `extrapolate`.
        """
        norm = float(np.linalg.norm(x - image))
        if self.count and not norm <= growth * self.norm:
            retreat = self.x - self.f
            self.clear()
            self.rejected += 1
            return retreat
        self.push(x, image)
        return self.extrapolate(regularization)


def extrapolation_weights(differences: Array, regularization: float = 1e-12) -> Array | None:
    """Weights of the combination of iterates whose residual is smallest.

    For iterates ``w_0, ..., w_K`` of a linearly convergent method: ``c`` minimises
    ``||sum_i c_i (w_{i+1} - w_i)||`` subject to ``sum_i c_i = 1``, and ``sum_i c_i w_{i+1}`` is the
    extrapolated point; what is linear in w (``X w``) is combined with the same weights.  The caller
    keeps it only if the objective falls.

    Parameters
    ----------
    differences : ndarray, shape (K, n)
        Rows ``w_{i+1} - w_i``.
    regularization : float, default 1e-12
        Relative to the trace of the Gram matrix.

    Returns
    -------
    ndarray, shape (K,), or None
        None where the differences are 0 or the weights cannot be normalised.

    References
    ----------
    .. [1] D. Scieur, A. d'Aspremont, F. Bach (2020). Regularized nonlinear acceleration,
       Mathematical Programming 179, arXiv:1606.04133.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.anderson import extrapolation_weights
    >>> w = np.array([[1.0], [0.5], [0.25]])  # halves each time
    >>> c = extrapolation_weights(np.diff(w, axis=0))
    >>> bool(abs(c @ w[1:])[0] < 1e-9)
    True
    """
    gram = differences @ differences.T
    trace = float(np.trace(gram))
    if not 0.0 < trace < math.inf:
        return None
    gram /= trace
    gram[np.diag_indices(len(gram))] += regularization
    z = np.linalg.solve(gram, np.ones(len(gram)))
    total = float(z.sum())
    weights = z / total if total else np.full_like(z, np.nan)
    return np.asarray(weights) if np.isfinite(weights).all() else None
