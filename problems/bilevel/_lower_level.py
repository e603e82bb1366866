"""What all bilevel classes with a strongly convex lower level share: the certificate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.krylov import cg
from fejer.problem import witness_array

from ._assessment import Assessment, norm
from ._bound import Local, bounded, corrected, look
from ._kinks import around, beside
from ._oracles import Oracles

__all__ = ["LowerLevel"]

KIND = "hypergradient"
OUTSIDE = 1e-9  # relative distance from the box that still counts as rounding
POLISH = 0.1  # share of the gradient from which on a better lower solution is worth its solve
ACCURACIES = (1e-5, 1e-8, 1e-11, 1e-14)  # of such a solve, relative
SHARPEN = 1e-3  # share of the gradient from which on the sharper bound is worth its solves


class LowerLevel(Oracles):
    """Base of bilevel classes whose lower level is strongly convex in y.

    A class writes the oracles below; certificate, views and `assess` are the same for all. The
    certificate measures the hypergradient in coordinates t that have no flat ends (the logarithm
    of a penalty has two: there the gradient in x vanishes, however bad the point is). `cross` and
    `steps_to_box` speak of t where ``chart`` is True.
    """

    views: ClassVar[tuple[str, ...]] = (
        "y",
        "hypergradient",
        "hypergradient_error",
        "value_interval",
    )
    scale: float

    # ---- what every class gets -----------------------------------------------------------------
    def adjoint(
        self,
        x: Array,
        y: Array,
        grad_y: Array,
        *,
        tol: float = 1e-14,
        start: Array | None = None,
        direct: bool = True,
    ) -> tuple[Array, int]:
        """Solve ``H q = grad_y F``.

        Parameters
        ----------
        x, y : array
            Where H is taken.
        grad_y : array
            The right-hand side.
        tol : float, default 1e-14
            Relative residual.
        start : array, optional
            First iterate of the conjugate gradients.
        direct : bool, default True
            Use the factorisation, where there is one.

        Returns
        -------
        tuple
            The adjoint, and the number of products with H.
        """
        product = self.hessian(x, y)
        solve = self.solver(x) if direct else None
        if solve is not None:
            q = solve(grad_y)
            return q + solve(grad_y - product(q)), 1
        if not grad_y.any():
            return np.zeros_like(grad_y), 0
        limit = 2 * self.lower_size + 50
        inverse = self.preconditioner(x, y)
        tol = max(tol, 1e-15)
        found = cg(product, grad_y, x0=start, preconditioner=inverse, tol=tol, max_iter=limit)
        return found.x, found.nit + (start is not None)

    def assess(
        self,
        x: Array,
        y: Array,
        *,
        adjoint: Array | None = None,
        chart: bool = False,
        allowed: float = 0.0,
    ) -> Assessment:
        """Compute the hypergradient from an approximate lower solution, and bound its error.

        Parameters
        ----------
        x : array, shape (n,)
            Upper variable.
        y : array, shape (m,)
            Approximate lower solution; any vector is allowed.
        adjoint : array, shape (m,), optional
            Approximate adjoint; solved for if not given.
        chart : bool, default False
            Gradient and error in the coordinates t instead of x.
        allowed : float, default 0.0
            Share of the hypergradient up to which an error is not worth two more linear systems;
            infinity: spare all work that y and adjoint could have instead.

        Returns
        -------
        Assessment

        Notes
        -----
        With ``e = ||y - y*|| <= ||grad_y f|| / mu``, ``r = grad_y F - H q`` and z the computed
        hypergradient, ``z - grad Phi = J*'(q* - q) + (J* - J)' q`` gives

        ``||z - grad Phi|| <= (||J|| + LJ e)/mu (LF e + D + ||r||) + LJ ||q|| e + LxF e``

        where D bounds ``||(H(y*) - H(y)) q||`` [1]_ [2]_. The bound of [2]_, Theorem 2.1, is taken
        where it is smaller. Where either is too large,

        * ``(||J|| + LJ e)/mu`` is replaced by ``(||J' H^-1|| + LJ e/mu)/(1 - LH e/mu)``, from a
          factorisation or for short y, and mu by the smallest eigenvalue s of H at y less ``LH e``,
          which holds if ``||grad_y f|| <= (s - LH e) e``;
        * one Newton step ``y - w`` and its adjoint ``q + p`` give a hypergradient z' with an error
          of second order: ``||z - grad Phi|| <= ||z - z'|| + ||z' - grad Phi||``, the second term
          bounded as above. w and p are solved for to 1e-4.

        References
        ----------
        .. [1] Pedregosa (2016), Hyperparameter optimization with approximate gradient,
           arXiv 1602.02355.
        .. [2] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order
           method for bilevel optimization, arXiv 2308.10098.
        """
        q = adjoint
        if q is None:
            q = self.adjoint(x, y, self.upper_level(x, y).grad_y)[0]
        a = bounded(self, x, y, q, chart, Local())
        if a.error > SHARPEN * norm(a.gradient):
            local = look(self, x, y, chart, math.isfinite(allowed))
            a = bounded(self, x, y, q, chart, local)
        if a.error > allowed * norm(a.gradient):
            a = corrected(self, x, a, chart)
        return a

    def null_value(self) -> float:
        """Return F at the trivial lower solution."""

        def build() -> float:
            return self.upper_level(self.initial_point(), self.lower_start()).fun

        return float(self.fact("null_value", self._data_fields(), build))

    def _data_fields(self) -> tuple[str, ...]:
        return tuple(name for name in self.__dataclass_fields__ if name != "scale")  # type: ignore[attr-defined]

    def project(self, x: Array) -> tuple[Array, float]:
        """Return the projection of x on its box, and the relative distance."""
        lower, upper = self.box()
        inside = np.clip(x, lower, upper)
        distance = np.abs(x - inside) / np.maximum(1.0, np.abs(inside))
        return inside, float(distance.max(initial=0.0))

    def candidates(
        self, x: Array, witness: Mapping[str, Array] = EMPTY, *, chart: bool = False
    ) -> list[Assessment]:
        """Assess x with the y of the witness and with the problem's own, where that is cheap."""
        y = witness_array(witness, "y", self.lower_size)
        found = []
        if y is not None:
            adjoint = witness_array(witness, "adjoint", self.lower_size)
            found.append(self.assess(x, y, adjoint=adjoint, chart=chart, allowed=POLISH))
        if y is None or self.solver(x) is not None:
            found.append(self.assess(x, self.lower_solution(x), chart=chart))
        elif found[0].error > POLISH * norm(found[0].gradient):
            found += self._polished(x, y, chart)
        return found

    def _polished(self, x: Array, y: Array, chart: bool) -> list[Assessment]:
        """Solve on from y until the point and not the error decides."""
        found = []
        for accuracy in ACCURACIES:
            better = self.lower_solution(x, accuracy, y)
            if np.array_equal(better, y) and accuracy > ACCURACIES[-1]:
                continue
            y = better
            q = self.adjoint(x, y, self.upper_level(x, y).grad_y, tol=accuracy)[0]
            found.append(self.assess(x, y, adjoint=q, chart=chart, allowed=POLISH))
            if found[-1].error <= POLISH * norm(found[-1].gradient):
                break
        return found

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x``: norm of the projected hypergradient plus the bound of its error.

        Parameters
        ----------
        x : array
            Upper variable.
        witness : mapping, optional
            ``y``, an approximate lower solution, and ``adjoint``, an approximate solution of
            ``H q = grad_y F``; both only help, and are checked by their residuals.

        Returns
        -------
        Certificate
            Of kind ``"hypergradient"``.
        """
        inside, outside = self.project(x)
        if outside > OUTSIDE:
            return failed(KIND, f"x leaves its box by {outside:.2g} (relative)")
        best = min(
            (
                self._judged(inside, a, outside)
                for a in self.candidates(inside, witness, chart=True)
            ),
            key=lambda pair: pair[0] if pair[0] == pair[0] else math.inf,
        )
        value, unit, parts, a = best
        point, known = inside, a
        if self.kinks and not math.isfinite(value):
            point, known = beside(self, inside, a.y) or (point, known)
            value, unit, parts, _ = self._judged(point, known, outside)
        if self.kinks and math.isfinite(value):
            value, parts = around(self, inside, known, unit, value, parts)
        flat = self.assess(point, known.y, adjoint=known.adjoint, allowed=POLISH)
        lower, upper = self.box()
        step = norm(np.clip(-flat.gradient, lower - inside, upper - inside))
        details = {
            "grad_norm": step,
            "grad_norm_upper": step + flat.error,
            "hypergradient_error": flat.error,
            "error_is_rigorous": float(a.rigorous),
            "lower_residual": a.residual,
            "lower_distance": a.distance,
            "value_error": a.fun_error,
            "null": self.null_value(),
            **parts,
        }
        return Certificate(
            KIND,
            value,
            a.fun,
            scale=self.scale * unit,
            reason="" if math.isfinite(value) else "the error of the hypergradient is unbounded",
            details=details,
            witness={"y": a.y, "adjoint": a.adjoint},
        )

    def _judged(
        self, x: Array, a: Assessment, outside: float
    ) -> tuple[float, float, dict[str, float], Assessment]:
        unit = self.unit_of(a.fun + a.fun_error)
        size = self.chart_size(unit)
        down, up = self.steps_to_box(x)
        step = norm(np.clip(-a.gradient * (size / unit), down, up))
        error, floor = a.error * (size / unit), a.floor * (size / unit)
        parts = {"step": step / self.scale, "floor": floor / self.scale}
        value = (step + error) / self.scale + outside
        if not math.isfinite(unit):
            value = math.inf
        return value, unit, parts, a

    # ---- views -----------------------------------------------------------------------------------
    def _best(self, x: Array, witness: Mapping[str, Array]) -> Assessment:
        return min(self.candidates(x, witness), key=lambda a: a.error)

    def y(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the lower solution that goes with x."""
        return self._best(x, witness).y

    def hypergradient(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the approximate ``grad Phi(x)``."""
        return self._best(x, witness).gradient

    def hypergradient_error(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the bound of the distance between `hypergradient` and ``grad Phi(x)``."""
        return self._best(x, witness).error

    def value_interval(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[float, float]:
        """Return an interval that contains ``Phi(x)``."""
        a = self._best(x, witness)
        return a.fun - a.fun_error, a.fun + a.fun_error
