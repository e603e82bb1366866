"""The Monge gap, and maps that are learnt with it, without it and otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import monge
from fejer.evidence import Array
from fejer.solvers.transport.monge_gap import monge_gap
from fejer.solvers.transport.sinkhorn_divergence import sinkhorn_divergence

__all__ = ["gap_gradients", "gap_of_optimal_maps", "gap_of_others", "learnt_maps", "map_fits"]

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


def fitted(kind: str, dim: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Return held-out divergence, map error (relative) and exact gap of four maps."""
    both = monge.blobs(2 * POINTS, seed) if kind == "blobs" else monge.gaussians(
        2 * POINTS, dim, seed
    )  # fmt: skip
    x, z = both[0][:POINTS], both[1][:POINTS]
    new, target, optimal = both[0][POINTS:], both[1][POINTS:], both[2]
    eps = fejer.MapFit(x, z).epsilon
    settings: Any = {"tol": 1e-3, "options": {"memory": 50}, "method": "lbfgs"}
    maps: dict[str, Any] = {
        "with gap": fejer.minimize(fejer.MapFit(x, z, "mlp", 1.0), **settings).fitted_map,
        "without gap": fejer.minimize(fejer.MapFit(x, z, "mlp", 0.0), **settings).fitted_map,
        "convex potential": fejer.minimize(monge.convex_fit(x, z), **settings).fitted_map,
        "barycentric": monge.barycentric(x, z, eps),
    }
    found = {}
    for name, map_ in maps.items():
        y = map_(new)
        error = np.nan
        if optimal is not None:
            true = optimal(new)
            error = float(np.sqrt(((y - true) ** 2).sum() / ((true - true.mean(0)) ** 2).sum()))
        found[name] = (
            float(sinkhorn_divergence(y, target, eps)),
            error,
            float(monge_gap(new, y)),
        )
    return found


@claim("maps learnt with the gap are nearer to the optimal one than maps learnt without")
def learnt_maps() -> Found:
    """Perceptrons on Gaussians and blobs, held-out points, medians of five seeds."""
    for kind, dim in (("gaussians", 2), ("gaussians", 8), ("gaussians", 16), ("blobs", 2)):
        runs = [fitted(kind, dim, seed) for seed in range(SEEDS)]
        medians = {name: np.median([run[name] for run in runs], axis=0) for name in runs[0]}
        for name, (divergence, error, gap) in medians.items():
            text = f"{kind}, d = {dim}, {name}: divergence {divergence:.4f}, exact gap {gap:.4f}"
            yield text + ("" if np.isnan(error) else f", map error {error:.3f}"), None
        column = 2 if kind == "blobs" else 1
        less = medians["with gap"][column] < medians["without gap"][column]
        by = "exact gap" if kind == "blobs" else "map error"
        yield f"{kind}, d = {dim}: {by} with the gap term below that without", bool(less)
