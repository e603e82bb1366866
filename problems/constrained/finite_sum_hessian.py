"""Hessians that are sums over rows, so that a method may take some rows for the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix

from . import _oracle as oracle
from ._composite import sampled_gram
from ._logistic import curved_gram

__all__ = ["FiniteSumHessian"]


@dataclass(frozen=True, eq=False)
class FiniteSumHessian:
    """The Hessian ``A' diag(w(x)) A + add``, whole or estimated from some of its rows.

    Pass it as ``hess`` of a `SmoothProblem` or of the SciPy-style call: to all methods it is a
    function like any other, and `gns` may take a few of the rows.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (N, n)
        One row for each term of the sum.
    weights : callable
        ``weights(x, *args) -> (N,)``, second derivatives of the terms in ``A x``, at least 0. What
        is negative belongs into `add`.
    add : None, float, array_like of shape (n, n) or callable, default None
        The rest, not sampled: nothing, a multiple of the identity, a symmetric matrix, or
        ``add(x, *args)`` that returns one of these.

    Raises
    ------
    ProblemError
        A field of the wrong kind or shape.
    OracleError
        Weights of a wrong shape, negative or not finite; when they are asked for.

    Notes
    -----
    With s rows drawn evenly the sum over them, times N/s, stands for the whole. Its relative error
    is about ``sqrt(n/s)``, which is the factor by which Newton steps with it, new rows each time,
    bring the gradient down; 20 rows a variable cost ``20 n^3`` flops instead of ``N n^2``.

    Examples
    --------
    >>> import fejer, numpy as np
    >>> A = np.random.default_rng(0).standard_normal((4000, 5))
    >>> hess = fejer.FiniteSumHessian(A, lambda x: np.cosh(A @ x) / 4000)
    >>> problem = fejer.SmoothProblem(
    ...     lambda x: np.cosh(A @ x).mean() - x[0],
    ...     lambda x: A.T @ np.sinh(A @ x) / 4000 - np.eye(5)[0],
    ...     np.zeros(5),
    ...     hess,
    ... )
    >>> fejer.minimize(problem, method="gns", tol=1e-9).success
    True
    """

    A: Any
    weights: Callable[..., Any]
    add: Any = None

    def __post_init__(self) -> None:
        A = Matrix.of(self.A, "A")
        if A.is_operator:
            raise ProblemError("A: expected rows, got an operator")
        oracle.checked_callable(self.weights, "weights", optional=False)
        object.__setattr__(self, "A", A)
        if not callable(self.add):
            try:
                self._rest(self.add)
            except OracleError as error:
                raise ProblemError(str(error)) from None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and of variables."""
        return self.A.shape  # type: ignore[no-any-return]

    def __call__(self, x: Array, *args: Any) -> Array:
        """Return the whole Hessian.

        Parameters
        ----------
        x : array, shape (n,)
            Where.
        *args : object
            Further arguments of the functions.

        Returns
        -------
        array, shape (n, n)
            Symmetric.
        """
        return self._with_rest(curved_gram(self.A, self._weights(x, args)), x, args)

    def sampled(self, x: Array, rows: Any, *args: Any) -> Array:
        """Return the estimate from some rows, in single precision.

        Parameters
        ----------
        x : array, shape (n,)
            Where.
        rows : array of int
            Rows, ascending.
        *args : object
            Further arguments of the functions.

        Returns
        -------
        array, shape (n, n)
            Symmetric.
        """
        return self._with_rest(sampled_gram(self.A, self._weights(x, args), rows), x, args)

    def _weights(self, x: Array, args: tuple[Any, ...]) -> Array:
        answer = oracle.call(self.weights, x, *args)
        w = oracle.as_shape(answer, "weights", (self.shape[0],))
        wrong = w[~((w >= 0) & (w < np.inf))]
        if wrong.size:
            raise OracleError(f"weights: expected finite numbers >= 0, got {wrong[0]:g}")
        return w

    def _with_rest(self, H: Array, x: Array, args: tuple[Any, ...]) -> Array:
        rest = oracle.call(self.add, x, *args) if callable(self.add) else self.add
        return H + self._rest(rest)

    def _rest(self, rest: Any) -> Array:
        n = self.shape[1]
        if rest is None:
            return np.zeros((n, n))
        if np.ndim(rest) == 0 and not oracle.is_sparse(rest):
            return oracle.as_value(rest, "add") * np.eye(n)
        matrix = oracle.dense(oracle.as_matrix(rest, "add", (n, n)))
        return np.asarray(matrix + matrix.T) / 2
