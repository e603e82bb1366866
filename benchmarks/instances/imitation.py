"""Imitation of a controller: who asks the expert least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.problems.constrained.target_model import TargetModel

__all__ = ["Task", "aggregated", "task"]

STATES = 8
STEPS = 25  # of one roll-out
ROLLS = 2  # roll-outs of a round
NOISE = 0.1
LIMIT = 1.0  # of the saturated controller


@dataclass(frozen=True, eq=False)
class Task:
    """A linear system, its optimal controller, and the units in which states are measured.

    ``x+ = A x + B u + noise``, ``u = -k'x`` the controller of least quadratic cost, saturated as
    ``tanh`` where the policy is "tanh". The learner sees ``x / units`` and imitates u.

    Attributes
    ----------
    A, B, gain, units : array
        The system, the controller and the units.
    saturated : bool
        Whether controller and policy are bounded.
    """

    A: Array
    B: Array
    gain: Array
    units: Array
    saturated: bool

    def expert(self, seen: Array) -> Array:
        """Return the expert's answers to what was seen, one row each."""
        return self.policy(seen, -self.gain * self.units)

    def policy(self, seen: Array, theta: Array) -> Array:
        """Return what the policy with these parameters does."""
        u = seen @ theta
        return np.asarray(LIMIT * np.tanh(u / LIMIT)) if self.saturated else u

    def visited(self, theta: Array, rng: np.random.Generator) -> Array:
        """Return what the policy sees in two roll-outs of 25 steps."""
        rows = []
        for _ in range(ROLLS):
            x = rng.standard_normal(STATES)
            for _ in range(STEPS):
                rows.append(x / self.units)
                u = self.policy(rows[-1], theta)
                x = self.A @ x + self.B * u + NOISE * rng.standard_normal(STATES)
                x = np.clip(x, -100.0, 100.0)  # a policy that loses control stays finite
        return np.array(rows)

    def model(self, seen: Array) -> TargetModel:
        """Return the imitation of the expert on what was seen."""
        y = self.expert(seen)
        if not self.saturated:
            return TargetModel(seen, y, "squared")

        def slope(theta: Array) -> Array:
            return np.asarray(1.0 / np.cosh(seen @ theta / LIMIT) ** 2)

        return TargetModel(
            lambda theta: self.policy(seen, theta),
            y,
            "squared",
            jvp=lambda theta, v: slope(theta) * (seen @ v),
            vjp=lambda theta, u: seen.T @ (slope(theta) * u),
            x0=np.zeros(STATES),
        )


def task(policy: str = "linear", spread: float = 1.0, seed: int = 0) -> Task:
    """Draw a system that is unstable by 1 % and its optimal controller.

    Parameters
    ----------
    policy : {"linear", "tanh"}, default "linear"
        Whether controller and policy saturate.
    spread : float, default 1.0
        Ratio of the largest to the smallest unit in which states are measured.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> task().gain.shape
    (8,)
    """
    from scipy.linalg import solve_discrete_are

    rng = np.random.default_rng(seed)
    A = rng.standard_normal((STATES, STATES))
    A *= 1.01 / np.abs(np.linalg.eigvals(A)).max()
    B = rng.standard_normal(STATES)
    P = solve_discrete_are(A, B[:, None], np.eye(STATES), np.eye(1))
    gain = (B @ P @ A) / (1.0 + B @ P @ B)
    return Task(A, B, gain, np.geomspace(1.0, spread, STATES), policy == "tanh")


def aggregated(
    policy: str = "linear", spread: float = 1.0, seed: int = 0, rounds: int = 10
) -> TargetModel:
    """Return the imitation of the expert on what ten policies saw, from none to a perfect one.

    Parameters
    ----------
    policy, spread, seed
        As in `task`.
    rounds : int, default 10
        Policies.

    Examples
    --------
    >>> aggregated().y.shape
    (500,)
    """
    drawn = task(policy, spread, seed)
    rng = np.random.default_rng(seed + 1)
    perfect = -drawn.gain * drawn.units
    shares = np.linspace(0.0, 1.0, rounds)
    return drawn.model(np.vstack([drawn.visited(share * perfect, rng) for share in shares]))
