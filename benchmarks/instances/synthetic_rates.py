"""Error curves whose rate is known exactly: the examination paper of `fejer.fit_rate`.

Fifteen kinds of curve, drawn with random constants from a seed::

    (k + s)**-p            p = 1/2, 1, 2, with a random shift s
    (k + s)**-p * noise    the same with 20 % noise and an oscillation of 50 %
    k**-1 + f              with a floor f
    q**k                   q = 0.9, 0.99, 0.999; with noise; after a plateau; with a floor
    e**2, e**1.618         Newton's and the secant method's error recursion

``python -m fejer.benchmarks.instances.synthetic_rates`` fits all of them and prints, for each kind,
how often the form is recognised, the median of the fitted order relative to the truth, and how
often the interval covers the truth.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fejer.rates import RateFit, fit_rate

GOLDEN = (1 + 5**0.5) / 2

KINDS = (
    *(f"k^-{p}" for p in ("0.5", "1", "2")),
    *(f"k^-{p} noisy" for p in ("0.5", "1", "2")),
    "k^-1 floor",
    *(f"{q}^k" for q in ("0.9", "0.99", "0.999")),
    "q^k noisy",
    "q^k plateau first",
    "q^k floor",
    "order 2",
    "order 1.618",
)
"""Names of the kinds of curve, in the order of the table."""


@dataclass(frozen=True, eq=False)
class SyntheticCurve:
    """An error curve and the truth about it.

    Attributes
    ----------
    nit, error : (m,) array
        Iteration numbers and errors.
    form : str
        "sublinear", "linear" or "superlinear".
    truth : float
        The exponent p, the factor q, or the order.
    noisy : bool
        Whether the curve carries noise and oscillation.
    """

    nit: NDArray[np.int64]
    error: NDArray[np.float64]
    form: str
    truth: float
    noisy: bool


def synthetic_curve(kind: str, seed: int = 0) -> SyntheticCurve:
    """Draw one curve of a kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int, default 0
        Chooses constants, shift, floor, length and noise.

    Returns
    -------
    SyntheticCurve
        The curve, recorded at every iteration from 0 on.

    Examples
    --------
    >>> curve = synthetic_curve("0.9^k", seed=3)
    >>> curve.form, curve.truth
    ('linear', 0.9)
    """
    rng = np.random.default_rng([KINDS.index(kind), seed])
    scale = 10 ** rng.uniform(-2, 2)
    head, _, tail = kind.partition(" ")
    noisy = tail == "noisy"
    if head == "order":
        return _superlinear(float(tail), rng)
    if head.startswith("k^-"):
        form, truth = "sublinear", float(head[3:])
        k = np.arange(int(10 ** rng.uniform(3, 4)))
        shift = 10 ** rng.uniform(-1, 1)
        # A floor which the last two octaves or so of the run lie on.
        level = (len(k) / 10 ** rng.uniform(0.6, 1.5)) ** -truth if tail == "floor" else 0.0
        error = (k + shift) ** -truth + level
    else:
        form = "linear"
        truth = float(head[:-2]) if head != "q^k" else float(rng.choice([0.9, 0.99, 0.999]))
        length = rng.uniform(12, 25) / -np.log(truth)
        wait = int(length * rng.uniform(0.1, 0.6)) if tail == "plateau first" else 0
        k = np.arange(int(length) + wait)
        level = np.exp(-rng.uniform(8, 14)) if tail == "floor" else 0.0
        if level:
            k = np.arange(2 * len(k))
        error = truth ** np.maximum(k - wait, 0.0) + level
    if noisy:
        period, phase = rng.uniform(5, 50), rng.uniform(0, 2 * np.pi)
        error = error * (1 + 0.5 * np.sin(2 * np.pi * k / period + phase))
        error = error * np.exp(0.2 * rng.standard_normal(len(k)))
    return SyntheticCurve(k, scale * error, form, truth, noisy)


def _superlinear(order: float, rng: np.random.Generator) -> SyntheticCurve:
    """Iterate e+ = c e^2 or the secant method's e+ = c e e- down to rounding error."""
    constant = 10 ** rng.uniform(-0.5, 0.5)
    error = [0.5 / constant * rng.uniform(0.5, 1.2)]
    error.append(error[0] * rng.uniform(0.5, 0.9))
    while error[-1] > 1e-15:
        error.append(constant * error[-1] * (error[-1] if order == 2 else error[-2]))
    error[-1] = 1e-16 * rng.uniform(1, 3)
    values = np.array(error + [1e-16] * int(rng.integers(0, 4)))
    truth = 2.0 if order == 2 else GOLDEN
    return SyntheticCurve(np.arange(len(values)), values, "superlinear", truth, False)


@dataclass(frozen=True)
class KindSummary:
    """How `fejer.fit_rate` did on one kind: a line of the table.

    Attributes
    ----------
    kind : str
    runs, right : int
        Curves fitted, and those among them whose form was recognised.
    median : float
        Median of fitted order / true order over the recognised ones. For q**k the order is -log q,
        since a factor of 0.99 is within 1 % of almost anything.
    covered : float
        Share of the recognised ones whose interval holds the truth.
    """

    kind: str
    runs: int
    right: int
    median: float
    covered: float


def examine(kind: str, runs: int = 60) -> KindSummary:
    """Fit ``runs`` curves of a kind and compare with the truth.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    runs : int, default 60
        Seeds 0 to runs - 1.

    Returns
    -------
    KindSummary
        One line of the table.

    Examples
    --------
    >>> summary = examine("order 2", runs=3)
    >>> summary.right, round(summary.median, 2)
    (3, 1.0)
    """
    ratios, covered = [], []
    for seed in range(runs):
        curve = synthetic_curve(kind, seed)
        fit = fit_rate(curve.nit, curve.error)
        if fit.form == curve.form:
            ratios.append(relative_order(fit, curve.truth))
            covered.append(fit.low * (1 - 1e-9) <= curve.truth <= fit.high * (1 + 1e-9))
    if not ratios:
        return KindSummary(kind, runs, 0, np.nan, np.nan)
    return KindSummary(kind, runs, len(ratios), float(np.median(ratios)), float(np.mean(covered)))


def relative_order(fit: RateFit, truth: float) -> float:
    """Return fitted over true order; for linear convergence the order is -log of the factor.

    Parameters
    ----------
    fit : RateFit
        A fit whose form is that of the truth.
    truth : float
        Exponent, factor or order.

    Returns
    -------
    float
        1 for a perfect fit.
    """
    if fit.form == "linear":
        return float(np.log(fit.factor) / np.log(truth))
    return fit.exponent / truth


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Fit rates to error curves of known rate.")
    parser.add_argument("--runs", type=int, default=60, help="curves of each kind (default 60)")
    runs = parser.parse_args().runs
    print(f"{'kind':<20}{'form right':>12}{'median order / truth':>22}{'covered':>9}")
    right = 0
    for kind in KINDS:
        line = examine(kind, runs)
        right += line.right
        share = f"{line.right}/{line.runs}"
        print(f"{kind:<20}{share:>12}{line.median:>22.4f}{line.covered:>9.0%}", flush=True)
    print(f"form right in {right} of {runs * len(KINDS)}")


if __name__ == "__main__":
    main()
