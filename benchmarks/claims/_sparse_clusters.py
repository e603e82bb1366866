"""Clustering without labels beside scikit-learn, and its time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.driver import Run

from ._sparse_x import cpu, exponent

__all__ = ["clustering_time", "unlabelled_digits"]


@claim("unlabelled digits: energy, NMI and accuracy beside scikit-learn's KMeans and spectral")
def unlabelled_digits() -> Found:
    """All 1797 images, pixels of norm 1 and squared distances ten times as large, five draws.

    The class wants a point of each cluster. Without labels these are ten points that k-means++
    draws: they name the clusters and stand for no digit. With labels they are one image of each
    digit. KMeans starts from the same ten points; spectral clustering has the same graph, and
    cannot use points. Energies are those of the assignment rounded to one-hot rows.
    """
    from scipy.optimize import linear_sum_assignment
    from sklearn.cluster import KMeans, SpectralClustering, kmeans_plusplus
    from sklearn.datasets import load_digits
    from sklearn.metrics import confusion_matrix, normalized_mutual_info_score

    images, digits = load_digits(return_X_y=True)
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    for factor in (1.0, np.sqrt(10.0)):
        x = factor * images
        graph: Any = None
        for kind in ("k-means++ points", "one label per digit"):
            scores: dict[str, list[tuple[float, float, float]]] = {}
            for seed in range(5):
                rng = np.random.default_rng(seed)
                if kind == "one label per digit":
                    seeds = [rng.choice(np.flatnonzero(digits == k)) for k in range(10)]
                else:
                    seeds = list(kmeans_plusplus(x, 10, random_state=seed)[1])
                labels = np.full(digits.size, -1)
                labels[seeds] = np.arange(10)
                problem = fejer.LaplacianClustering(x, labels, 10)
                result = fejer.minimize(problem, tol=1e-3, max_iter=500)
                found = {
                    "bound-optimiser": result.x.reshape(-1, 10).argmax(axis=1),
                    "KMeans": KMeans(10, init=x[seeds], n_init=1).fit_predict(x),
                }
                if graph is None:  # the draw of points does not enter it
                    W = problem.graph()[0].copy()
                    W.indices, W.indptr = (v.astype(np.int32) for v in (W.indices, W.indptr))
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")  # the graph may fall into parts
                        model = SpectralClustering(10, affinity="precomputed", random_state=0)
                        graph = model.fit_predict(W)
                found["spectral"] = graph
                for name, cluster in found.items():
                    S = np.eye(10)[cluster]
                    table = confusion_matrix(digits, cluster, labels=np.arange(10))
                    rows, columns = linear_sum_assignment(-table)
                    scores.setdefault(name, []).append(
                        (
                            problem.energy(S, problem.distances(problem.means(S))),
                            100 * float(normalized_mutual_info_score(digits, cluster)),
                            100 * float(table[rows, columns].sum()) / digits.size,
                        )
                    )
            means = {name: np.mean(values, axis=0) for name, values in scores.items()}
            shown = "; ".join(
                f"{name} energy {e:.0f}, NMI {nmi:.1f}, accuracy {right:.1f} %"
                for name, (e, nmi, right) in means.items()
            )
            yield f"distances x {factor**2:.0f}, {kind}: {shown}", None


@claim("the bound optimiser takes time linear in n = 1e4 .. 1e6; same bytes with 1 and 2 threads")
def clustering_time() -> Found:
    """Ten updates in the plane, five clusters; the graph of neighbours is built before."""
    from threadpoolctl import threadpool_limits

    sizes, times, same = (10_000, 31_623, 100_000, 316_228, 1_000_000), [], True
    for n in sizes:
        problem = fejer.LaplacianClustering.random(n, 2, 5)
        problem.graph()
        points = []
        for threads in (1, 2):
            with threadpool_limits(threads):
                run = Run(problem, method="bound-optimiser", tol=0.0)
                run.open()

                def ten(run: Any = run, problem: Any = problem) -> None:
                    run.method.advance(problem, run.prep, run.state, 10)

                seconds = cpu(ten, 3)
                points.append(run.method.point(problem, run.prep, run.state).tobytes())
            if threads == 1:
                times.append(seconds)
        same &= points[0] == points[1]
    power = exponent(sizes, times)
    shown = ", ".join(f"{1e2 * t:.2f}" for t in times)
    yield f"an update: {shown} ms for n {list(sizes)}: exponent {power:.2f}", abs(power - 1) <= 0.1
    yield f"same bytes after 30 updates with 1 and 2 threads, each n: {same}", same
