"""Performance and data profiles, with bands from a bootstrap over problems.

A performance profile asks how often a solver is within a factor tau of the best one, a data profile
how many problems it has solved after so much work. Neither sees by how much a solver fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fejer.errors import ProblemError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profile:
    """Share of problems solved against a budget, for each solver.

    Attributes
    ----------
    tau : (t,) array
        Budgets, increasing: factors of the best cost, or multiples of the unit. The share is a
        step function that jumps at these and is constant to the right of each.
    share, low, high : (t, s) array
        Share of the problems that each solver solves within tau, with the 5 and 95 % quantiles of a
        bootstrap over problems. Bands are pointwise, and speak of the choice of problems alone.
    solvers : tuple of str
        Names, in the order of the columns.

    Examples
    --------
    >>> profile = performance_profile([[1.0, 2.0], [4.0, 1.0]], ["a", "b"], tau_max=4)
    >>> profile.tau
    array([1., 2., 4.])
    >>> profile.share
    array([[0.5, 0.5],
           [0.5, 1. ],
           [1. , 1. ]])
    """

    tau: Array
    share: Array
    low: Array
    high: Array
    solvers: tuple[str, ...]

    def score(self) -> dict[str, float]:
        """Area under each curve on a logarithmic axis, relative to the whole.

        Returns
        -------
        dict of str to float
            Between 0 (nothing solved) and 1 (always best): the share of problems solved within tau,
            averaged over log tau from the first to the last budget.

        Examples
        --------
        >>> performance_profile([[1.0, 2.0], [4.0, 1.0]], ["a", "b"], tau_max=4).score()
        {'a': 0.5, 'b': 0.75}
        """
        width = np.diff(np.log(self.tau))
        total = width.sum()
        area = width @ self.share[:-1] / total if total > 0 else self.share[-1]
        return {name: float(value) for name, value in zip(self.solvers, area, strict=True)}


def performance_profile(
    cost: ArrayLike,
    solvers: Sequence[str],
    *,
    tau_max: float = 100.0,
    boot: int = 200,
    seed: int = 0,
) -> Profile:
    """Share of problems on which a solver costs at most tau times the cheapest one.

    rho_s(tau) = #{p : cost[p, s] <= tau min_r cost[p, r]} / #{p}.

    Parameters
    ----------
    cost : (p, s) array_like
        Time, work or iterations; > 0, inf where the solver failed.
    solvers : sequence of str
        Names of the s solvers.
    tau_max : float, default 100
        Last factor. Beyond it a solver is of no interest.
    boot : int, default 200
        Resamples of the problems for the bands; 0: bands equal to the curve.
    seed : int, default 0
        Of the resamples.

    Returns
    -------
    Profile
        tau from 1 to ``tau_max``.

    Raises
    ------
    ProblemError
        If cost has another shape, a nan, or an entry that is not positive, or names repeat.

    Notes
    -----
    A problem that nobody solves counts for nobody. With more than two solvers the curves depend on
    who is best, and removing one may swap two others: see `pairwise_profiles`.

    References
    ----------
    .. [1] Dolan, More (2002), Benchmarking optimization software with performance profiles, Math.
       Program. 91. arXiv:cs/0102001.
    .. [2] Gould, Scott (2016), A note on performance profiles for benchmarking software, ACM Trans.
       Math. Softw. 43.

    Examples
    --------
    >>> profile = performance_profile([[1.0, 3.0], [2.0, np.inf]], ["bcd", "fista"])
    >>> profile.share[-1]
    array([1. , 0.5])
    """
    values, names = _checked(cost, solvers)
    if not 1 < tau_max < np.inf:
        raise ProblemError(f"tau_max: expected a number > 1, got {tau_max}")
    best = values.min(axis=1, keepdims=True)
    # inf / inf would be nan: where all fail, nobody is within any factor of the best.
    ratio = np.divide(values, best, out=np.full_like(values, np.inf), where=np.isfinite(best))
    return _profile(ratio, names, 1.0, tau_max, boot, seed)


def data_profile(
    cost: ArrayLike, unit: ArrayLike, solvers: Sequence[str], *, boot: int = 200, seed: int = 0
) -> Profile:
    """Share of problems that a solver solves with at most tau units of work.

    d_s(tau) = #{p : cost[p, s] <= tau unit[p]} / #{p}; unlike a performance profile it does not
    depend on the other solvers.

    Parameters
    ----------
    cost : (p, s) array_like
        Work or evaluations; > 0, inf where the solver failed.
    unit : float or (p,) array_like
        What one unit of work costs on each problem: n + 1 evaluations (a simplex gradient), one
        pass over the data.
    solvers : sequence of str
        Names of the s solvers.
    boot : int, default 200
        Resamples of the problems for the bands; 0: bands equal to the curve.
    seed : int, default 0
        Of the resamples.

    Returns
    -------
    Profile
        tau from the cheapest to the dearest finite cost.

    Raises
    ------
    ProblemError
        If cost or unit have another shape, a nan, or an entry that is not positive.

    References
    ----------
    .. [1] More, Wild (2009), Benchmarking derivative-free optimization algorithms, SIAM J. Optim.
       20.

    Examples
    --------
    >>> profile = data_profile([[10.0, 20.0], [40.0, np.inf]], [10.0, 20.0], ["a", "b"])
    >>> profile.tau, profile.share[:, 0]
    (array([1., 2.]), array([0.5, 1. ]))
    """
    values, names = _checked(cost, solvers)
    units = np.asarray(unit, dtype=float)
    if units.shape not in ((), (len(values),)) or not ((units > 0) & (units < np.inf)).all():
        raise ProblemError(
            f"unit: expected a number > 0, or one for each of {len(values)} problems"
        )
    tau = values / units.reshape(-1, 1)
    solved = tau[np.isfinite(tau)]
    first, last = (solved.min(), solved.max()) if solved.size else (1.0, 1.0)
    return _profile(tau, names, first, last, boot, seed)


def pairwise_profiles(
    cost: ArrayLike,
    solvers: Sequence[str],
    *,
    tau_max: float = 100.0,
    boot: int = 200,
    seed: int = 0,
) -> dict[tuple[str, str], Profile]:
    """Performance profiles of every two solvers, in which no third one has a say.

    Parameters
    ----------
    cost : (p, s) array_like
        As for `performance_profile`.
    solvers : sequence of str
        Names of the s solvers.
    tau_max : float, default 100
        Last factor.
    boot : int, default 200
        Resamples of the problems for the bands.
    seed : int, default 0
        Of the resamples.

    Returns
    -------
    dict of (str, str) to Profile
        One for each pair, in the order of ``solvers``.

    Raises
    ------
    ProblemError
        As `performance_profile`.

    Examples
    --------
    >>> list(pairwise_profiles([[1.0, 2.0, 3.0]], ["a", "b", "c"]))
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    values, names = _checked(cost, solvers)
    return {
        (names[i], names[j]): performance_profile(
            values[:, [i, j]], (names[i], names[j]), tau_max=tau_max, boot=boot, seed=seed
        )
        for i, j in combinations(range(len(names)), 2)
    }


