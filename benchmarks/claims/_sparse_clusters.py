"""Clustering without labels beside scikit-learn, its time, and hidden units that are left out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.driver import Run

from ._sparse_x import cpu, exponent

__all__ = ["clustering_time", "hidden_units", "unlabelled_digits"]


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


@claim("digits, k = 16 of 64 hidden units: exactly k remain, accuracy falls by at most 1 point")
def hidden_units() -> Found:
    """A network of 64 units trained by scikit-learn, five splits, half of the images held out.

    The class has a loss of least squares, not that of a network. The hidden layer stays, and the
    output layer is fitted: one-hot targets that sum to 0 on average, of each class, side by side;
    a group is what leaves one unit. ``selected`` refits the units that it keeps. Group lasso has
    the largest ``lam`` of forty at which at least 16 units are left, and is refitted on its 16
    largest. Last, "k units": the 16 units of largest weight in the dense network, refitted.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, digits = load_digits(return_X_y=True)
    scores: dict[str, list[float]] = {}
    counts: list[int] = []
    for seed in range(5):
        a, b, y, truth = train_test_split(images / 16, digits, test_size=0.5, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = MLPClassifier((64,), max_iter=300, random_state=seed).fit(a, y)
        scores.setdefault("network", []).append(100 * network.score(b, truth))
        inside, outside = (
            np.maximum(z @ network.coefs_[0] + network.intercepts_[0], 0.0) for z in (a, b)
        )
        center, target = inside.mean(axis=0), np.eye(10)[y]
        H, held = inside - center, outside - center
        T = target - target.mean(axis=0)

        def right(units: Any) -> float:
            coef = np.linalg.lstsq(H[:, units], T, rcond=None)[0]  # noqa: B023
            guess = (held[:, units] @ coef + target.mean(axis=0)).argmax(axis=1)  # noqa: B023
            return 100 * float(np.mean(guess == truth))  # noqa: B023

        X = np.kron(np.eye(10), H)  # classes one after another
        groups = np.tile(np.arange(64), 10)
        scale = float(np.linalg.norm(H, 2)) ** 2
        envelope = fejer.GroupEnvelope(X, T.T.ravel(), groups, 16, lam=1e-2 * scale)
        chosen = fejer.minimize(envelope, tol=1e-4).selected.groups
        counts.append(chosen.size)
        scores.setdefault("all 64 units", []).append(right(np.arange(64)))
        scores.setdefault("envelope", []).append(right(chosen))
        lasso = fejer.GroupLasso(X, T.T.ravel(), groups, 1.0)
        scores.setdefault("group lasso", []).append(right(sixteen(lasso)))
        size = np.linalg.norm(network.coefs_[1], axis=1)
        scores.setdefault("k units", []).append(right(np.argsort(-size)[:16]))
    shown = ", ".join(f"{name} {np.mean(values):.1f}" for name, values in scores.items())
    yield f"units that remain: {counts}", set(counts) == {16}
    loss = float(np.mean(scores["network"]) - np.mean(scores["envelope"]))
    yield f"accuracy in %, mean of 5: {shown}; envelope loses {loss:.1f}", loss <= 1.0


def sixteen(problem: Any) -> NDArray[np.intp]:
    """The 16 largest groups at the largest lam of a grid that leaves as many."""
    start: Any = None
    for lam in problem.lam_max() * np.logspace(0, -3, 40):
        result = fejer.minimize(problem.replace(lam=lam), start, tol=1e-3)
        start = result.x
        size = np.sqrt(np.bincount(problem.groups, start**2))
        if np.count_nonzero(size) >= 16:
            break
    return np.argsort(-size)[:16]
