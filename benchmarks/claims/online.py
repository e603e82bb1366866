"""Regret of online mirror descent between stochastic and adversarial losses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer import online
from fejer.benchmarks import claims
from fejer.benchmarks.claims import Found, claim

__all__ = [
    "barrier",
    "both_branches",
    "fixed_losses",
    "main",
    "newton",
    "rivals",
    "root",
    "tracking",
]

ROUNDS = (500, 1000, 2000, 4000, 8000)
SIGMAS = (0.1, 0.3, 1.0)
SEEDS = range(5)
# E S^2 = (n + 1) / 2 for the symmetric part S of a matrix of standard normal numbers, n = 10
SYMMETRIC = math.sqrt(5.5)


def regret(rounds: int, sigma: Any, stream: dict[str, Any] | None = None, **options: Any) -> float:
    """Return the mean over seeds of the regret."""
    drawn = (online.SEAStream(rounds, sigma=sigma, seed=s, **(stream or {})) for s in SEEDS)
    return float(np.mean([online.mirror_descent(s, **options).at() for s in drawn]))


def slope(values: list[float]) -> float:
    """Return the exponent of a power of the rounds."""
    return float(np.polyfit(np.log(ROUNDS), np.log(values), 1)[0])


@claim("without noise the regret is constant (arXiv:2302.04552)")
def fixed_losses() -> Found:
    """Fixed quadratic losses."""
    values = [regret(T, 0.0) for T in (500, 8000)]
    text = f"{values[0]:.3f} after 500 rounds, {values[1]:.3f} after 8000"
    yield text, abs(values[1] - values[0]) <= 0.01


@claim("nonconvex losses, convex in the mean: slope 0.5 +- 0.1 in T, proportional to the noise")
def root() -> Found:
    """``A_t = I + sigma S_t``, S_t the symmetric part of 10 x 10 standard normal numbers."""
    last = []
    for sigma in SIGMAS:
        values = [regret(T, SYMMETRIC * sigma) for T in ROUNDS]
        last.append(values[-1])
        exponent = slope(values)
        text = f"sigma = {sigma:g}: slope {exponent:.2f}, {values[-1]:.1f} at T = 8000"
        yield text, abs(exponent - 0.5) <= 0.1
    each = np.divide(last, SIGMAS)
    spread = float(each.max() / each.min() - 1.0)
    yield f"regret over sigma at T = 8000 varies by {100 * spread:.0f} %", spread <= 0.25


@claim(
    "beside plain mirror descent, 1.34 times worse at sigma = 1 and ahead at 0.1; and lazy steps"
)
def rivals() -> Found:
    """Ratios to optimistic mirror descent; the excess risk of averaged points."""
    for sigma, rounds in ((1.0, 8000), (0.1, 2000), (0.1, 8000)):
        noise = SYMMETRIC * sigma
        ours = regret(rounds, noise)
        plain, lazy = regret(rounds, noise, hints="none"), regret(rounds, noise, lazy=True)
        holds = plain > ours if sigma == 1.0 else None
        text = f"sigma = {sigma:g}, T = {rounds}: plain {plain / ours:.2f}, lazy {lazy / ours:.2f}"
        yield text, holds
    for rounds in (500, 8000):
        stream = online.SEAStream(rounds, sigma=SYMMETRIC)
        played = online.mirror_descent(stream)
        text = f"T = {rounds}: excess risk of the mean {stream.risk(played.average):.2e}"
        mean = float(np.mean([stream.mean_loss(t, x) for t, x in enumerate(played.x)]))
        yield text + f", mean risk {mean:.2e}", stream.risk(played.average) <= mean


@claim("strongly convex: bounded where the noise ends, and log T / l where it goes on")
def both_branches() -> Found:
    """Noise in the first 100 rounds alone, and in all."""
    stream = {"kind": "offset"}
    options = {"regime": "strongly-convex"}
    early, all_along = [], []
    for T in ROUNDS:
        noise = np.zeros(T)
        noise[:100] = 1.0
        early.append(regret(T, noise, stream, **options))
        all_along.append(regret(T, 1.0, stream, **options))
    yield f"noise for 100 rounds: {early[0]:.2f} to {early[-1]:.2f}", early[-1] <= early[0] + 0.01
    logs = np.log(ROUNDS)
    fit = np.polyfit(logs, all_along, 1)
    error = float(np.abs(np.polyval(fit, logs) - all_along).max() / all_along[-1])
    text = f"noise for ever: {all_along[0]:.2f} to {all_along[-1]:.2f}, off a + b log T by "
    yield text + f"{100 * error:.1f} %, slope {slope(all_along):.2f}", slope(all_along) <= 0.2
    convex = slope([regret(T, 1.0, stream) for T in ROUNDS])
    yield f"the convex regime on the same losses: slope {convex:.2f}", None


@claim("exp-concave: d log T / a by Newton steps")
def newton() -> Found:
    """Regression with two coefficients and noise of the size of the signal."""
    stream = {"kind": "regression", "n": 2}
    values = [regret(T, 1.0, stream, regime="exp-concave") for T in ROUNDS]
    convex = [regret(T, 1.0, stream) for T in ROUNDS]
    text = f"regret {values[0]:.1f} to {values[-1]:.1f}, slope {slope(values):.2f}"
    yield text, slope(values) <= 0.35
    yield f"the convex regime: {convex[0]:.1f} to {convex[-1]:.1f}, {slope(convex):.2f}", None


@claim("dynamic: several steps at once follow a minimiser that moves, and the bound holds")
def tracking() -> Found:
    """Offsets that move on a circle, T = 4000."""
    for drift in (0.001, 0.01, 0.1):
        stream = online.SEAStream(4000, kind="offset", sigma=0.3, drift=drift)
        played = online.mirror_descent(stream, regime="dynamic")
        value, bound = played.dynamic(stream.minimizers)
        static = online.mirror_descent(stream).dynamic(stream.minimizers)[0]
        text = (
            f"drift {drift:g}: dynamic regret {value:.0f}, bound {bound:.0f}; convex {static:.0f}"
        )
        yield text, value <= bound


@claim("log-barrier: regret below K log T / e + e sum p^2 l^2, also with very negative losses")
def barrier() -> Found:
    """5000 rounds, 10 experts (arXiv:2301.12942)."""
    rng = np.random.default_rng(0)
    bounded = rng.uniform(0, 1, (5000, 10))
    spikes = np.where(rng.random((5000, 10)) < 0.01, -50.0 * rng.random((5000, 10)), bounded)
    for name, losses in (("in [0, 1]", bounded), ("with rare losses down to -50", spikes)):
        played = online.mirror_descent(
            online.LinearStream(losses), mirror="log-barrier", hints="none"
        )
        eta = math.sqrt(10 * math.log(5000) / 5000) / np.abs(losses).max()
        bound = 10 * math.log(5000) / eta + eta * float(np.sum((played.x * losses) ** 2))
        text = f"losses {name}: regret {played.at():.0f}, that bound {bound:.0f}, "
        yield text + f"ours {played.bound:.0f}", played.at() <= min(bound, played.bound)


def main() -> int:
    """Measure them all: ``fejer bench run online``."""
    return claims.main(["online"])
