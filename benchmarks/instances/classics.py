"""Problems from the literature whose data are short enough to be written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.linear.linear_program import LinearProgram
from fejer.problems.monotone.fixed_point import FixedPoint

__all__ = [
    "CANNERIES",
    "MARKETS",
    "Epidemic",
    "karate_club",
    "page_rank",
    "scores",
    "shipping",
]

CANNERIES = {"Seattle": 350.0, "San Diego": 600.0}
"""Cases that each cannery can send."""

MARKETS = {"New York": 325.0, "Chicago": 300.0, "Topeka": 275.0}
"""Cases that each market needs."""

DISTANCES = ((2.5, 1.7, 1.8), (2.5, 1.8, 1.4))  # thousands of miles, one row for each cannery
FREIGHT = 90.0  # dollars for a case and a thousand miles


def shipping() -> LinearProgram:
    """Return the transportation example of Dantzig's book, with the numbers of the GAMS tutorial.

    Two canneries serve three markets; what is the cheapest way? Costs are in thousands of dollars,
    so that the optimal value is 153.675. Rows: the canneries, then the markets. Variables: what
    Seattle sends to New York, Chicago and Topeka, then the same for San Diego. What a cannery has
    bounds each of its routes, which changes nothing but makes the certificate a proof.

    References
    ----------
    .. [1] G. Dantzig (1963), Linear programming and extensions, Princeton, chapter 3.3.
    .. [2] R. Rosenthal, A GAMS tutorial, in: GAMS, a user's guide (model trnsport).

    Examples
    --------
    >>> shipping().c
    array([0.225, 0.153, 0.162, 0.225, 0.162, 0.126])
    """
    plants, markets = len(CANNERIES), len(MARKETS)
    sent = np.kron(np.eye(plants), np.ones(markets))
    received = np.kron(np.ones(plants), np.eye(markets))
    supply, demand = list(CANNERIES.values()), list(MARKETS.values())
    return LinearProgram(
        FREIGHT * np.ravel(DISTANCES) / 1000.0,
        np.vstack([sent, received]),
        [-math.inf] * plants + demand,
        supply + [math.inf] * markets,
        0.0,
        np.repeat(supply, markets),
    )


# Friends of each member among those with a larger number.
FRIENDS = {
    1: (2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 18, 20, 22, 32),
    2: (3, 4, 8, 14, 18, 20, 22, 31),
    3: (4, 8, 9, 10, 14, 28, 29, 33),
    4: (8, 13, 14),
    5: (7, 11),
    6: (7, 11, 17),
    7: (17,),
    9: (31, 33, 34),
    10: (34,),
    14: (34,),
    15: (33, 34),
    16: (33, 34),
    19: (33, 34),
    20: (34,),
    21: (33, 34),
    23: (33, 34),
    24: (26, 28, 30, 33, 34),
    25: (26, 28, 32),
    26: (32,),
    27: (30, 34),
    28: (34,),
    29: (32, 34),
    30: (33, 34),
    31: (33, 34),
    32: (33, 34),
    33: (34,),
}


def karate_club() -> Array:
    """Return who is a friend of whom in a karate club of 34 members, as a symmetric 0-1 matrix.

    References
    ----------
    .. [1] W. Zachary (1977), An information flow model for conflict and fission in small groups,
       Journal of Anthropological Research 33, 452-473.

    Examples
    --------
    >>> club = karate_club()
    >>> int(club.sum()) // 2, int(club[33].sum())
    (78, 17)
    """
    A = np.zeros((34, 34))
    for i, others in FRIENDS.items():
        for j in others:
            A[i - 1, j - 1] = A[j - 1, i - 1] = 1.0
    return A


def page_rank(damping: float = 0.85) -> FixedPoint:
    """Return PageRank of the karate club.

    A walker goes to a random friend with probability ``damping``, else to a random member; p is how
    often he is where: ``p = damping A D^-1 p + (1 - damping)/n``, D the numbers of friends. In
    ``x = D^-1/2 p`` this is ``x = damping D^-1/2 A D^-1/2 x + (1 - damping)/n D^-1/2 1``, a
    contraction with factor ``damping`` in the Euclidean norm, which the map of p need not be.

    Parameters
    ----------
    damping : float, default 0.85
        Between 0 and 1.

    Examples
    --------
    >>> page_rank().factor
    0.85
    """
    A = karate_club()
    root = np.sqrt(A.sum(axis=0))
    jump = (1.0 - damping) / len(A) / root
    return FixedPoint.affine(damping * A / np.outer(root, root), jump, "contraction", damping)


def scores(x: Array) -> Array:
    """Return how often the walker of `page_rank` is where.

    Parameters
    ----------
    x : array, shape (34,)
        The fixed point.

    Returns
    -------
    array, shape (34,)

    Examples
    --------
    >>> import fejer
    >>> shares = scores(fejer.minimize(page_rank()).x)
    >>> round(float(shares[33]), 4), round(float(shares.sum()), 4)
    (0.1009, 1.0)
    """
    return np.asarray(np.sqrt(karate_club().sum(axis=0)) * x)


@dataclass(frozen=True, eq=False)
class Epidemic:
    """Influenza in a boarding school of 763 boys, England, January 1978.

    Susceptible S, infected I and recovered R, as shares of the school, follow
    ``S' = -b S I, I' = b S I - c I, R' = c I``. The midpoint rule makes of these one pair of
    equations a step, ``S + I + R = 1`` is a third one; all S, I, R, b and c are unknowns, and the
    squared distance of I to the share of boys in bed is minimised. The variable x holds b and c,
    then all S, all I, all R.

    Parameters
    ----------
    per_day : int, default 4
        Steps a day.

    Attributes
    ----------
    in_bed : array, shape (14,)
        Boys confined to bed on 22 January and the 13 days after.

    References
    ----------
    .. [1] Anonymous (1978), Influenza in a boarding school, British Medical Journal 1, 587.

    Examples
    --------
    >>> import fejer
    >>> model = Epidemic(per_day=1)
    >>> result = fejer.minimize(
    ...     model.misfit, model.start(), jac=model.slope, constraints=model.constraint(), tol=1e-8)
    >>> result.success, round(float(result.x[0] / result.x[1]), 1)
    (True, 3.8)
    """

    per_day: int = 4
    in_bed: Array = field(
        default_factory=lambda: np.array(
            [3.0, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]
        )
    )
    boys: float = 763.0

    @property
    def steps(self) -> int:
        """Number of steps."""
        return (self.in_bed.size - 1) * self.per_day

    def parts(self, x: Array) -> tuple[Array, Array, Array]:
        """Return S, I and R.

        Parameters
        ----------
        x : array
            The variable.
        """
        S, I, R = x[2:].reshape(3, self.steps + 1)
        return S, I, R

    def _error(self, x: Array) -> Array:
        return self.parts(x)[1][:: self.per_day] - self.in_bed / self.boys

    def misfit(self, x: Array) -> float:
        """Return half the sum of squares of the errors of I.

        Parameters
        ----------
        x : array
            The variable.
        """
        return 0.5 * float(self._error(x) @ self._error(x))

    def slope(self, x: Array) -> Array:
        """Return the gradient of `misfit`.

        Parameters
        ----------
        x : array
            The variable.
        """
        gradient = np.zeros_like(x)
        self.parts(gradient)[1][:: self.per_day] = self._error(x)
        return gradient

    def curvature(self, x: Array) -> Array:
        """Return the Hessian of `misfit`.

        Parameters
        ----------
        x : array
            The variable.
        """
        observed = np.zeros_like(x)
        self.parts(observed)[1][:: self.per_day] = 1.0
        return np.diag(observed)

    def _middles(self, x: Array) -> tuple[Array, Array]:
        S, I, _ = self.parts(x)
        return (S[1:] + S[:-1]) / 2, (I[1:] + I[:-1]) / 2

    def equations(self, x: Array) -> Array:
        """Return the steps of S, those of I, ``S + I + R - 1``, and R on the first day.

        Parameters
        ----------
        x : array
            The variable.
        """
        (S, I, R), (s, i) = self.parts(x), self._middles(x)
        infected, cured = x[0] * s * i / self.per_day, x[1] * i / self.per_day
        falls, rises = np.diff(S) + infected, np.diff(I) - infected + cured
        return np.concatenate([falls, rises, S + I + R - 1.0, R[:1]])

    def jacobian(self, x: Array) -> Array:
        """Return the derivatives of `equations`.

        Parameters
        ----------
        x : array
            The variable.
        """
        (s, i), n, h = self._middles(x), self.steps, 1.0 / self.per_day
        k, all_times = np.arange(n), np.arange(n + 1)
        J = np.zeros((3 * n + 2, x.size))
        J[k, 0], J[n + k, 0], J[n + k, 1] = h * s * i, -h * s * i, h * i
        for end, sign in ((0, -1.0), (1, 1.0)):
            S, I = 2 + k + end, 3 + n + k + end
            J[k, S] = sign + h * x[0] * i / 2
            J[k, I] = h * x[0] * s / 2
            J[n + k, S] = -h * x[0] * i / 2
            J[n + k, I] = sign - h * x[0] * s / 2 + h * x[1] / 2
        for block in range(3):
            J[2 * n + all_times, 2 + block * (n + 1) + all_times] = 1.0
        J[-1, 4 + 2 * n] = 1.0
        return J

    def bending(self, x: Array, multipliers: Array) -> Array:
        """Return the Hessian of ``multipliers' equations``.

        Parameters
        ----------
        x : array
            The variable.
        multipliers : array
            One weight for each equation.
        """
        (s, i), n, h = self._middles(x), self.steps, 1.0 / self.per_day
        k = np.arange(n)
        weight, cure = h * (multipliers[:n] - multipliers[n : 2 * n]), h * multipliers[n : 2 * n]
        H = np.zeros((x.size, x.size))
        for end in (0, 1):
            S, I = 2 + k + end, 3 + n + k + end
            H[0, S] += weight * i / 2
            H[0, I] += weight * s / 2
            H[1, I] += cure / 2
            for other in (0, 1):
                H[S, 3 + n + k + other] += weight * x[0] / 4
        return H + H.T

    def constraint(self) -> Any:
        """Return the equations as SciPy's NonlinearConstraint."""
        from scipy.optimize import NonlinearConstraint

        bending: Any = self.bending  # scipy-stubs forget the multipliers
        return NonlinearConstraint(self.equations, 0.0, 0.0, jac=self.jacobian, hess=bending)

    def course(self, infection: float, recovery: float, infected: float) -> Array:
        """Return the x that solves the equations for given constants.

        Parameters
        ----------
        infection, recovery : float
            b and c.
        infected : float
            I on the first day.
        """
        S, I = np.empty((2, self.steps + 1))
        S[0], I[0], h = 1.0 - infected, infected, 1.0 / self.per_day
        for k in range(self.steps):
            S[k + 1], I[k + 1] = _midpoint(S[k], I[k], h * infection, h * recovery)
        return np.concatenate([[infection, recovery], S, I, 1.0 - S - I])

    def start(self) -> Array:
        """Return the course for b = 1.5, c = 0.5 and the boys of the first day."""
        return self.course(1.5, 0.5, float(self.in_bed[0]) / self.boys)

    def shooting(self) -> Callable[[Array], float]:
        """Return the misfit as a function of the logarithms of b, c and I on the first day."""
        return lambda logs: self.misfit(self.course(*np.exp(logs).tolist()))


def _midpoint(S: float, I: float, infection: float, recovery: float) -> tuple[float, float]:
    """One implicit step, by Newton's method on the middle of I."""
    i = I
    for _ in range(50):
        # s = S / (1 + infection i / 2) solves the equation of S.
        s = S / (1.0 + infection * i / 2)
        error = 2 * (i - I) - infection * s * i + recovery * i
        slope = 2 + recovery - infection * s + infection**2 * s * i / (2 + infection * i)
        step = error / slope
        i -= step
        if abs(step) <= 1e-16 + 4e-16 * abs(i):
            break
    return 2 * S / (1.0 + infection * i / 2) - S, 2 * i - I
