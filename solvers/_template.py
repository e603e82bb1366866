"""Gradient descent, as a template: copy this file to ``solvers/<family>/<method_name>.py``.

The method is registered as soon as the file exists; to become a default it is named in the
problem's ``auto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems._template import RidgeTemplate


@dataclass
class GradientState(State):
    """The point."""

    x: Array


@register
@dataclass(frozen=True, eq=False)
class GradientTemplate(Method):
    """Gradient descent ``w <- w - step/L (X'(X w - y) + lam w)``.

    Notes
    -----
    Rate: ``||w_k - w*|| <= (1 - step lam/L)^k ||w_0 - w*||`` for ``step <= 1``, where
    ``L = ||X||_2^2 + lam``. Cost per iteration: 4 n d flops. Memory: one vector of each length.

    References
    ----------
    .. [1] Cauchy (1847), Méthode générale pour la résolution des systèmes d'équations
       simultanées.
    """

    step: float = option(1.0, above=0, below=2, doc="step in units of 1/L")
    name, solves = "gradient-template", (RidgeTemplate,)
    cites = ("Cauchy (1847)",)

    @property
    def rate(self) -> Rate:
        """Linear convergence of the distance to the optimum."""
        return Rate(
            "||w_k - w*|| <= (1 - step lam/L)^k ||w_0 - w*||",
            "linear",
            factor=self._factor,
            assumptions="step <= 1",
            measure=lambda problem, x, xstar: float(np.linalg.norm(x - xstar)),
            bound=lambda problem, x0, xstar, k: (
                self._factor(problem) ** k * float(np.linalg.norm(x0 - xstar))
            ),
        )

    def _factor(self, problem: RidgeTemplate) -> float:
        return 1.0 - min(self.step, 2.0 - self.step) * problem.lam / self._lipschitz(problem)

    def _lipschitz(self, problem: RidgeTemplate) -> float:
        return float(np.linalg.norm(problem.X.toarray(), 2)) ** 2 + problem.lam

    def prepare(self, problem: RidgeTemplate, tol: float, rng: np.random.Generator) -> Any:
        """Compute the matrix of the normal equations and the step."""
        X = problem.X.toarray()
        return X.T @ X, X.T @ problem.y, self.step / self._lipschitz(problem)

    def begin(
        self, problem: RidgeTemplate, prep: Any, start: Start, rng: np.random.Generator
    ) -> GradientState:
        """Start at the given point."""
        return GradientState(start.x)

    def advance(self, problem: RidgeTemplate, prep: Any, state: GradientState, n: int) -> bool:
        """Take n steps."""
        gram, c, step = prep
        descend(gram, c, problem.lam, step, state.x, np.empty_like(state.x), n)
        state.nit += n
        state.work += n * problem.unit
        return False


@kernel
def descend(gram, c, lam, step, w, slope, count):  # type: ignore[no-untyped-def]
    """Take ``count`` gradient steps in place."""
    d = w.size
    for _ in range(count):
        for i in range(d):
            slope[i] = lam * w[i] - c[i]
            for j in range(d):
                slope[i] += gram[j, i] * w[j]
        for i in range(d):
            w[i] -= step * slope[i]
