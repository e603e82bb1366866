"""Published models of the sparse family: clustering, ordered classes, envelopes, separation."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances.ordinal import Ordered, cut_diabetes, rare_classes
from fejer.evidence import Array
from fejer.numerics.prox import GroupEnvelope

from ._sparse_x import cpu, exponent

__all__ = [
    "envelope_prox",
    "envelope_sparsity",
    "few_shot",
    "lloyd",
    "margins",
    "rare_class",
    "rare_diabetes",
    "rare_growth",
    "separation_counts",
]


TASKS = 1000
REPLICATES = 100


def decided(differences: list[Array], harmless: list[Array] | None = None) -> bool | None:
    """Whether means are above 0, by intervals of 95 %; None where an interval contains 0.

    Those of `harmless` are only to be not below 0.
    """
    low, high = np.array([interval(values) for values in differences]).T
    if (high < 0).any() or any(interval(values)[1] < 0 for values in harmless or []):
        return False
    return True if (low > 0).all() else None


def interval(values: Array) -> tuple[float, float]:
    """The interval of Student's t for the mean."""
    from scipy.stats import t

    width = t.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean() - width), float(values.mean() + width)


# ---- clustering ------------------------------------------------------------------------------
@claim("without a graph, assignments are those of Lloyd's method (20 draws, hard clusters)")
def lloyd() -> Found:
    """Features large enough that the soft assignment is one-hot; labelled points are held."""
    same = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points = 1e3 * rng.standard_normal((120, 4))
        labels = np.full(120, -1)
        labels[:5] = np.arange(5)
        problem = fejer.LaplacianClustering(points, labels, 5, lam=0.0)
        runs: Any = fejer.steps(problem, max_iter=30, tol=0.0)
        centers, equal = np.array(next(runs).state.centers), True
        for step in runs:
            distance = ((points[:, None] - centers) ** 2).sum(axis=2)
            assigned = np.where(labels >= 0, labels, distance.argmin(axis=1))
            centers = np.array([points[assigned == k].mean(axis=0) for k in range(5)])
            equal &= bool((step.x.reshape(-1, 5).argmax(axis=1) == assigned).all())
        same += equal
    yield f"{same} of 20 runs equal at every iteration", same == 20


def tasks(shots: int, count: int) -> Any:
    """Draw five digits, some labelled images of each and 15 to be recognised."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    for _ in range(count):
        ways = rng.choice(10, 5, replace=False)
        drawn = [rng.permutation(np.flatnonzero(digits == w))[: shots + 15] for w in ways]
        truth = np.repeat(np.arange(5), shots + 15)
        labels = np.where(np.tile(np.arange(shots + 15) < shots, 5), truth, -1)
        yield images[np.concatenate(drawn)], labels, truth


@claim("digits, 5 ways: nearest prototype < k-means < clustering with a graph; modes not below it")
def few_shot() -> Found:
    """1 and 5 shots, pixels of norm 1; again with squared distances ten times as large.

    k-means is Lloyd's method from the prototypes, labelled points held. "Soft means" is the model
    without a graph: with pixels of norm 1 squared distances are below 2, and an assignment
    ``exp(-distance)`` hardly tells clusters apart.
    """
    for factor, shots in itertools.product((1.0, np.sqrt(10.0)), (1, 5)):
        right: dict[str, list[float]] = {}
        for images, labels, truth in tasks(shots, TASKS):
            x, free = factor * images, labels < 0
            base = fejer.LaplacianClustering(x, labels, 5)
            first = base.distances(base.labelled_means()).argmin(axis=1)
            right.setdefault("prototype", []).append(float((first == truth)[free].mean()))
            right.setdefault("k-means", []).append(float((means_of(base) == truth)[free].mean()))
            for name, fields in (
                ("graph, means", {}),
                ("graph, modes", {"prototypes": "modes"}),
                ("soft means", {"lam": 0.0}),
            ):
                problem = base.replace(**fields)
                result = fejer.minimize(problem, tol=1e-3, max_iter=100)
                found = result.x.reshape(-1, 5).argmax(axis=1)
                right.setdefault(name, []).append(float((found == truth)[free].mean()))
        means = {name: 100 * float(np.mean(values)) for name, values in right.items()}
        widths = {name: 196 * float(np.std(v)) / np.sqrt(len(v)) for name, v in right.items()}
        shown = ", ".join(f"{name} {means[name]:.1f} +- {widths[name]:.1f}" for name in means)
        a, b, c, d = (np.array(values) for values in list(right.values())[:4])
        text = f"{shots} shots, distances x {factor**2:.0f}, {TASKS} tasks: {shown}"
        yield text, decided([b - a, c - b], [d - c])


def means_of(problem: Any) -> Array:
    """Clusters by Lloyd's method from the labelled means."""
    centers, assigned = problem.labelled_means(), problem.labels
    while True:
        nearest = problem.distances(centers).argmin(axis=1)
        new = np.where(problem.free, nearest, problem.labels)
        if np.array_equal(new, assigned):
            return new
        assigned = new
        centers = problem.means(np.eye(5)[new.astype(int)])


