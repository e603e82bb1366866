"""Penalties chosen by cross-validation: several lower levels with one upper variable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_number

from ._assessment import Constants, Cross, Upper
from ._penalties import Penalties
from ._smooth_lower import SmoothLower
from .ridge_bilevel import RidgeBilevel

__all__ = ["CrossValidated"]

MOST = 1000  # folds


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidated(SmoothLower):
    """Mean of bilevel objectives over folds of the data.

    min over x of ``Phi(x) = 1/K sum_k F_k(y_k*(x))`` where y_k* minimises ``f_k(x, .)``: for K
    folds of one data set this is the cross-validation loss of the penalties ``exp(x)``.

    Parameters
    ----------
    factory : callable
        ``factory(k)`` returns the problem of fold k: `RidgeBilevel`, `LogisticBilevel` or
        `MultinomialBilevel`, all with the same penalties and box. `of` makes one from data.
    folds : int, default 5
        Number of folds, K.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        No callable, a wrong number of folds, or problems that do not fit together.

    Notes
    -----
    View ``y``: the lower solutions of all folds, one after the other.

    Certificate: as that of the single problems, in the coordinates of the first fold; the error
    bounds add up, since the lower levels do not see each other. Not rigorous: stationarity is a
    necessary condition.

    Cost and memory: K times those of one problem.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 5))
    >>> target = X @ [1.0, 0.5, 0.0, 0.0, 0.0] + rng.standard_normal(60)
    >>> problem = fejer.CrossValidated.of(fejer.RidgeBilevel, X, target, folds=4)
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (20,))
    """

    factory: Callable[[int], Any]
    folds: int = 5
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not callable(self.factory) or isinstance(self.factory, type):
            raise ProblemError(f"factory: expected a callable, got {self.factory!r:.80}")
        self.set(
            folds=as_number(self.folds, "folds", least=1, most=MOST, integer=True),
            scale=as_number(self.scale, "scale", above=0),
        )
        _ = self.parts

    @classmethod
    def of(
        cls,
        kind: type,
        X: ArrayLike,
        y: ArrayLike,
        *,
        folds: int = 5,
        seed: int = 0,
        scale: float = 1.0,
        **fields: Any,
    ) -> Self:
        """Split data into folds.

        Parameters
        ----------
        kind : type
            `RidgeBilevel`, `LogisticBilevel` or `MultinomialBilevel`.
        X : array_like, shape (n, m)
            Data.
        y : array_like, shape (n,)
            Targets or labels.
        folds : int, default 5
            Number of folds; sizes differ by one at most, and each label is spread evenly.
        seed : int, default 0
            Seed of the order of the rows.
        scale : float, default 1.0
            As in the class.
        **fields
            Further fields of `kind`, such as ``mode``.

        Returns
        -------
        CrossValidated
        """
        if not (isinstance(kind, type) and issubclass(kind, Penalties)):
            raise ProblemError(f"kind: expected a class with penalties, got {kind!r:.80}")
        data, target = np.asarray(X), np.asarray(y)
        if data.ndim != 2 or target.shape != data.shape[:1]:
            expected = f"X with a row for each of {target.size} targets"
            raise ProblemError(f"y: expected {expected}, got X of shape {data.shape}")
        most = min(MOST, data.shape[0])
        count = int(as_number(folds, "folds", least=2, most=most, integer=True))
        order = np.random.default_rng(seed).permutation(target.size)
        if not issubclass(kind, RidgeBilevel):
            order = order[np.argsort(target[order], kind="stable")]
        fold = np.empty(target.size, dtype=np.intp)
        fold[order] = np.arange(target.size) % count
        return cls(partial(_split, kind, data, target, fold, tuple(fields.items())), count, scale)

    @classmethod
    def random(
        cls,
        n: int = 45,
        n_features: int = 4,
        folds: int = 3,
        mode: Any = "scalar",
        *,
        seed: int = 0,
    ) -> Self:
        """Draw a regression with coefficients that decay like 1/j.

        Parameters
        ----------
        n, n_features, folds : int
            Sizes.
        mode : {"scalar", "feature"} or array_like of int
            As in `RidgeBilevel`.
        seed : int
            Seed of the generator.

        Returns
        -------
        CrossValidated
        """
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, n_features))
        y = X @ (1.0 / np.arange(1, n_features + 1)) + rng.standard_normal(n)
        return cls.of(RidgeBilevel, X, y, folds=folds, mode=mode)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The problems of the folds."""

        def build() -> tuple[Any, ...]:
            made = tuple(self.factory(k) for k in range(self.folds))
            for k, part in enumerate(made):
                if not isinstance(part, Penalties):
                    got = type(part).__name__
                    raise ProblemError(
                        f"factory: expected a problem with penalties for fold {k}, got {got}"
                    )
                first = made[0]
                if (
                    part.size != first.size
                    or part.lower != first.lower
                    or part.upper != first.upper
                ):
                    raise ProblemError(
                        f"factory: expected the penalties and box of fold 0 in fold {k}"
                    )
            # One chart for all: what is typical of a column is taken from the first fold.
            return made[:1] + tuple(part.with_sizes(made[0].sizes()) for part in made[1:])

        return self.fact("parts", ("factory", "folds"), build)  # type: ignore[no-any-return]

    def initial_point(self) -> Array:
        """Return the initial point of the first fold."""
        return np.array(self.parts[0].initial_point())

    @property
    def judge_units(self) -> int:
        """Units of all folds."""
        return sum(part.judge_units for part in self.parts)

    # ---- oracles: blocks of those of the folds -------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of entries of all lower variables."""
        return sum(part.lower_size for part in self.parts)

    def _blocks(self, *vectors: Array) -> list[tuple[Any, ...]]:
        ends = np.cumsum([part.lower_size for part in self.parts])[:-1]
        return list(zip(self.parts, *(np.split(v, ends) for v in vectors), strict=True))

    def box(self) -> tuple[Array, Array]:
        """Return the box of the first fold."""
        return self.parts[0].box()  # type: ignore[no-any-return]

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return the distances to the image of the box."""
        return self.parts[0].steps_to_box(x)  # type: ignore[no-any-return]

    def lower_start(self) -> Array:
        """Return the trivial lower solutions."""
        return np.concatenate([part.lower_start() for part in self.parts])

    def constants(self, x: Array) -> Constants:
        """Return the worst constants of the folds; F is their mean."""
        found = [part.constants(x) for part in self.parts]
        return Constants(
            mu=min(c.mu for c in found),
            lipschitz=max(c.lipschitz for c in found),
            upper=max(c.upper for c in found) / self.folds,
            hessian=max(c.hessian for c in found),
        )

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return the gradients of the folds."""
        return np.concatenate([part.lower_gradient(x, v) for part, v in self._blocks(y)])

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return the products with the diagonal blocks."""
        products = [part.hessian(x, v) for part, v in self._blocks(y)]
        return partial(self._apply, products)

    def _apply(self, maps: list[Callable[[Array], Array]], v: Array) -> Array:
        pieces = (block for _, block in self._blocks(v))
        return np.concatenate([f(piece) for f, piece in zip(maps, pieces, strict=True)])

    def preconditioner(self, x: Array, y: Array) -> Callable[[Array], Array] | None:
        """Return those of the folds."""
        found = [part.preconditioner(x, v) for part, v in self._blocks(y)]
        return None if None in found else partial(self._apply, found)

    def solver(self, x: Array) -> Callable[[Array], Array] | None:
        """Return the factorisations of the folds, where all have one."""
        found = [part.solver(x) for part in self.parts]
        return None if None in found else partial(self._apply, found)

    def lower_solution(
        self, x: Array, accuracy: float = 1e-14, start: Array | None = None
    ) -> Array:
        """Solve the lower level of each fold.

        Parameters
        ----------
        x : array, shape (n,)
            Upper variable.
        accuracy : float, default 1e-14
            Relative residual.
        start : array, shape (m,), optional
            First iterate.

        Returns
        -------
        array, shape (m,)
        """
        if start is None:
            return np.concatenate([part.lower_solution(x, accuracy) for part in self.parts])
        return np.concatenate(
            [part.lower_solution(x, accuracy, v) for part, v in self._blocks(start)]
        )

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the mean of the upper objectives."""
        found = [part.upper_level(x, v) for part, v in self._blocks(y)]
        grad_y = np.concatenate([upper.grad_y for upper in found]) / self.folds
        fun = math.fsum(upper.fun for upper in found) / self.folds
        return Upper(fun, grad_y, sum(upper.floor for upper in found) / self.folds)

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return the sum of the derivatives of the lower objectives in x."""
        return np.sum([part.lower_in_x(x, v) for part, v in self._blocks(y)], axis=0)  # type: ignore[no-any-return]

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return the sum of ``J_k'q_k``."""
        found = [part.cross(x, v, u, chart=chart) for part, v, u in self._blocks(y, q)]
        return Cross(
            product=np.sum([J.product for J in found], axis=0),
            norm=math.hypot(*(J.norm for J in found)),
            lipschitz=max(J.lipschitz for J in found),
            change=math.hypot(*(J.change for J in found)),
            floor=sum(J.floor for J in found),
        )

    def adjoint_norm(self, x: Array, y: Array, *, chart: bool = False) -> float:
        """Bound ``||J' H^-1||`` by its blocks."""
        return math.hypot(*(part.adjoint_norm(x, v, chart=chart) for part, v in self._blocks(y)))

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Bound ``||(H(y') - H(y)) q||`` by its blocks."""
        blocks = self._blocks(y, q)
        return math.hypot(*(part.hessian_change(x, v, u, distance) for part, v, u in blocks))

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals by their blocks."""
        found = [part.rounding(x, v, u) for part, v, u in self._blocks(y, q)]
        return math.hypot(*(a for a, _ in found)), math.hypot(*(b for _, b in found))


def _split(
    kind: Any, X: Array, y: Array, fold: Any, fields: tuple[tuple[str, Any], ...], k: int
) -> Any:
    """Return the problem in which fold k is held out."""
    held = fold == k
    return kind(X[~held], y[~held], X[held], y[held], **dict(fields))
