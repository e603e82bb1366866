"""The functions that make a monotone inclusion: calling them, checking them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fejer.errors import OracleError
from fejer.evidence import Array
from fejer.problem import Problem

from ._operators import COMPONENT, DIFFERENCE, MAP, RESOLVENT, call, first_class, norm

__all__ = ["FUNCTIONS", "Oracles"]

FUNCTIONS = {
    "F": MAP,
    "resolvent": RESOLVENT,
    "component": COMPONENT,
    "component_difference": DIFFERENCE,
}


class Oracles(Problem):
    """Mixin of `MonotoneInclusion`: its fields that are functions, Python or compiled."""

    F: Callable[..., Any]
    n: int
    kind: str
    resolvent: Callable[..., Any] | None
    lipschitz: float | None
    comonotonicity: float
    component: Callable[..., Any] | None
    component_difference: Callable[..., Any] | None
    n_components: int | None
    reference: Any

    @property
    def constant(self) -> float | None:
        """A declared constant of F."""
        raise NotImplementedError

    def first_class(self, name: str) -> Any:
        """Return one of the functions as an argument for kernels, or None.

        Parameters
        ----------
        name : str
            Name of the field.

        Returns
        -------
        object or None
        """
        memo = self.__dict__.setdefault("_first_class", {})
        if name not in memo:
            memo[name] = first_class(getattr(self, name), FUNCTIONS[name])
        return memo[name]

    def apply(self, x: Array) -> Array:
        """Return ``F(x)``, which the caller must not write into.

        Parameters
        ----------
        x : array, shape (n,)
            The point.

        Returns
        -------
        array, shape (n,)
        """
        return self.oracle(x)  # type: ignore[no-any-return]

    def evaluate(self, x: Array) -> Array:
        """Call F at ``x``; `apply` remembers the last points."""
        if self.first_class("F") is None:
            return call(self.F, "F", self.n, x)
        value = np.empty(self.n)
        self.F(x.copy(), value)
        return value

    def resolve(self, v: Array, eta: float) -> Array:
        """Return ``(I + eta G)^{-1} v``.

        Parameters
        ----------
        v : array, shape (n,)
            The point.
        eta : float
            The step.

        Returns
        -------
        array, shape (n,)
        """
        if self.resolvent is None:
            return v
        if self.first_class("resolvent") is None:
            return call(self.resolvent, "resolvent", self.n, v, eta)
        value = np.empty(self.n)
        self.resolvent(v.copy(), eta, value)
        return value

    def mean_component(self, x: Array, indices: npt.NDArray[np.int64]) -> Array:
        """Return the mean of ``F_i(x)`` over the indices.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        indices : array of int64
            Components.

        Returns
        -------
        array, shape (n,)
        """
        if self.first_class("component") is None:
            return call(self.component, "component", self.n, x, indices)  # type: ignore[arg-type]
        value = np.zeros(self.n)
        self.component(x.copy(), indices.copy(), value)  # type: ignore[misc]
        return value

    def mean_difference(self, x: Array, y: Array, indices: npt.NDArray[np.int64]) -> Array:
        """Return the mean of ``F_i(x) - F_i(y)`` over the indices.

        Parameters
        ----------
        x, y : array, shape (n,)
            The points.
        indices : array of int64
            Components.

        Returns
        -------
        array, shape (n,)
        """
        function = self.component_difference
        if function is None:
            return self.mean_component(x, indices) - self.mean_component(y, indices)
        if self.first_class("component_difference") is None:
            return call(function, "component_difference", self.n, x, y, indices)
        value = np.zeros(self.n)
        function(x.copy(), y.copy(), indices.copy(), value)
        return value

    def check_start(self, x: Array) -> None:
        """Refuse functions that fail, or contradict each other, at the start of a run.

        Parameters
        ----------
        x : array, shape (n,)
            The start.

        Raises
        ------
        OracleError
            Names the function.
        """
        value = self.apply(x)
        if not np.isfinite(value).all():
            raise OracleError("F: expected finite numbers at the start, got nan or inf")
        if not np.isfinite(self.resolve(x, self.reference.step)).all():
            raise OracleError("resolvent: expected finite numbers at the start, got nan or inf")
        if self.component is None:
            return
        every = np.arange(self.n_components, dtype=np.int64)  # type: ignore[arg-type]
        mean = self.mean_component(x, every)
        # Components may cancel in F: the size of one of them counts, too.
        size = max(norm(value), norm(self.mean_component(x, every[:1])))
        _agree("component: expected that the mean over all indices is F", mean, value, size)
        if self.component_difference is not None:
            y = x - self.reference.step * value
            plain = mean - self.mean_component(y, every)
            text = "component_difference: expected the difference of two calls of component"
            _agree(text, self.mean_difference(x, y, every), plain, size)

    def derivative_checks(self, x: Array) -> Iterator[tuple[str, list[float], list[float]]]:
        """Yield what `fejer.check_derivatives` compares: (name, steps, errors) at some points.

        Parameters
        ----------
        x : array, shape (n,)
            Where.

        Yields
        ------
        tuple
        """
        rng = np.random.default_rng(0)
        size = max(1.0, norm(x) / math.sqrt(self.n))
        others = [x + size * 10.0**-k * rng.standard_normal(self.n) for k in range(6)]
        pairs = [(self.apply(x) - self.apply(y), x - y) for y in others]
        rho = {"monotone": 0.0, "comonotone": self.comonotonicity}.get(self.kind)
        if rho is None:
            rho = 0.0 if self.constant is None else 1.0 / self.constant
        lack = [(rho * (f @ f) - f @ d) / max(norm(f) * norm(d), 1e-300) for f, d in pairs]
        yield f"{self.kind} F", [], [max(0.0, float(v) - 1e-9) for v in lack]
        if self.lipschitz is not None:
            excess = [norm(f) / (self.lipschitz * max(norm(d), 1e-300)) - 1.0 for f, d in pairs]
            yield "lipschitz", [], [max(0.0, v) for v in excess]
        if self.resolvent is not None:
            images = [(self.resolve(x, 1.0) - self.resolve(y, 1.0), x - y) for y in others]
            over = [float(j @ j - j @ d) / max(float(d @ d), 1e-300) for j, d in images]
            yield "resolvent, firmly nonexpansive", [], [max(0.0, v) for v in over]
        if self.component is not None:
            every = np.arange(self.n_components, dtype=np.int64)  # type: ignore[arg-type]
            mean = [self.mean_component(y, every) - self.apply(y) for y in others]
            sizes = [max(norm(self.apply(y)), 1e-300) for y in others]
            yield "mean of components", [], [norm(e) / s for e, s in zip(mean, sizes, strict=True)]
        if self.component_difference is not None:
            errors = []
            for y in others:
                plain = self.mean_component(x, every) - self.mean_component(y, every)
                difference = self.mean_difference(x, y, every)
                errors.append(norm(difference - plain) / max(norm(plain), 1e-300))
            yield "component_difference", [], errors


def _agree(text: str, a: Array, b: Array, size: float) -> None:
    error = norm(a - b) / max(size, 1e-300)
    if not error <= 1e-6:
        raise OracleError(f"{text}, got a relative difference of {error:.2g} at the start")
