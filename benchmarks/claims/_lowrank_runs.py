"""What the claims of low rank share: planted truths, errors, runs that are watched, recipes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fejer.driver import Run
from fejer.evidence import Array
from fejer.problems.lowrank.matrix_completion import MatrixCompletion
from fejer.problems.lowrank.matrix_sensing import MatrixSensing
from fejer.problems.lowrank.unconstrained_features import UnconstrainedFeatures


def planted(
    m: int, n: int, rank: int, count: int, seed: int, kappa: float = 1.0, noise: float = 0.0
) -> tuple[MatrixCompletion, Array, Array]:
    """Return ``MatrixCompletion.random`` with the factors that it draws and does not tell."""
    problem = MatrixCompletion.random(m, n, rank, count, kappa=kappa, noise=noise, seed=seed)
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((m, rank)), rng.standard_normal((n, rank))
    if kappa != 1:
        A = np.linalg.qr(A)[0] * (math.sqrt(m) * np.geomspace(1, 1 / kappa, rank))
        B = np.linalg.qr(B)[0] * math.sqrt(n)
    return problem, A, B


def sensed(
    d: int, rank: int, count: int, outliers: float, seed: int, noise: float = 0.0
) -> tuple[MatrixSensing, Array]:
    """Return ``MatrixSensing.random`` (condition number 1) with its matrix."""
    problem = MatrixSensing.random(d, rank, count, outliers=outliers, noise=noise, seed=seed)
    V = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, rank)))[0]
    return problem, V @ V.T


def factor_error(U: Array, V: Array, A: Array, B: Array) -> float:
    """``||U V' - A B'||_F / ||A B'||_F``; the matrices are never formed."""
    left = np.linalg.qr(np.hstack([U, -A]))[1]
    right = np.linalg.qr(np.hstack([V, B]))[1]
    whole = np.linalg.qr(A)[1] @ np.linalg.qr(B)[1].T
    return float(np.linalg.norm(left @ right.T) / np.linalg.norm(whole))


def watched(
    problem: Any, method: str, most: int, **options: Any
) -> Iterator[tuple[int, Array, float]]:
    """Yield iteration, point and seconds of the processor since the start, one by one."""
    begun = time.process_time()
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    spent = time.process_time() - begun
    for k in range(1, most + 1):
        begun = time.process_time()
        before = run.state.nit
        run.forward(k)
        x = np.array(run.method.point(problem, run.prep, run.state))
        spent += time.process_time() - begun
        yield k, x, spent
        if run.state.nit == before:
            return


def sweeps(
    problem: MatrixCompletion, A: Array, B: Array, target: float, most: int = 150, **options: Any
) -> tuple[int, float, float]:
    """Sweeps of altmin until the error is below the target; the error; seconds."""
    k, error, seconds = 0, math.inf, 0.0
    for k, x, seconds in watched(problem, "altmin", most, **options):  # noqa: B007
        m, n = problem.shape
        cut = m * problem.rank
        error = factor_error(x[:cut].reshape(m, -1), x[cut:].reshape(n, -1), A, B)
        if error <= target:
            break
    return k, error, seconds


def soft_impute(problem: MatrixCompletion, gap: float, most: int = 2000) -> tuple[float, int]:
    """Accelerated proximal gradient with dense decompositions, until its own duality gap is small.

    Returns the objective and the number of iterations.
    """
    X = np.zeros(problem.shape)
    Y, mask = np.zeros(problem.shape), np.zeros(problem.shape, dtype=bool)
    Y[problem.rows, problem.cols] = problem.values
    mask[problem.rows, problem.cols] = True
    reg, Z, t = problem.reg, X, 1.0
    primal = math.inf
    for k in range(1, most + 1):
        left, s, right = np.linalg.svd(np.where(mask, Y, Z), full_matrices=False)
        new = (left * np.maximum(s - reg, 0.0)) @ right
        R = np.where(mask, Y - new, 0.0)
        rr, yr = float(np.vdot(R, R)), float(np.vdot(Y, R))
        primal = 0.5 * rr + reg * float(np.maximum(s - reg, 0.0).sum())
        multiple = min(yr / rr, reg / float(np.linalg.norm(R, 2))) if rr > 0 else 0.0
        dual = multiple * yr - 0.5 * multiple**2 * rr
        if primal - dual <= gap * 0.5 * float(np.vdot(Y, Y)):
            return primal, k
        if float(np.vdot(Z - new, new - X)) > 0:
            t = 1.0
        after = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * t * t))
        Z, X, t = new + (t - 1.0) / after * (new - X), new, after
    return primal, most


