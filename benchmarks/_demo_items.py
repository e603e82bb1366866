"""What the demonstration solves: photographs and medical tables. The rest: `_demo_classics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array, Certificate
from fejer.front import minimize, path, verify
from fejer.plots import PALETTE
from fejer.result import Result

from . import _page
from ._studies import Study, study
from .instances import pictures, tables

__all__ = ["Item", "Row", "colours", "completion", "lasso", "ridge", "tumours"]


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table: the runs of one method on one problem.

    Attributes
    ----------
    label : str
        What was solved.
    results : sequence of Result
        One run, or those of a path.
    study : Study or None
        What was seen of its rate.
    tol : float
        What the certificates were asked to hold within.
    """

    label: str
    results: Sequence[Result]
    study: Study | None = None
    tol: float = 1e-6

    def judged_again(self) -> Certificate:
        """Return the worst of the certificates, computed anew from the problems' data."""
        found = [verify(result.problem, result) for result in self.results]
        return max(found, key=lambda c: (not c.holds(self.tol), c.value))

    def seconds(self, part: str = "") -> float:
        """Return the time of all runs, or that of one part."""
        return sum(r.times[part] if part else r.time for r in self.results)


@dataclass(frozen=True, eq=False)
class Item:
    """One section of the page.

    Attributes
    ----------
    title : str
        Its heading.
    rows : sequence of Row
        Its lines of the table.
    parts : sequence of str
        HTML of what was found.
    certified : str
        What the certificates say, and what they do not.
    code : str
        How to repeat it.
    """

    title: str
    rows: Sequence[Row]
    parts: Sequence[str]
    certified: str
    code: str


def _error(picture: Array, truth: Array) -> float:
    return float(np.sqrt(np.mean((np.clip(picture, 0.0, 1.0) - truth) ** 2)))


def colours(eps: float = 0.005, cells: int = 12) -> Item:
    """Transport the colours of one photograph onto another."""
    problem = pictures.colour_transport(eps=eps, cells=cells)
    result = minimize(problem, method="sinkhorn")
    star = minimize(problem, result, tol=1e-11, max_iter=20_000)
    run = study(result, star.x)
    source, target = pictures.photograph("china"), pictures.photograph("flower")
    lower, upper = result.bracket
    n, m = problem.cost.shape
    shown = [
        (source, "The source."),
        (target, "The photograph whose colours are wanted."),
        (pictures.recoloured(problem, result.x, source), "The source in the colours of the other."),
    ]
    return Item(
        "Colours of one photograph moved onto another",
        [Row("colour transfer", [result], run)],
        [
            _page.paragraph(
                f"The colours of two photographs become two clouds of {n} and {m} points with "
                "weights. Entropic optimal transport moves one cloud onto the other with the "
                "least squared change of colour; every pixel then goes where the plan sends its "
                f"colour on average. Weight of the entropy: {eps:g}."
            ),
            _page.pictures(shown),
            _page.paragraph(
                "The smallest mean squared change of colour that any plan can have, without the "
                f"entropy, is proven to lie between {lower:.5f} and {upper:.5f}, that of this plan."
            ),
            _page.rate_plot(run, "colours", "Sinkhorn iterations.", "oscillation of g - g*"),
            _page.paragraph(
                "The bound is true and says nothing here: its factor differs from 1 by less than "
                "rounding at so small an entropy. The iterations do far better than their theorem."
            ),
            _page.paragraph(pictures.CREDIT),
        ],
        "The plan, rounded so that its row and column sums are exact, has an objective within the "
        "stated share of the optimal one: a duality gap, a proof. The certificate speaks of the "
        "transport problem, not of beauty.",
        "from fejer.benchmarks.instances import pictures\n"
        "result = fejer.minimize(pictures.colour_transport(), method='sinkhorn')\n"
        "fejer.verify(result.problem, result), result.plan, result.bracket",
    )


