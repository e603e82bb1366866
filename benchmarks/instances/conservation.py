"""Predictions of profiles whose integral a law of conservation tells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problems.constrained.equality_nlp import EqualityNLP

__all__ = ["PROFILES", "Prediction", "conserved", "prediction", "profile"]

PROFILES = ("heat", "porous", "stefan")
CELLS = 161
OBSERVED = 24
LEAST = 1e-10  # variance of a cell, relative to the prior's


def profile(name: str, time: float = 0.5) -> tuple[Array, Array, float]:
    """Return midpoints of cells, the solution there, and where its front is.

    Parameters
    ----------
    name : str
        "heat": ``1 + exp(-t) sin x`` on a circle; "porous": Barenblatt's solution of
        ``u_t = (u^3)_xx``; "stefan": ``u_t = (k(u) u_x)_x`` with k = 1 above 1/2 and 0 below, whose
        solution jumps from 1/2 to 0 at its front.
    time : float, default 0.5
        When.

    Returns
    -------
    grid, values : array, shape (161,)
        Midpoints, and the solution.
    front : float
        Where the solution falls to 0; nan for "heat", which has no front.

    Examples
    --------
    >>> grid, values, front = profile("stefan")
    >>> float(abs(grid[values > 0].max() - front)) < 0.02
    True
    """
    if name not in PROFILES:
        raise ProblemError(f"name: expected one of {', '.join(PROFILES)}, got {name!r}")
    ends = {"heat": (0.0, 2 * math.pi), "porous": (-2.0, 2.0), "stefan": (0.0, 2.0)}[name]
    width = (ends[1] - ends[0]) / CELLS
    grid: Array = np.asarray(ends[0] + width * (np.arange(CELLS) + 0.5), dtype=np.float64)
    if name == "heat":
        return grid, np.asarray(1.0 + math.exp(-time) * np.sin(grid)), math.nan
    if name == "porous":
        spread = time**0.25  # m = 3: u = t^-a sqrt(C - b x^2 t^-2a), a = 1/4, b = a (m - 1)/(2 m)
        inside: Array = np.maximum(0.25 - grid**2 / (12 * spread**2), 0.0)
        return grid, np.asarray(np.sqrt(inside) / spread), math.sqrt(3.0) * spread
    jump = 0.5
    low, high = 1e-6, 3.0  # (1 - jump)/sqrt(pi) = jump erf(r) r exp(r^2), increasing in r
    for _ in range(60):
        r = (low + high) / 2
        above = jump * math.erf(r) * r * math.exp(r * r) > (1 - jump) / math.sqrt(math.pi)
        low, high = (low, r) if above else (r, high)
    front = 2 * r * math.sqrt(time)
    inner: Array = np.array([math.erf(x / (2 * math.sqrt(time))) for x in grid])
    values = np.where(grid < front, 1.0 - (1.0 - jump) * inner / math.erf(r), 0.0)
    return grid, np.asarray(values), front


@dataclass(frozen=True, eq=False)
class Prediction:
    """A prediction with its uncertainty, and what is known about its integral.

    Attributes
    ----------
    grid, truth : array, shape (n,)
        Midpoints of cells, and the values there.
    front : float
        Where the truth falls to 0.
    mean : array, shape (n,)
        The prediction.
    cov : array, shape (n, n)
        Its covariance.
    weights : array, shape (1, n)
        Weights of the integral.
    mass : array, shape (1,)
        What the integral is.
    """

    grid: Array
    truth: Array
    front: float
    mean: Array
    cov: Array
    weights: Array
    mass: Array

    @property
    def variances(self) -> Array:
        """Variances of the cells, bounded away from 0."""
        own = np.diagonal(self.cov)
        return np.maximum(own, LEAST * own.max())

    def fun(self, x: Array) -> float:
        """Return ``1/2 sum (x - mean)^2 / variances``."""
        return float(0.5 * np.sum((x - self.mean) ** 2 / self.variances))

    def grad(self, x: Array) -> Array:
        """Return its gradient."""
        return np.asarray((x - self.mean) / self.variances)

    def hess(self, x: Array) -> Array:
        """Return its Hessian."""
        return np.diag(1.0 / self.variances)

    def problem(self) -> EqualityNLP:
        """Return the projection as a problem, residuals measured in ``1 / largest deviation``."""
        scale = 1.0 / float(np.sqrt(self.variances.max()))
        linear = (self.weights, self.mass)
        return EqualityNLP(
            self.fun, self.grad, x0=self.mean, hess=self.hess, linear=linear, scale=scale
        )


def prediction(name: str, seed: int = 0) -> Prediction:
    """Fit noisy observations of a profile by kernel ridge regression.

    Twenty-four values at random places have noise of deviation 0.02, and of 0.2 on the fifth of
    the cells where the profile is steepest. The Gaussian kernel has a width of a tenth of the
    domain; the covariance is that of the Gaussian process with this kernel.

    Parameters
    ----------
    name : str
        One of ``PROFILES``.
    seed : int, default 0
        Seed of places and noise.

    Examples
    --------
    >>> prediction("heat").mean.shape
    (161,)
    """
    grid, truth, front = profile(name)
    rng = np.random.default_rng(seed)
    places = np.sort(rng.choice(CELLS, OBSERVED, replace=False))
    slope = np.abs(np.gradient(truth, grid))
    noise = np.where(slope >= np.quantile(slope, 0.8), 0.2, 0.02)
    seen = truth[places] + noise[places] * rng.standard_normal(OBSERVED)
    width = (grid[-1] - grid[0]) / 10

    def kernel(a: Array, b: Array) -> Array:
        return np.asarray(np.exp(-0.5 * ((a[:, None] - b[None, :]) / width) ** 2))

    K = kernel(grid[places], grid[places]) + np.diag(noise[places] ** 2)
    cross = kernel(grid, grid[places])
    centre = seen.mean()
    mean = centre + cross @ np.linalg.solve(K, seen - centre)
    cov = kernel(grid, grid) - cross @ np.linalg.solve(K, cross.T)
    weights = np.full((1, CELLS), grid[1] - grid[0])
    return Prediction(grid, truth, front, mean, (cov + cov.T) / 2, weights, weights @ truth)


def conserved(name: str, seed: int = 0) -> EqualityNLP:
    """Return the projection of a prediction on the law that it should obey.

    Parameters
    ----------
    name : str
        One of ``PROFILES``.
    seed : int, default 0
        Seed of places and noise.

    Examples
    --------
    >>> conserved("porous").n_constraints
    1
    """
    return prediction(name, seed).problem()


def of(problem: EqualityNLP) -> Any:
    """Return the prediction that `conserved` made the problem of."""
    function: Any = problem.fun
    return function.__self__
