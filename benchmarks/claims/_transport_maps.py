"""The Monge gap, and maps that are learnt with it, without it and otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import monge
from fejer.evidence import Array
from fejer.solvers.transport.monge_gap import monge_gap
from fejer.solvers.transport.sinkhorn_divergence import sinkhorn_divergence

__all__ = [
    "accurate_maps",
    "gap_gradients",
    "gap_of_optimal_maps",
    "gap_of_others",
    "learnt_maps",
    "learnt_maps_for_distances",
    "map_fits",
]

COSTS: tuple[Any, ...] = ("sqeuclidean", "halfsq", "euclidean", "l1", 1.5)
SEEDS, POINTS = 5, 60


def sample(n: int, dim: int, seed: int = 0) -> Array:
    """Return points of a standard normal distribution."""
    return np.random.default_rng(seed).normal(size=(n, dim))


@claim("the exact gap of translations and of gradients of convex functions is 0 to 1e-12")
def gap_of_optimal_maps() -> Found:
    """Translations for every cost, gradients for the squared distance; n = 200."""
    x = sample(200, 2)
    for cost in COSTS:
        gap = monge_gap(x, x + np.array([3.0, -1.0]), cost)
        yield f"translation, {cost}: {gap:.1e}", abs(gap) <= 1e-12
    maps: dict[str, Callable[[Array], Array]] = {
        "linear, symmetric and definite": lambda x: x @ np.array([[2.0, 0.5], [0.5, 1.0]]),
        "x |x| by coordinates": lambda x: x * np.abs(x),
        "tanh by coordinates": np.tanh,
        "x (1 + |x|^2)": lambda x: x * (1 + (x**2).sum(axis=1, keepdims=True)),
    }
    for name, map_ in maps.items():
        gap = monge_gap(x, map_(x))
        yield f"{name}: {gap:.1e}", abs(gap) <= 1e-12


@claim("diag(3, 1, .3) is optimal for the squared cost and not for the distance; a rotation's gap")
def gap_of_others() -> Found:
    """n = 200; told: .042 for the distance, 1.375 for the rotation (4 (1 - cos) at n = inf)."""
    x = sample(200, 3)
    y = x * [3.0, 1.0, 0.3]
    gap = monge_gap(x, y)
    yield f"diag, squared: {gap:.1e}", abs(gap) <= 1e-12
    gap = monge_gap(x, y, "euclidean")
    yield f"diag, distance: {gap:.4f}", gap > 1e-3
    x, c, s = sample(200, 2), np.cos(0.9), np.sin(0.9)
    gap = monge_gap(x, x @ np.array([[c, s], [-s, c]]))
    yield f"rotation by .9: {gap:.4f}, population {4 * (1 - c):.4f}", abs(gap - 1.375) < 1e-3


@claim("gradients of the gap agree with finite differences to 1e-6")
def gap_gradients() -> Found:
    """Every cost, exact and entropic, n = 40."""
    x = sample(40, 2)
    y = x + 0.7 * sample(40, 2, 1)
    direction, h = sample(40, 2, 2), 1e-5
    for cost in COSTS:
        for eps in (None, 0.3):
            _, gradient = monge_gap(x, y, cost, eps, grad=True)
            ends = [monge_gap(x, y + t * direction, cost, eps) for t in (h, -h)]
            slope = (ends[0] - ends[1]) / (2 * h)
            off = abs(float((gradient * direction).sum()) - slope) / max(abs(slope), 0.1)
            yield f"{cost}, {'exact' if eps is None else 'entropic'}: {off:.1e}", off <= 1e-6


@claim("MapFit with every family of maps is run to a gradient of 1e-6")
def map_fits() -> Found:
    """Gaussians in the plane, with and without the gap; `lbfgs` beside the best method.

    With "rbf" and "mlp" the images depend on some parameters by 1e-9 of what they depend on others:
    that is why `lbfgs` is slow, and why `image-newton`, which works in the images, is not.
    """
    for family in ("affine", "rbf", "mlp"):
        for lam in (0.0, 1.0):
            problem = monge.map_fit("gaussians", POINTS, family, lam)
            result = fejer.minimize(problem)
            other = fejer.minimize(problem, method="lbfgs", options={"memory": 50})
            text = f"{family}, lam = {lam:g}: {result.method} {result.certificate.value:.1e} after "
            text += f"{result.nfev} evaluations, fun {result.fun:.5f}; lbfgs "
            text += f"{other.certificate.value:.1e} after {other.nfev}, fun {other.fun:.5f}"
            yield text, result.success


LBFGS: Any = {"tol": 1e-3, "options": {"memory": 50}, "method": "lbfgs"}
NEWTON: Any = {"tol": 1e-3, "method": "image-newton"}


def fitted(
    kind: str, dim: int, seed: int, cost: str, settings: Any
) -> dict[str, tuple[float, float, float]]:
    """Return held-out divergence, exact gap and map error (relative) of four maps."""
    both = monge.blobs(2 * POINTS, seed) if kind == "blobs" else monge.gaussians(
        2 * POINTS, dim, seed
    )  # fmt: skip
    x, z = both[0][:POINTS], both[1][:POINTS]
    new, target, optimal = both[0][POINTS:], both[1][POINTS:], both[2]
    eps = fejer.MapFit(x, z).epsilon
    paid = fejer.MapFit(x, z, "mlp", 1.0, cost=cost)
    maps: dict[str, Any] = {
        "with gap": fejer.minimize(paid, **settings).fitted_map,
        "without gap": fejer.minimize(fejer.MapFit(x, z, "mlp", 0.0), **settings).fitted_map,
        "convex potential": fejer.minimize(monge.convex_fit(x, z), **settings).fitted_map,
        "barycentric": monge.barycentric(x, z, paid.gap_epsilon, cost),
    }
    found = {}
    for name, map_ in maps.items():
        y = map_(new)
        error = np.nan
        if optimal is not None and cost == "sqeuclidean":
            true = optimal(new)
            error = float(np.sqrt(((y - true) ** 2).sum() / ((true - true.mean(0)) ** 2).sum()))
        found[name] = (
            float(sinkhorn_divergence(y, target, eps)),
            float(monge_gap(new, y, cost)),
            error,
        )
    return found


SAMPLES = (("gaussians", 2), ("gaussians", 8), ("gaussians", 16), ("blobs", 2))


def compared(cost: str, settings: Any, largest: int = 16) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield sample and medians over the seeds, by kind of map; up to a dimension."""
    for kind, dim in (sample for sample in SAMPLES if sample[1] <= largest):
        runs = [fitted(kind, dim, seed, cost, settings) for seed in range(SEEDS)]
        yield (
            f"{kind}, d = {dim}",
            {name: np.median([run[name] for run in runs], axis=0) for name in runs[0]},
        )