def lasso(points: int = 50) -> Item:
    """Compute a path of sparse models of diabetes."""
    problem = tables.diabetes_lasso()
    _, y, names = tables.diabetes()
    models = path(problem, lam=points)
    single = minimize(problem, method="fista", options={"restart": None})
    star = minimize(problem, tol=1e-12, method="bcd")
    floor = star.certificate.value * star.certificate.scale
    sweeps = study(minimize(problem, method="bcd"), star.x, floor=floor)
    steps = study(single, star.x, floor=floor)

    explained = [
        1 - float(np.sum((y - r.problem.X.matvec(r.x)) ** 2) / (y @ y)) for r in models.results
    ]
    order: dict[int, None] = {}
    for result in models.results:
        order.update(dict.fromkeys(result.support.tolist()))
    first = list(order)[:6]
    ax = _page.axes()
    ax.plot(models.values, np.delete(models.x, first, axis=1), color="#999999", linewidth=0.8)
    for rank, j in enumerate(first):
        style = ("-", "--")[rank // 3]
        ax.plot(models.values, models.x[:, j], style, color=PALETTE[rank % 3], label=names[j])
    ax.set_xscale("log")
    ax.set_xlabel("lam")
    ax.set_ylabel("coefficient")
    ax.legend(frameon=False, ncols=2)
    sizes = [r.support.size for r in models.results]
    middle = len(sizes) // 2
    return Item(
        "A sparse model of diabetes, for fifty penalties",
        [
            Row(f"Lasso, {points} values of lam", models.results, sweeps),
            Row("Lasso, one value", [single], steps),
        ],
        [
            _page.paragraph(
                "442 patients, ten features (age, sex, body mass index, blood pressure, six blood "
                "serum values) and their 54 products and squares; the target is the progression of "
                "the disease within a year. The Lasso is solved for falling penalties, each from "
                f"the solution before: {sizes[middle]} of 64 features explain "
                f"{100 * explained[middle]:.0f} % of the variance, {sizes[-1]} explain "
                f"{100 * explained[-1]:.0f} % (of the same patients: the model with the best "
                "forecast is another question, see the ridge penalty below)."
            ),
            _page.plot(
                ax,
                "lasso-path",
                "Coefficients along the path, each feature with standard deviation 1. Named: the "
                "first six that enter. Grey: the others.",
            ),
            _page.beside(
                _page.rate_plot(sweeps, "lasso-bcd", "Coordinate descent, sweeps.", "F - F*"),
                _page.rate_plot(steps, "lasso-fista", "FISTA without restart.", "F - F*"),
            ),
            _page.paragraph(
                "Both runs are at 1/20 of the largest penalty. The theorem on sweeps is true for "
                "any data with this curvature and far from sharp for these; FISTA stays within its "
                "bound and becomes faster than it once the support is found."
            ),
        ],
        "Each of the fifty models has an objective within the stated share of the optimal one: a "
        "duality gap, a proof. The value in the table is the largest of the fifty.",
        "from fejer.benchmarks.instances import tables\n"
        "models = fejer.path(tables.diabetes_lasso(), lam=50)\n"
        "[fejer.verify(r.problem, r).holds(1e-6) for r in models.results], models.plot()",
    )


def completion(reduce: int = 2, rank: int = 36, reg: float = 1.0) -> Item:
    """Fill in the missing pixels of a photograph."""
    problem, truth, known = pictures.damaged_photograph(
        reduce=reduce, rank=rank, reg=reg, return_picture=True
    )
    result = minimize(problem, method="als")
    mean = truth[known].mean()
    filled = np.asarray(result.matrix) + mean
    sigma = result.singular_values
    found = int(np.sum(sigma > 1e-6 * sigma[0]))
    parts = np.linalg.svd(truth - mean, compute_uv=False)
    best = float(np.sqrt(np.sum(parts[found:] ** 2) / truth.size))
    damaged = np.where(known, truth, 0.0)
    hidden = ~known
    by_row = np.nanmean(np.where(known, truth, np.nan), axis=1, keepdims=True)
    rows = _error(np.broadcast_to(by_row, truth.shape)[hidden], truth[hidden])
    run = study(result, rerun=False)
    error = _error(filled[hidden], truth[hidden])
    return Item(
        "A photograph with half of its pixels missing",
        [Row("photograph, 50 % missing", [result], run)],
        [
            _page.paragraph(
                f"{100 * hidden.mean():.0f} % of the {truth.shape[0]} x {truth.shape[1]} pixels "
                "were removed at random. The picture is completed as a matrix of low rank: least "
                "squares at the known pixels plus a multiple of the sum of the singular values."
            ),
            _page.pictures(
                [
                    (truth, "The photograph, in grey."),
                    (damaged, "What the method sees (black: missing)."),
                    (filled, f"Completed, rank {found}."),
                ]
            ),
            _page.paragraph(
                f"Root mean square error at the missing pixels: {error:.3f} on a scale from 0 to "
                f"1; filling each row with its mean gives {rows:.3f}. A photograph is low-rank "
                f"only approximately: even the best matrix of rank {found}, made from the whole "
                f"picture, is off by {best:.3f}. Methods made for pictures do better; this one "
                "knows nothing of neighbouring pixels."
            ),
            _page.rate_plot(run, "completion", "Alternating least squares.", "duality gap"),
            _page.paragraph(
                "The theorem's linear rate is one near the solution and comes without a constant; "
                "the fit tells what these sweeps show of it. That the objective never grows holds "
                "from the first sweep on."
            ),
        ],
        "The completed matrix has an objective within the stated share of the optimal one, among "
        "matrices of any rank: a duality gap of the convex problem, a proof. It says nothing about "
        "the missing pixels; that error was measured, since they are known here.",
        "from fejer.benchmarks.instances import pictures\n"
        "result = fejer.minimize(pictures.damaged_photograph(), method='als')\n"
        "fejer.verify(result.problem, result), result.matrix, result.singular_values",
    )


def ridge(grid: int = 41) -> Item:
    """Tune two ridge penalties on held-out patients."""
    problem = tables.diabetes_ridge()
    result = minimize(problem, method="hoag")
    run = study(result)
    x = result.x
    low, high = np.maximum(x - 4.0, problem.lower), np.minimum(x + 4.0, problem.upper)
    sides = np.linspace(low, high, grid).T
    loss = np.array([[_rmse(problem, np.array([a, b])) for a in sides[0]] for b in sides[1]])
    ax = _page.axes()
    heights = loss.min() + np.geomspace(0.05, loss.max() - loss.min(), 10)
    lines = ax.contour(*sides, loss, levels=heights, colors="#999999", linewidths=0.8)
    ax.clabel(lines, heights[2::2], fmt="%.1f", fontsize=9)
    start = problem.initial_point()
    ax.plot(*start, "o", color=PALETTE[0], label="start")
    ax.plot(*x, "D", color=PALETTE[1], label="certified")
    ax.set_xlabel("log penalty of the ten features")
    ax.set_ylabel("log penalty of the products")
    ax.set_xlim(sides[0][[0, -1]])
    ax.set_ylim(sides[1][[0, -1]])
    ax.legend(frameon=False)
    none = _rmse(problem, np.full(2, problem.lower))
    return Item(
        "Two ridge penalties tuned on held-out patients",
        [Row("ridge penalties", [result], run)],
        [
            _page.paragraph(
                "The diabetes data again, 221 patients for training and 221 for validation. One "
                "penalty for the ten features and one for their products are chosen to minimise "
                "the validation error of the ridge regression: an optimisation problem whose "
                "objective contains another one. Its gradient is computed through the solution of "
                f"the inner problem. Found: penalties {np.exp(x[0]):.3g} and {np.exp(x[1]):.3g}."
            ),
            _page.paragraph(
                f"Validation error (root mean square) {_rmse(problem, x):.2f}, against "
                f"{_rmse(problem, start):.2f} at the start and {none:.2f} with hardly any penalty; "
                f"the standard deviation of the target is "
                f"{np.std(problem.y_val):.2f}. Since the penalties were chosen on these very "
                "patients, the number is a little too good for new ones."
            ),
            _page.beside(
                _page.plot(ax, "ridge-map", "Validation error over the two penalties."),
                _page.rate_plot(run, "ridge", "hoag, certificate of each point."),
            ),
        ],
        "The certificate bounds the projected gradient of the validation error, the error of the "
        "inner solution included, relative to the error itself. The problem is not convex: this "
        "proves a stationary point, and the map suggests that it is the minimum.",
        "from fejer.benchmarks.instances import tables\n"
        "result = fejer.minimize(tables.diabetes_ridge(), method='hoag')\n"
        "fejer.verify(result.problem, result), np.exp(result.x), result.y",
    )


def _rmse(problem: Any, x: Array) -> float:
    return float(np.sqrt(2.0 * problem.objective(x)))


def tumours() -> Item:
    """Fit a sparse classifier of tumours as a zero of a finite sum."""
    problem = tables.tumour_classifier()
    X, y, names = tables.tumours()
    result = minimize(problem, method="vr-halpern")
    run = study(result)
    order = [j for j in np.argsort(-np.abs(result.x)) if abs(result.x[j]) > 1e-6]
    right = float(np.mean(y * (X @ result.x) > 0))
    head = ("measurement", "coefficient")
    return Item(
        "A sparse classifier of tumours, as the zero of a sum of 569 operators",
        [Row("tumour classifier", [result], run)],
        [
            _page.paragraph(
                "569 breast tumours, 30 measurements of their cell nuclei; benign or malignant? "
                "Logistic regression with an elastic net, stated by its optimality condition: a "
                "zero of the mean of 569 operators, one for each tumour, plus the subdifferential "
                "of the penalty. Variance-reduced Halpern iteration looks at 24 of them at a time "
                f"and needed {result.work:.0f} passes over the data. {len(order)} measurements "
                f"have a coefficient; {100 * right:.1f} % of the tumours (the same ones) are "
                "classified correctly. The five largest coefficients, positive for benign:"
            ),
            _page.table(head, [(names[j], f"{result.x[j]:+.3f}") for j in order[:5]]),
            _page.rate_plot(run, "tumours", "Variance-reduced Halpern iteration.", "residual"),
            _page.paragraph(
                "The theorem is one about expected values with smaller steps and no restarts; the "
                "run has the larger steps and restarts of the default, for which no constant is "
                "proven."
            ),
        ],
        "The certificate is the natural residual, relative to that at 0: it vanishes at solutions "
        "and nowhere else. It is not a bound of the distance to the solution.",
        "from fejer.benchmarks.instances import tables\n"
        "result = fejer.minimize(tables.tumour_classifier(), method='vr-halpern')\n"
        "fejer.verify(result.problem, result), result.x, result.work",
    )