def _checked(cost: ArrayLike, solvers: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    values, names = np.asarray(cost, dtype=float), tuple(solvers)
    if values.ndim != 2 or values.shape[1] != len(names) or not values.size:
        raise ProblemError(
            f"cost: expected a row for each problem and {len(names)} columns, got {values.shape}"
        )
    if len(set(names)) < len(names):
        raise ProblemError(f"solvers: expected different names, got {', '.join(names)}")
    if not (values > 0).all():
        raise ProblemError("cost: expected numbers > 0, inf for a failure")
    return values, names


def _profile(
    needed: Array, solvers: tuple[str, ...], first: float, last: float, boot: int, seed: int
) -> Profile:
    """Count who solves what within each budget; ``needed`` is the budget of problem and solver."""
    if boot < 0:
        raise ProblemError(f"boot: expected an integer >= 0, got {boot}")
    inside = needed[(needed >= first) & (needed <= last)]
    tau = np.unique(np.concatenate((inside, [first, last])))
    count, order = len(needed), np.argsort(needed, axis=0)
    # Row 0 is the sample itself; a resample of the problems is a vector of multiplicities.
    generator = np.random.default_rng(seed)
    times = generator.multinomial(count, np.full(count, 1 / count), size=boot)
    weights = np.concatenate((np.ones((1, count)), times))
    shares = np.empty((boot + 1, len(tau), len(solvers)))
    for s in range(len(solvers)):
        solved = np.searchsorted(needed[order[:, s], s], tau, side="right")
        sums = np.cumsum(weights[:, order[:, s]], axis=1)
        shares[:, :, s] = np.pad(sums, ((0, 0), (1, 0)))[:, solved] / count
    share = shares[0]
    low, high = np.quantile(shares[1:], [0.05, 0.95], axis=0) if boot else (share, share)
    return Profile(tau, share, low, high, solvers)