def told(sample: str, medians: dict[str, Any]) -> Found:
    """Yield the medians as text."""
    for name, (divergence, gap, error) in medians.items():
        text = f"{sample}, {name}: divergence {divergence:.4f}, exact gap {gap:.4f}"
        yield text + ("" if np.isnan(error) else f", map error {error:.3f}"), None


@claim("maps learnt with the gap are nearer to the optimal one than maps learnt without")
def learnt_maps() -> Found:
    """Perceptrons on Gaussians and blobs, held-out points, medians of five seeds."""
    for sample, medians in compared("sqeuclidean", LBFGS):
        yield from told(sample, medians)
        column, by = (1, "exact gap") if "blobs" in sample else (2, "map error")
        less = medians["with gap"][column] < medians["without gap"][column]
        yield f"{sample}: {by} with the gap term below that without", bool(less)


@claim(
    "for the distance as cost, maps learnt with its gap pay less than without, and than gradients"
)
def learnt_maps_for_distances() -> Found:
    """The same samples; gradients of convex functions are optimal for the squared distance alone.

    The optimal map is not known: the exact gap on held-out points decides. In 8 and 16 dimensions
    the gradients have the smaller gap and miss the target by far, as their divergence tells: they
    fit 60 points by steep steps, and are monotone wherever these lead.
    """
    for sample, medians in compared("euclidean", LBFGS):
        yield from told(sample, medians)
        for other in ("without gap", "convex potential"):
            less = medians["with gap"][1] < medians[other][1]
            yield f"{sample}: exact gap with the gap term below that of {other!r}", bool(less)


@claim("the order of learnt maps where all fits are run to a gradient of 1e-3")
def accurate_maps() -> Found:
    """By `image-newton`, in the plane: accurate fits follow what is accidental in 60 points."""
    for cost in ("sqeuclidean", "euclidean"):
        for sample, medians in compared(cost, NEWTON, 2):
            yield from told(f"{cost}, {sample}", medians)
