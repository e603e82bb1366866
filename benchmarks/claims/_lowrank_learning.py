"""Claims of low rank that learn: dictionaries, flag means, unconstrained features."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances.lowrank import digits
from fejer.evidence import Array

from . import _lowrank_runs as runs


def _suite(seeds: tuple[int, ...] = (0, 1, 2)) -> list[tuple[str, Any]]:
    from fejer.benchmarks.suites import load

    found = []
    for instance in load("dictionary").instances:
        for seed in seeds if instance.drawn else seeds[:1]:
            found.append((f"{instance.name}, seed {seed}", instance.build(seed)))
    return found


@claim("a certified gap of 1e-6 in at most 7 iterations of bcd-dictionary")
def dictionary_iterations() -> Found:
    """Suite ``dictionary``, judged after each iteration."""
    for name, problem in _suite():
        result = fejer.minimize(problem, method="bcd-dictionary", trace="every")
        text = f"{name}: {result.nit} iterations, {result.certificate}"
        yield text, result.success and result.certificate.rigorous and result.nit <= 7


@claim("bcd-dictionary is at least 100 x faster than the published step, to a gap of 1e-6")
def dictionary_ratio() -> Found:
    """Processor time with certificates; the published step gets at most 40 s."""
    published = {"memory": 0, "step": "plain"}
    for name, problem in _suite((0,)):
        spent = []
        for _ in range(5):
            begun = time.process_time()
            result = fejer.minimize(problem, method="bcd-dictionary")
            spent.append(time.process_time() - begun)
        ours = float(np.median(spent))
        begun = time.process_time()
        other = fejer.minimize(problem, method="lpgd", options=published, max_time=40.0)
        theirs = time.process_time() - begun
        text = f"{name}: {1e3 * ours:.1f} ms against {theirs:.2f} s ({other.status.name}, "
        text += f"{other.nit} iterations), ratio {theirs / ours:.0f}"
        if not other.success:
            text += " at least"
        yield text, result.success and theirs / ours >= 100


@claim("lifted projected gradient converges linearly to a closed gap")
def dictionary_rate() -> Found:
    """50 x 300, scaled and plain, without memory: the gap on a logarithmic axis."""
    problem = fejer.SupervisedDictionary.random(50, 300, 5, covariates=2)
    for step in ("scaled", "plain"):
        options = {"memory": 0, "step": step}
        result = fejer.minimize(
            problem, method="lpgd", options=options, tol=1e-9, max_iter=6000, trace="every"
        )
        gap = np.array(result.trace.certificate)
        nit = np.array(result.trace.nit)
        kept = (gap < 1e-5) & (gap > 1e-8)  # linear in the end, as the theorem has it
        line = np.polyfit(nit[kept], np.log(gap[kept]), 1)
        off = float(np.abs(np.polyval(line, nit[kept]) - np.log(gap[kept])).max())
        text = f"{step}: factor {np.exp(line[0]):.4f}, {result.nit} iterations to "
        text += f"{gap.min():.0e}; log gap within {off:.2f} of a line"
        yield text, line[0] < 0 and off < 1.0


@claim("no global claim for filters at xi = nu = 0.1, where the gap cannot close")
def dictionary_no_claim() -> Found:
    """Planted instances of the suite's sizes."""
    for p, n in ((50, 300), (200, 1000)):
        problem = fejer.SupervisedDictionary.random(p, n, 5, covariates=2, xi=0.1, nu=0.1)
        result = fejer.minimize(problem)
        gap = result.certificate.details["gap"]
        text = f"{p} x {n}: {result.certificate}, gap {gap:.2f}"
        yield text, not result.certificate.rigorous


