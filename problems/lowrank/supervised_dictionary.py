"""Supervised dictionary learning: one factorisation that reconstructs and classifies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.arrays import float_array
from fejer.problem import Problem, as_number, as_vector

from . import _dictionary, _nonnegative
from ._dictionary import Parts
from ._observed import validated

__all__ = ["SupervisedDictionary"]

DATA = ("X", "y", "aux", "model", "xi", "nu")


@dataclass(frozen=True, eq=False)
class SupervisedDictionary(Problem):
    """A dictionary and codes that reconstruct the samples and predict their labels.

    min over W (p, r), H (r, n), beta (r, K - 1), Gamma (q, K - 1) of
    ``sum_i log(1 + sum_c exp a_ci) - a_{y_i, i} + xi ||X - W H||_F^2 + nu (||A||_F^2 +
    ||Gamma||_F^2)`` with activations ``a = A' X + Gamma' aux``, ``A = W beta`` (model "filter") or
    ``a = A + Gamma' aux``, ``A = beta' H`` (model "feature"); class 0 has activation 0.

    Parameters
    ----------
    X : array_like, shape (p, n)
        Samples, one in each column.
    y : array_like of int, shape (n,)
        Labels 0, ..., K - 1.
    rank : int
        Number of dictionary atoms r.
    aux : array_like, shape (q, n), optional
        Covariates that are used for the labels and not reconstructed.
    model : {"filter", "feature"}, default "filter"
        Whether the dictionary filters the samples, or the codes are the features.
    xi : float, default 1.0
        Weight of the reconstruction.
    nu : float, default 1.0
        Weight of the ridge penalty.
    nonnegative : bool, default False
        Ask for W >= 0 and H >= 0: parts that are added and never cancel.

    Attributes
    ----------
    views : tuple of str
        ``dictionary`` W, ``code`` H, ``coefficients`` (beta, Gamma), ``probabilities`` (K, n).

    Raises
    ------
    ProblemError
        Names the field.

    Notes
    -----
    Variable: W, H, beta, Gamma, one after the other, each row by row.

    Certificate: the objective is strongly convex in (A, B, Gamma), B = W H, over pairs [A, B] of
    rank r. With moduli 2 nu and 2 xi, G the scaled gradient and Z the scaled point less G,
    ``f - f* <= ||G||^2/2 - sum_{j>r} sigma_j(Z)^2/2 + ||grad Gamma||^2/(4 nu)``: a bound over all
    points of rank r, which tends to 0 at a global minimiser whose residual is small against what is
    kept. The value is that gap over ``n log K``. Where it cannot close (small xi and nu: the normal
    part of G is larger than the smallest singular value of the point) and the gradient along the
    tangent space, by A and Gamma and by B, each over its norm at 0, is smaller, that is the value:
    then ``certificate.rigorous`` is False, and nothing is said about other minima.

    Nonnegative dictionaries have no such gap. The value is the root of what projected gradient
    steps of the blocks are sure to gain, over ``n log K``, with atoms and codes equally long; plus
    the nonnegative rank one term that a lacking atom could add, plus the relative distance of W and
    H from what is allowed. Not rigorous: it says nothing of other minima.

    References
    ----------
    .. [1] Lee, Lyu, Yao (2022), Supervised dictionary learning with auxiliary covariates,
       arXiv:2206.06774.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.SupervisedDictionary.random())
    >>> result.success, result.certificate.rigorous
    (True, True)
    """

    X: Array
    y: NDArray[np.int64]
    rank: int
    aux: Array | None = None
    model: str = "filter"
    xi: float = 1.0
    nu: float = 1.0
    nonnegative: bool = False

    views = ("dictionary", "code", "coefficients", "probabilities")

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or self.model not in ("filter", "feature"):
            raise ProblemError(f"model: expected 'filter' or 'feature', got {self.model!r:.80}")
        X = self.X if validated(self.X) else float_array(self.X, "X", ndim=2)
        n = X.shape[1]
        y = self.y if validated(self.y) else _labels(self.y, n)
        aux = self.aux
        if aux is None:
            aux = np.zeros((0, n))
            aux.flags.writeable = False
        elif not validated(aux):
            aux = float_array(aux, "aux", ndim=2, shape=(-1, n), empty=True)
        if not isinstance(self.nonnegative, bool | np.bool_):
            raise ProblemError(f"nonnegative: expected True or False, got {self.nonnegative!r:.80}")
        xi, nu = as_number(self.xi, "xi", above=0), as_number(self.nu, "nu", above=0)
        if not X.any():
            raise ProblemError("X: expected at least one entry other than 0, got zeros alone")
        most = min(X.shape[0], n + int(y.max()))
        if self.model == "feature":
            most = min(X.shape[0] + int(y.max()), n)
        rank = as_number(self.rank, "rank", least=1, most=most, integer=True)
        self.set(X=X, y=y, rank=rank, aux=aux, xi=xi, nu=nu, nonnegative=bool(self.nonnegative))

    @classmethod
    def random(
        cls,
        p: int = 12,
        n: int = 40,
        rank: int = 2,
        *,
        covariates: int = 1,
        classes: int = 2,
        model: str = "filter",
        xi: float = 1.0,
        nu: float = 1.0,
        nonnegative: bool = False,
        seed: int = 0,
    ) -> Self:
        """Draw normal factors, samples with noise .3, and labels from the model.

        Parameters
        ----------
        p, n : int, default 12 and 40
            Length and number of the samples.
        rank : int, default 2
            Number of atoms, drawn and asked for.
        covariates : int, default 1
            Rows of aux.
        classes : int, default 2
            Number of labels K.
        model : {"filter", "feature"}, default "filter"
            The model asked for.
        xi, nu : float, default 1.0
            Weights.
        nonnegative : bool, default False
            Draw the moduli of normal factors, and ask for nonnegative ones.
        seed : int, default 0
            Seed.

        Examples
        --------
        >>> import fejer
        >>> fejer.SupervisedDictionary.random().X.shape
        (12, 40)
        """
        rng = np.random.default_rng(seed)
        W, H = rng.standard_normal((p, rank)), rng.standard_normal((rank, n))
        if nonnegative:
            W, H = np.abs(W), np.abs(H)
        X = W @ H / math.sqrt(rank) + 0.3 * rng.standard_normal((p, n))
        beta = rng.standard_normal((rank, classes - 1))
        aux = rng.standard_normal((covariates, n))
        gamma = rng.standard_normal((covariates, classes - 1))
        a = 2 * beta.T @ (W.T @ X) / p + gamma.T @ aux
        chance = np.vstack([np.zeros(n), a]) + rng.gumbel(size=(classes, n))
        y = chance.argmax(axis=0)
        y[:classes] = np.arange(classes)  # every class appears
        return cls(X, y, rank, aux, model, xi, nu, nonnegative)

    # ---- the contract ----------------------------------------------------------------------
    @property
    def n_classes(self) -> int:
        """Number of labels K."""
        return int(self.y.max()) + 1

    @property
    def unit(self) -> int:
        """Units of work in one pass: the entries of X."""
        return int(self.X.size)

    @property
    def judge_units(self) -> int:
        """Units of work of a certificate: a Gram matrix of the lifted point."""
        return self.unit * (4 + min(self.X.shape) // (2 * self.rank))

    def parts(self, x: Array) -> Parts:
        """Return the views W, H, beta, Gamma of a packed variable."""
        (p, n), r, q, k = self.X.shape, self.rank, self._aux.shape[0], self.n_classes - 1
        cuts = np.cumsum([p * r, r * n, r * k])
        W, H, beta, gamma = np.split(x, cuts)
        return Parts(W.reshape(p, r), H.reshape(r, n), beta.reshape(r, k), gamma.reshape(q, k))

    @property
    def _aux(self) -> Array:
        assert self.aux is not None
        return self.aux

    def hot(self) -> Array:
        """Return the indicator of the labels, shape (K - 1, n)."""

        def build() -> Array:
            return (self.y == np.arange(1, self.n_classes)[:, None]).astype(np.float64)

        found: Array = self.fact("hot", ("y",), build)
        return found

    def null_gradients(self) -> tuple[float, float]:
        """Return the norms of the scaled gradients at 0: by (A, Gamma), and by B."""

        def build() -> tuple[float, float]:
            p, n = self.X.shape
            k = self.n_classes - 1
            A = np.zeros((p, k) if self.model == "filter" else (k, n))
            at = _dictionary.lift(self, A, np.zeros((p, n)), np.zeros((len(self._aux), k)))
            upper = np.linalg.norm(at.slope_a) ** 2 + np.linalg.norm(at.slope_gamma) ** 2
            lower = float(np.linalg.norm(at.slope_b)) / math.sqrt(2 * self.xi)
            return math.sqrt(upper / (2 * self.nu)) or 1.0, lower

        found: tuple[float, float] = self.fact("null_gradients", DATA, build)
        return found

    def initial_point(self) -> Array:
        """Return the leading left singular vectors of X as W, ``W' X`` as H, and zeros."""

        def build() -> Array:
            p, r, k = len(self.X), self.rank, self.n_classes - 1
            if self.nonnegative:
                W, H = _nonnegative.start(self.X, r)
                rest = np.zeros(r * k + len(self._aux) * k)
                return np.concatenate([W.ravel(), H.ravel(), rest])
            W = np.zeros((p, r))
            A = _dictionary.leading_left(self.X, r)
            W[:, : A.shape[1]] = A
            rest = np.zeros(r * k + len(self._aux) * k)
            return np.concatenate([W.ravel(), (W.T @ self.X).ravel(), rest])

        found: Array = self.fact("start", ("X", "y", "aux", "rank", "nonnegative"), build)
        return found.copy()

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge by the gap of the lifted problem, or by its stationarity.

        Parameters
        ----------
        x : array
            The factors and coefficients.
        witness : mapping, optional
            Not needed and not used.
        """
        rule = _nonnegative.judge if self.nonnegative else _dictionary.judge
        return rule(self, self.parts(np.array(x)))

    def auto(self) -> tuple[str, ...]:
        """Return the methods, first choice first."""
        return ("bcd-dictionary",) if self.nonnegative else ("bcd-dictionary", "lpgd")

    # ---- views -----------------------------------------------------------------------------
    def dictionary(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return W, one atom in each column."""
        return self.parts(np.array(x)).W

    def code(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return H, the code of one sample in each column."""
        return self.parts(np.array(x)).H

    def coefficients(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return beta (r, K - 1) and Gamma (q, K - 1)."""
        parts = self.parts(np.array(x))
        return parts.beta, parts.gamma

    def probabilities(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the probability of each class, shape (K, n)."""
        parts = self.parts(np.array(x))
        A = parts.beta.T @ (parts.W.T @ self.X if self.model == "filter" else parts.H)
        rest, _ = _dictionary.probabilities(A + parts.gamma.T @ self._aux)
        return np.vstack([1.0 - rest.sum(axis=0), rest])


def _labels(data: npt.ArrayLike, n: int) -> NDArray[np.int64]:
    """Check labels and return them as read-only integers."""
    given = as_vector(data, "y")
    if given.size != n:
        raise ProblemError(f"y: expected shape ({n},) as X has columns, got {given.shape}")
    labels = given.astype(np.int64)
    if (labels != given).any() or labels.min() < 0:
        raise ProblemError("y: expected integers 0, ..., K - 1, got others")
    counts = np.bincount(labels) if labels.max() < 10 * n + 10 else np.zeros(1)
    if counts.size < 2 or (counts == 0).any():
        raise ProblemError(
            f"y: expected every class 0, ..., K - 1, K >= 2, got {counts.size} with gaps"
        )
    labels.flags.writeable = False
    return labels