# ---- ordered classes -------------------------------------------------------------------------
def folds(problem: Any, count: int = 5) -> Array:
    """The largest lam with the least Brier score over held-out parts, of 20 down to lam_max/100."""
    X, y = problem.X.toarray(), np.array(problem.y).astype(int)
    lams = problem.lam_max() * np.logspace(0, -2, 20)
    part = np.random.default_rng(0).permutation(y.size) % count
    score = np.zeros(lams.size)
    for fold in range(count):
        inside = part != fold
        if np.unique(y[inside]).size < problem.n_classes:
            continue
        model, start = fejer.OrdinalRegression(X[inside], y[inside], 1.0), None
        target = np.eye(problem.n_classes)[y[~inside]]
        for k, lam in enumerate(lams):
            result = fejer.minimize(model.replace(lam=lam), start, tol=1e-3)
            start = result.x
            chance = result.probabilities(X[~inside]).values
            score[k] += float(((chance - target) ** 2).sum())
    return lams[int(np.argmin(score))]  # type: ignore[no-any-return]


def three_models(data: Ordered, at: Array) -> dict[str, Array]:
    """Probability of the rare class at some points, by three models."""
    from sklearn.linear_model import LogisticRegression

    y: Any = data.y
    problem = fejer.OrdinalRegression(data.X, y, 1.0)
    fused = fejer.minimize(problem.replace(lam=folds(problem)), tol=1e-4)
    odds = fejer.minimize(problem.replace(lam=1e3, first_weight=0.0), tol=1e-4)
    rare = LogisticRegression(C=1e6, max_iter=1000).fit(data.X, y == y.max())
    return {
        "fused": fused.probabilities(at).values[:, -1],
        "logistic": rare.predict_proba(at)[:, 1],
        "odds": odds.probabilities(at).values[:, -1],
    }


@claim("rare class: the error of fused hyperplanes is below logistic and proportional odds")
def rare_class() -> Found:
    """Three sets of thresholds, n = 2500."""
    for kind in ("rare", "rarer", "rarest"):
        errors: dict[str, list[float]] = {}
        for seed in range(REPLICATES):
            data = rare_classes(kind=kind, seed=seed)
            for name, chance in three_models(data, data.X).items():
                truth = data.chances[:, -1]  # type: ignore[index]
                errors.setdefault(name, []).append(float(np.mean((chance - truth) ** 2)))
        yield compared(kind, errors)


def compared(kind: str, errors: dict[str, list[float]]) -> tuple[str, bool | None]:
    """Say the mean errors, and how often the fused model is the better one."""
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    fused = np.array(errors["fused"])
    shares = [100 * float(np.mean(fused < errors[name])) for name in ("logistic", "odds")]
    shown = ", ".join(f"{name} {1e6 * value:.1f}" for name, value in means.items())
    text = f"{kind}, {fused.size} replicates: mean squared error x 1e6: {shown}; "
    text += f"better in {shares[0]:.0f} % and {shares[1]:.0f} % of them"
    return text, decided([np.array(errors[name]) - fused for name in ("logistic", "odds")])