def _accuracy(problem: Any, train: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of right labels on what was left out, and the relative error of reconstruction."""
    X, y, aux = problem.X, problem.y, problem.aux
    inside = problem.replace(X=X[:, train], y=y[train], aux=aux[:, train])
    result = fejer.minimize(inside, tol=1e-5, max_iter=300)
    W = result.dictionary
    beta, gamma = result.coefficients
    test = ~train
    a = beta.T @ (W.T @ X[:, test]) + gamma.T @ aux[:, test]
    right = float((np.vstack([np.zeros(a.shape[1]), a]).argmax(axis=0) == y[test]).mean())
    rest = X[:, test] - W @ np.linalg.lstsq(W, X[:, test], rcond=None)[0]
    return right, float(np.linalg.norm(rest) / np.linalg.norm(X[:, test]))


@claim(
    "features and labels together beat reconstruction first where the dictionaries that serve "
    "the two differ"
)
def dictionary_accuracy() -> Found:
    """Filters of rank 2, half of the samples left out; xi large is reconstruction first."""
    whole = digits(3, 8, 2, "filter", 1.0)
    rng = np.random.default_rng(0)
    n, p = 400, 40
    H = rng.standard_normal((2, n)) * 3.0
    W = np.linalg.qr(rng.standard_normal((p, 3)))[0]
    weak = rng.standard_normal(n)  # a direction that matters for the labels alone
    X = W[:, :2] @ H + np.outer(W[:, 2], weak) + 0.1 * rng.standard_normal((p, n))
    y = (weak > 0).astype(np.int64)
    planted = fejer.SupervisedDictionary(X, y, 2, np.ones((1, n)))
    for name, problem in (("digits 3 and 8", whole), ("labels along a weak direction", planted)):
        train = np.random.default_rng(1).random(problem.y.size) < 0.5
        table = []
        for xi in (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0):
            part = problem.replace(xi=xi, nu=1e-2)
            table.append((xi, *_accuracy(part, train)))
        for xi, right, rest in table:
            yield f"{name}, xi {xi:g}: accuracy {right:.3f}, reconstruction {rest:.3f}", None
        best, last = max(row[1] for row in table), table[-1][1]
        yield f"{name}: {best:.3f} at the best xi, {last:.3f} at xi = 100", best > last


@claim("flag means: monotone, and at least 50 x the public recipe at dimension 1e4 with lam = 1")
def flag_ratio() -> Found:
    """15 workers, 3 attackers, rank 1."""
    problem = fejer.FlagMean.random(10_000, 15, 1, attackers=3, lam=1.0)
    result = fejer.minimize(problem, trace="every")
    rises = float(np.diff(result.trace.fun).max(initial=-np.inf))
    yield f"{result.nit} iterations, largest rise of the objective {rises:.1e}", rises <= 1e-12

    def ours() -> None:
        fresh = fejer.FlagMean(np.array(problem.G), 1, 1.0)
        fejer.minimize(fresh)

    def theirs() -> None:
        runs.public_flag(problem.G, 1, 1.0)

    ours()
    a, b, ratio = runs.alternating(ours, theirs, 5)
    yield f"{1e3 * a:.1f} ms against {1e3 * b:.0f} ms (4 turns), ratio {ratio:.0f}", ratio >= 50


@claim("robust to Byzantine workers: better than mean, median, trimmed mean and Krum")
def flag_table() -> Found:
    """Dimension 20000, 15 workers, 3 attackers: cosines with the true direction, seed 0."""
    for noise in (1.0, 2.0):
        for attack in ("uniform", "sign", "collude", "inner"):
            base = fejer.FlagMean.random(20_000, 15, 1, attackers=3, attack=attack, noise=noise)
            truth = np.random.default_rng(0).standard_normal(20_000)
            G = base.G
            rivals = {
                "mean": G.mean(axis=1),
                "median": np.median(G, axis=1),
                "trimmed": runs.trimmed(G, 3),
                "Krum": runs.krum(G, 3),
            }
            cosines = {name: _cosine(v, truth) for name, v in rivals.items()}
            text = ", ".join(f"{name} {c:.3f}" for name, c in cosines.items())
            yield f"noise {noise:g}, {attack}: {text}", None
            for rank, lam in ((1, 0.0), (1, 1.0), (1, 10.0), (3, 0.0), (8, 0.0)):
                result = fejer.minimize(base.replace(rank=rank, lam=lam), max_iter=2000)
                value = _cosine(result.aggregate, truth)
                better = value > max(cosines.values())
                yield f"  rank {rank}, lam {lam:g}: {value:.3f}", better


def _cosine(v: Array, truth: Array) -> float:
    return float(v @ truth / (np.linalg.norm(v) * np.linalg.norm(truth)))


@claim("unconstrained features: the closed-form minimum to 1e-12")
def features_closed_form() -> Found:
    """Four sizes."""
    for K, n, D in ((4, 10, 6), (10, 100, 64), (3, 7, 3), (20, 50, 40)):
        problem = fejer.UnconstrainedFeatures(K, n, D, 5e-3, 1e-3)
        result = fejer.minimize(problem, tol=1e-13)
        off = abs(result.fun / problem.optimum() - 1)
        text = f"{K} classes of {n}, length {D}: {off:.0e} after {result.nit} sweeps, "
        yield text + f"gap {result.certificate.value:.0e}", off <= 1e-12


@claim("the variation within classes falls along the gradient flow with W eliminated (10 of 10)")
def features_flow() -> Found:
    """4 classes of 10, length 6, seeds 0 to 9."""
    problem = fejer.UnconstrainedFeatures(4, 10, 6, 5e-3, 1e-3)
    falls = 0
    for seed in range(10):
        values = np.array(runs.collapse_flow(problem, seed))
        falls += bool((np.diff(values) < 0).all())
    yield f"{falls} of 10; the last from {values[0]:.2e} to {values[-1]:.2e}", falls == 10


@claim("an anchored model varies less within classes than its anchor, less for a weaker anchor")
def features_anchor() -> Found:
    """beta = 1, 0.1, 0.01, seeds 0 to 9."""
    falls = 0
    for seed in range(10):
        base = fejer.UnconstrainedFeatures.random(seed=seed)
        values = [base.variation(np.asarray(base.anchor))]
        values += [fejer.minimize(base.replace(beta=beta)).nc1 for beta in (1.0, 0.1, 0.01)]
        falls += bool((np.diff(values) < 0).all())
    yield f"{falls} of 10; the last {', '.join(f'{v:.3f}' for v in values)}", falls == 10
