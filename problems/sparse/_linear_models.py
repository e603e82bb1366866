"""What linear models share: the standard form, the judge, the views; and penalised ones more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number
from fejer.problems.forms import Blockwise, LinearForm

from ._checks import as_data, as_flag, as_scale, as_weights
from ._design import frozen

__all__ = ["LinearModel", "PenalisedModel"]


class LinearModel(Blockwise, Problem):
    """Coefficients of the columns of X, then a constant where one is fitted.

    A subclass is a dataclass with the fields of its own; it writes ``_form`` and names the class of
    its judge, which is made of a form and what the loss is divided by.
    """

    X: Matrix | Any
    y: Array
    scale: str

    views = ("support", "coef", "intercept")

    _judge_class: ClassVar[Any]

    @property
    def _per(self) -> float:
        """What "mean" divides the loss by."""
        if self.scale == "sum":
            return 1.0
        weights: Array | None = getattr(self, "sample_weight", None)
        return float(self.X.shape[0] if weights is None else weights.sum())

    def form(self) -> LinearForm:
        """Return the problem in its standard form, in the scaling "sum"."""
        return self.fact("form", self._names(), self._form)  # type: ignore[no-any-return]

    def _form(self) -> LinearForm:
        """Build the standard form."""
        raise NotImplementedError

    def _names(self) -> Any:
        """The fields, named only if they are asked for."""
        return (field.name for field in fields(self))  # type: ignore[arg-type]

    def _judge(self) -> Any:
        """What judges points of this form."""
        build: Any = lambda: self._judge_class(self.form(), self._per)  # noqa: E731
        return self.fact("judge", self._names(), build)

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by a duality gap; no witness is needed, and none is looked at."""
        return self._judge().certificate(x)  # type: ignore[no-any-return]

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each column."""
        return self.X.shape[1]

    @property
    def _free(self) -> bool:
        """Whether nothing is penalised."""
        return not getattr(self, "lam", 0.0) > 0

    @property
    def judge_units(self) -> int:
        """Two passes; without a penalty the decomposition too."""
        return 2 * self.unit * (1 + min(self.X.shape) // 16 if self._free else 1)

    def coef(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the coefficients."""
        return x[: self.X.shape[1]]

    def support(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the indices of the nonzero coefficients."""
        return np.flatnonzero(x[: self.X.shape[1]])

    def intercept(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Any:
        """Return the constant; 0 where none is fitted."""
        return float(x[-1]) if getattr(self, "fit_intercept", False) else 0.0


class PenalisedModel(LinearModel):
    """An l1 or elastic-net penalty with weights, an intercept, and weights of the samples."""

    lam: float
    l1_ratio: float
    weights: Array | None
    fit_intercept: bool
    sample_weight: Array | None

    def _check(self) -> tuple[int, int]:
        """Check the fields that all of them have; returns the shape of X."""
        X, y = as_data(self.X, self.y)
        n, p = X.shape
        self.set(
            X=X,
            y=y,
            lam=as_number(self.lam, "lam", least=0, most=1e100),
            l1_ratio=as_number(self.l1_ratio, "l1_ratio", least=0, most=1),
            weights=as_weights(self.weights, "weights", p, finite=False),
            fit_intercept=as_flag(self.fit_intercept, "fit_intercept"),
            sample_weight=as_weights(self.sample_weight, "sample_weight", n, finite=True),
            scale=as_scale(self.scale),
        )
        return n, p

    @property
    def _each(self) -> int:
        """Coefficients of one feature."""
        return 1

    def _weights(self) -> Array:
        """Weights of the coefficients; inf excludes one."""
        weights = np.ones(self.X.shape[1]) if self.weights is None else self.weights
        return np.repeat(weights, self._each)

    def _penalised(
        self, loss: str, box: tuple[Array, Array] | None = None, n_classes: int = 1
    ) -> LinearForm:
        """Return the form of a loss; bounds are open if not given."""
        weights, lam = self._weights(), self.lam * self._per
        excluded = np.isinf(weights)
        weights[excluded] = 0.0
        lower, upper = box or (np.full(weights.size, -np.inf), np.full(weights.size, np.inf))
        lower[excluded] = upper[excluded] = 0.0
        return LinearForm(
            X=self.X,
            y=self.y,
            loss=loss,
            l1=frozen(lam * self.l1_ratio * weights),
            l2=frozen(lam * (1.0 - self.l1_ratio) * weights),
            lower=frozen(lower),
            upper=frozen(upper),
            n_classes=n_classes,
            intercept=self.fit_intercept,
            sample_weight=self.sample_weight,
        )

    def initial_point(self) -> Array:
        """Return the null model: no coefficients, and the best constants."""
        w = np.zeros(self.X.shape[1] * self._each)
        return np.append(w, self._judge().null_intercept) if self.fit_intercept else w

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which the null model is the solution.

        Raises
        ------
        ProblemError
            ``l1_ratio=0``: there is none.
        """
        if self.l1_ratio == 0.0:
            raise ProblemError("lam: a ridge penalty (l1_ratio=0) has no largest value")
        steep = np.abs(self._judge().null_corr) / (self._weights() * self.l1_ratio)
        return float(steep.max()) / self._per

    def auto(self) -> tuple[str, ...]:
        """Return Newton's method on working sets, then coordinate descent."""
        return ("prox-newton", "bcd", "fista")