@claim("diabetes cut at 50, 80, 95 %: Brier score of the rare class over 50 splits")
def rare_diabetes() -> Found:
    """Half of the table is held out."""
    table, scores = cut_diabetes(), {}  # type: ignore[var-annotated]
    for seed in range(50):
        order = np.random.default_rng(seed).permutation(table.y.size)
        inside, outside = order[: order.size // 2], order[order.size // 2 :]
        data = Ordered(table.X[inside], table.y[inside], None)
        if np.unique(data.y).size < 4:
            continue
        truth = table.y[outside] == 3
        for name, chance in three_models(data, table.X[outside]).items():
            scores.setdefault(name, []).append(float(np.mean((chance - truth) ** 2)))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
    yield shown, means["fused"] < min(means["logistic"], means["odds"])


@claim("the error falls with n = 1e3 .. 3.2e4 like n^-0.5 (+- 0.1)")
def rare_growth() -> Found:
    """Root mean squared error of the rare class, 10 replicates each."""
    sizes, errors = (1000, 2000, 4000, 8000, 16_000, 32_000), []
    for n in sizes:
        squares = []
        for seed in range(10):
            data = rare_classes(n, seed=seed)
            y: Any = data.y
            problem = fejer.OrdinalRegression(data.X, y, 1.0)
            problem = problem.replace(lam=0.3 * np.sqrt(np.log(30) / n) / 10)
            chance = fejer.minimize(problem, tol=1e-4).probabilities(data.X).values[:, -1]
            squares.append(float(np.mean((chance - data.chances[:, -1]) ** 2)))  # type: ignore[index]
        errors.append(float(np.sqrt(np.mean(squares))))
    slope = exponent(sizes, errors)
    yield (
        f"errors {', '.join(f'{e:.2g}' for e in errors)}: slope {slope:.2f}",
        abs(slope + 0.5) <= 0.1,
    )


# ---- envelopes -------------------------------------------------------------------------------
@claim("the prox of 1e6 groups takes at most 5 sorts of as many numbers; exponent <= 1.1")
def envelope_prox() -> Found:
    """Groups of one coefficient, k a tenth of them."""
    sizes, times = (10_000, 100_000, 1_000_000, 10_000_000), []
    for m in sizes:
        v = np.random.default_rng(0).standard_normal(m)
        prox = GroupEnvelope(k=m // 10)
        times.append(cpu(functools.partial(prox, v, 0.5), 3))
        sort = cpu(functools.partial(np.sort, v), 3)
        holds = times[-1] <= 5 * sort if m == 1_000_000 else None
        yield f"{m} groups: {1e3 * times[-1]:.1f} ms, {times[-1] / sort:.1f} sorts", holds
    power = exponent(sizes, times)
    yield f"exponent {power:.2f}", power <= 1.1


@claim("the minimiser has more than k groups for small lam; `selected` finds the true ones")
def envelope_sparsity() -> Found:
    """200 x 250 in 50 groups of 5, 10 of them true."""
    earlier = (50, 50, 50, 30, 14, 12, 12)
    counts, found = [], []
    for lam in (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0):
        problem = fejer.GroupEnvelope.random(200, 250, size=5, k=10, lam=lam)
        result = fejer.minimize(problem, tol=1e-8)
        size = np.sqrt(np.bincount(problem.groups, result.x**2))
        counts.append(int((size > 1e-9 * size.max()).sum()))
        found.append(result.selected.groups)
    yield f"nonzero groups for lam 0.01 .. 1e4: {counts}, earlier {list(earlier)}", None
    agree = all(np.array_equal(found[3], groups) for groups in found[2:5])
    yield f"the same 10 groups selected for lam 1, 10, 100: {agree}", agree


# ---- separation ------------------------------------------------------------------------------
@claim("iterations to separate n - 1 copies of (1, .2) and one (-1, .5), and two other sets")
def separation_counts() -> Found:
    """As in the table of arXiv:2412.08424's shape of data."""
    contenders: tuple[tuple[str, dict[str, float], tuple[int, ...]], ...] = (
        ("lr-gd", {"step": 1.0}, (78, 1232, 16535)),
        ("lr-gd", {"step": 1e6}, (4, 37, 361, 3601)),
        ("batch-perceptron", {}, (7, 72, 720, 7200)),
        ("nlr-gd", {"step": 1.0}, (13, 24, 34, 44)),
        ("nlr-gd", {"step": 100.0}, (4, 4, 4, 4)),
    )
    for method, options, wanted in contenders:
        nits = []
        for k in range(len(wanted)):
            n = 10 ** (k + 1)
            A = np.tile([1.0, 0.2], (n, 1))
            A[-1] = (-1.0, 0.5)
            problem = fejer.Separation(A, np.ones(n))
            nits.append(fejer.minimize(problem, method=method, options=options).nit)
        if method == "batch-perceptron":  # zero margins count half here, so it is faster
            yield f"{method}: {nits} for n = 10, 100, ..., published {list(wanted)}", None
            continue
        holds = all(c <= 1.3 * w + 1 for c, w in zip(nits, wanted, strict=True))
        yield f"{method} {options}: {nits}, earlier {list(wanted)}", holds
    rng = np.random.default_rng(0)
    sets = {"digits 3 and 8": digits(), "Gaussian 925 x 50": gaussian(rng)}
    for name, problem in sets.items():
        counts: dict[str, int] = {}
        for method, step in (
            ("lr-gd", 1.0),
            ("lr-gd", 100.0),
            ("nlr-gd", 1.0),
            ("nlr-gd", 10.0),
            ("n-batch-perceptron", None),
            ("batch-perceptron", None),
            ("perceptron", None),
        ):
            chosen = {} if step is None else {"step": step}
            label = method if step is None else f"{method} {step:g}"
            counts[label] = fejer.minimize(problem, method=method, options=chosen).nit
        shown = ", ".join(f"{label} {count}" for label, count in counts.items())
        better = counts["nlr-gd 10"] < counts["lr-gd 100"]
        holds = better == (name.startswith("digits"))
        yield f"{name}: {shown}", holds


def digits() -> Any:
    """Images of 3 and 8 with a column of ones."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    chosen = np.isin(y, (3, 8))
    A = np.hstack([X[chosen] / 16.0, np.ones((int(chosen.sum()), 1))])
    return fejer.Separation(A, np.where(y[chosen] == 3, 1.0, -1.0))


def gaussian(rng: Any) -> Any:
    """Gaussian points on two sides of a hyperplane, those nearer than 0.15 left out."""
    A = rng.standard_normal((1050, 50))
    w = rng.standard_normal(50)
    side = A @ w / np.linalg.norm(w)
    kept = np.abs(side) > 0.15
    return fejer.Separation(A[kept][:925], np.sign(side[kept][:925]))


@claim("both bounds of the margin bracket the true one (50 random sets, cvxpy)")
def margins() -> Found:
    """Normalised logistic regression; the true margin by a conic solver."""
    inside, ratios = 0, []
    for seed in range(50):
        problem = fejer.Separation.random(60, 4, 0.05 + 0.01 * seed, seed=seed)
        result = fejer.minimize(problem, method="nlr-gd")
        details = result.certificate.details
        mu = -problem.to_cvxpy().solve(solver="CLARABEL")
        low, high = details["margin_lower"], details["margin_upper"]
        inside += low <= mu * (1 + 1e-6) and mu <= high * (1 + 1e-6)
        ratios.append(high / mu)
    yield f"{inside} of 50; upper bound over margin, median {np.median(ratios):.2f}", inside == 50