def public_flag(G: Array, rank: int, lam: float, turns: int = 4, seed: int = 0) -> Array:
    """The public recipe: pair columns of full length, a thin decomposition each turn."""
    dim, P = G.shape
    rng = np.random.default_rng(seed)
    Y = np.linalg.qr(rng.standard_normal((dim, rank)))[0]
    pairs = [(i, j) for i in range(P) for j in range(P) if i != j]
    for _ in range(turns):
        rest = np.maximum(1.0 - ((Y.T @ G) ** 2).sum(axis=0), 1e-12)
        columns = [G / np.sqrt(np.sqrt(rest))]
        if lam > 0:
            D = np.stack([G[:, i] - G[:, j] for i, j in pairs], axis=1)
            left = np.maximum(1.0 - ((Y.T @ D) ** 2).sum(axis=0), 1e-12)
            columns.append(D * (lam / (P * (P - 1)) / np.sqrt(np.sqrt(left))))
        Y = np.linalg.svd(np.hstack(columns), full_matrices=False)[0][:, :rank]
    return Y


def krum(G: Array, attackers: int) -> Array:
    """The gradient with the smallest sum of distances to its nearest neighbours."""
    P = G.shape[1]
    squares = (G * G).sum(axis=0)
    distances = squares[:, None] + squares - 2 * G.T @ G
    kept = np.sort(distances, axis=1)[:, 1 : P - attackers - 1]
    return np.asarray(G[:, kept.sum(axis=1).argmin()])


def trimmed(G: Array, attackers: int) -> Array:
    """The mean of each coordinate without its extremes."""
    ordered = np.sort(G, axis=1)
    return np.asarray(ordered[:, attackers : G.shape[1] - attackers].mean(axis=1))


def collapse_flow(
    problem: UnconstrainedFeatures, seed: int, turns: int = 400, every: int = 10
) -> list[float]:
    """Variation within classes along the gradient flow of H, W at its minimum.

    Explicit steps of a tenth of the inverse curvature of the objective in H.
    """
    rng = np.random.default_rng(seed)
    N, K = problem.samples, problem.n_classes
    means = np.repeat(rng.standard_normal((problem.dim, K)), problem.per_class, axis=1)
    H = means + 0.5 * rng.standard_normal(means.shape)
    T = np.repeat(np.eye(K), problem.per_class, axis=1)
    found = [problem.variation(H)]
    for turn in range(turns):
        gram = H @ H.T + N * problem.reg_w * np.eye(problem.dim)
        W = np.linalg.solve(gram, H @ T.T).T
        curvature = float(np.linalg.norm(W, 2)) ** 2 / N + problem.reg_h
        slope = W.T @ (W @ H - T) / N + problem.reg_h * H
        H = H - 0.1 / curvature * slope
        if turn % every == every - 1:
            found.append(problem.variation(H))
    return found


def alternating(
    ours: Callable[[], Any], theirs: Callable[[], Any], times: int = 3
) -> tuple[float, float, float]:
    """Median seconds of both, alternating, and the median of their ratios (theirs over ours)."""
    pairs = []
    for _ in range(times):
        spent = []
        for call in (ours, theirs):
            begun = time.process_time()
            call()
            spent.append(time.process_time() - begun)
        pairs.append(spent)
    a, b = np.array(pairs).T
    return float(np.median(a)), float(np.median(b)), float(np.median(b / a))
