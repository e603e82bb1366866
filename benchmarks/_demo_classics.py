"""What the demonstration solves: problems whose data are written out in `instances.classics`."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array
from fejer.front import minimize
from fejer.plots import PALETTE

from . import _page
from ._demo_items import Item, Row
from ._studies import study
from .instances import classics

__all__ = ["club", "epidemic", "shipping"]


def shipping() -> Item:
    """Solve Dantzig's transportation example and explain its duals."""
    problem = classics.shipping()
    exact = minimize(problem, method="highs")
    first_order = minimize(problem, method="pdhg")
    run = study(first_order, iterations=400)  # beyond the tolerance, to see the rate
    plants, markets = list(classics.CANNERIES), list(classics.MARKETS)
    plan = exact.x.reshape(len(plants), len(markets))
    other = first_order.x.reshape(plan.shape)
    reduced = exact.reduced_costs.reshape(plan.shape)
    price = 1000.0 * exact.dual
    sent = [
        (plant, *(f"{v:.0f}" for v in plan[i]), f"{classics.CANNERIES[plant]:.0f}")
        for i, plant in enumerate(plants)
    ]
    needed = ("needed", *(f"{v:.0f}" for v in classics.MARKETS.values()), "")
    meanings = [
        (name, f"{value:.0f}", "change of the cost for one case more of supply")
        for name, value in zip(plants, price[: len(plants)], strict=True)
    ] + [
        (name, f"{value:.0f}", "change of the cost for one case more of demand")
        for name, value in zip(markets, price[len(plants) :], strict=True)
    ]
    unused = [
        f"{plants[i]} to {markets[j]}, {1000 * reduced[i, j]:.0f} dollars a case too dear"
        for i, j in np.argwhere(reduced > 1e-9)
    ]
    return Item(
        "Dantzig's canneries: a linear program and its prices",
        [Row("shipping, simplex", [exact]), Row("shipping, first order", [first_order], run)],
        [
            _page.paragraph(
                "Two canneries ship to three markets; freight is 90 dollars a case and thousand "
                "miles. What is the cheapest plan? Source: G. Dantzig, Linear programming and "
                "extensions, Princeton 1963, chapter 3.3, with the numbers of the GAMS tutorial "
                "(R. Rosenthal, model trnsport), whose optimal value is 153.675 thousand dollars. "
                f"Found here: {exact.fun:.3f}."
            ),
            _page.table(("cases sent", *markets, "available"), [*sent, needed]),
            _page.paragraph(
                "The dual solution is a price, in dollars, for each condition. Together with "
                "nonnegative reduced costs it proves that no plan is cheaper:"
            ),
            _page.table(("row", "price", "meaning"), meanings, text=(0, 2)),
            _page.paragraph(
                f"Routes that do not pay: {'; '.join(unused)}. More is available than needed, and "
                "New York can be served from either cannery at the same cost: one case more of "
                "supply saves nothing, so both prices are 0, and the optimal plan is not unique. "
                f"The first-order method sends {other[0, 0]:.0f} and {other[1, 0]:.0f} cases to "
                "New York."
            ),
            _page.rate_plot(run, "shipping", "PDHG, certificate of each iterate.", "KKT residual"),
        ],
        "Point and prices satisfy the optimality conditions, each measured in units of the data "
        "that it belongs to. Since no route can carry more than its cannery has, every variable is "
        "bounded, and the prices prove that no plan costs less than "
        f"{math.floor(1e6 * exact.dual_bound) / 1e6:.6f} thousand dollars.",
        "from fejer.benchmarks.instances import classics\n"
        "result = fejer.minimize(classics.shipping(), method='highs')\n"
        "fejer.verify(result.problem, result), result.x, result.dual, result.reduced_costs",
    )


def club() -> Item:
    """Rank the members of a karate club with three fixed-point methods."""
    problem = classics.page_rank()
    star = minimize(problem, method="anderson", tol=1e-13).x
    classic = {"anchor": "classic", "restart": None}
    runs = [
        minimize(problem, method="anderson"),
        minimize(problem, method="averaged"),
        minimize(problem, method="halpern", options=classic),
    ]
    studies = [study(run, star, floor=1e-15) for run in runs]
    share = classics.scores(star)
    top = np.argsort(-share)[:5]
    rows = [Row("PageRank", [run], seen) for run, seen in zip(runs, studies, strict=True)]
    head = ("member", "friends", "share of the walk")
    friends = classics.karate_club().sum(axis=0)
    titles = ("Anderson acceleration.", "Averaged iteration.", "Halpern iteration, classic anchor.")
    names = ("club-anderson", "club-averaged", "club-halpern")
    return Item(
        "Who matters in a karate club: the fixed point of a Markov chain",
        rows,
        [
            _page.paragraph(
                "34 members, 78 friendships (W. Zachary, Journal of Anthropological Research 33, "
                "1977). PageRank: a walker goes to a random friend, or with probability 0.15 to a "
                "random member. How often is the walker where? The answer is the fixed point of a "
                "contraction. Members 34 and 1 led the two groups into which the club later split."
            ),
            _page.beside(
                _drawing(share),
                _page.table(
                    head,
                    [(f"{j + 1}", f"{friends[j]:.0f}", f"{100 * share[j]:.2f} %") for j in top],
                ),
                *(
                    _page.rate_plot(seen, name, title, "|| x - T x ||")
                    for seen, name, title in zip(studies, names, titles, strict=True)
                ),
            ),
            _page.paragraph(
                "Halpern iteration pays for its guarantee, which holds for every nonexpansive map: "
                "it falls like 1/k even where the map contracts. The averaged iteration has the "
                "weaker theorem, k^-1/2, and is much faster here, where that theorem's worst case "
                "is far away; Anderson acceleration makes use of the map being affine. The default "
                "of halpern (adaptive anchor, restarts) converges linearly, too. The plot of "
                f"Halpern iteration shows its first {studies[-1].nit[-1]} of {runs[-1].nit} steps."
            ),
        ],
        "The certificate is the length of x - T(x) plus its rounding error. Since T contracts with "
        "factor 0.85, the distance of x to the fixed point is at most 1/0.15 times as long.",
        "from fejer.benchmarks.instances import classics\n"
        "result = fejer.minimize(classics.page_rank(), method='averaged')\n"
        "fejer.verify(result.problem, result), classics.scores(result.x)",
    )


def _drawing(share: Array) -> str:
    """The club, with friends near to each other."""
    A = classics.karate_club()
    place = _placed(A)
    ax = _page.axes()
    for i, j in np.argwhere(np.triu(A)):
        ax.plot(*place[[i, j]].T, color="#999999", linewidth=0.6, zorder=1)
    ax.scatter(*place.T, s=5000 * share, color=PALETTE[0], zorder=2)
    for j in np.argsort(-share)[:5]:
        ax.annotate(f"{j + 1}", place[j], color="white", ha="center", va="center", fontsize=10)
    ax.set_axis_off()
    caption = "The club; areas are shares of the walk. Numbers: the first five."
    return _page.plot(ax, "club-drawing", caption)


def _placed(A: Array) -> Array:
    """Places of the nodes of a graph: edges pull, all pairs push (Fruchterman, Reingold 1991)."""
    n = len(A)
    walk = A / np.sqrt(np.outer(A.sum(axis=0), A.sum(axis=0)))
    angle = 2 * math.pi * np.argsort(np.argsort(np.linalg.eigh(walk)[1][:, -2])) / n
    place = np.column_stack([np.cos(angle), np.sin(angle)])
    for longest in np.linspace(0.2, 0.0, 400):
        away = place[:, None] - place
        distance = np.sqrt((away**2).sum(axis=2)) + np.eye(n)
        push = ((0.08 / distance**2 - 1.5 * A * distance)[:, :, None] * away).sum(axis=1)
        size = np.linalg.norm(push, axis=1, keepdims=True)
        place = place + push * np.minimum(1.0, longest / size)
    return np.asarray(place)


def epidemic(per_day: int = 4) -> Item:
    """Fit an epidemic under its equations of motion, in two ways."""
    model = classics.Epidemic(per_day)
    # Shares of a school are small numbers, and so are their gradients.
    tol = 1e-8
    fitted = minimize(
        model.misfit,
        model.start(),
        jac=model.slope,
        hess=model.curvature,
        constraints=model.constraint(),
        tol=tol,
    )
    guess = np.log([1.5, 0.5, model.in_bed[0] / model.boys])
    shot = minimize(model.shooting(), guess, bounds=[(-3, 3), (-3, 3), (-10, -2)])
    run = study(fitted, rerun=False)
    b, c = fitted.x[:2]
    again = np.exp(shot.x)
    days = np.arange(model.in_bed.size)
    steps = np.linspace(0.0, days[-1], model.steps + 1)
    ax = _page.axes()
    curves = zip(("susceptible", "infected", "recovered"), (0, 1, 2), ("--", "-", ":"), strict=True)
    for (name, colour, style), part in zip(curves, model.parts(fitted.x), strict=True):
        ax.plot(steps, model.boys * part, style, color=PALETTE[colour], linewidth=2, label=name)
    ax.plot(days, model.in_bed, "o", color=PALETTE[1], markersize=5, label="boys in bed")
    ax.set_xlabel("days after 22 January 1978")
    ax.set_ylabel("boys")
    ax.legend(frameon=False)
    kept = float(np.abs(sum(model.parts(fitted.x)) - 1.0).max())
    size = fitted.x.size
    return Item(
        "Influenza in a boarding school: a fit under conservation laws",
        [
            Row("epidemic, all equations", [fitted], run, tol),
            Row("epidemic, by simulation", [shot]),
        ],
        [
            _page.paragraph(
                "763 boys, influenza, the number in bed on each of 14 days (British Medical "
                "Journal 1, 1978, page 587). Susceptible, infected and recovered boys follow "
                "S' = -b S I, I' = b S I - c I, R' = c I; nobody is lost, so S + I + R stays 1. "
                f"All {size} numbers (b, c, and the state at {model.steps + 1} times) are unknowns "
                f"and all {model.equations(fitted.x).size} equations constraints, as in "
                "scipy.optimize.minimize."
            ),
            _page.plot(ax, "epidemic", "Boys in bed, and the fitted model."),
            _page.paragraph(
                f"b = {b:.4f} and c = {c:.4f} a day: each sick boy infects {b / c:.2f} others at "
                f"the start and is ill for {1 / c:.1f} days. S + I + R = 1 holds to {kept:.0e}. "
                "The same fit with b, c and the first day as the only unknowns, the model "
                "simulated for each of them (lbfgs, derivatives by differences), gives "
                f"b = {again[0]:.4f}, c = {again[1]:.4f}: two ways, one answer. Their squared "
                f"errors differ by {abs(shot.fun - fitted.fun):.0e}."
            ),
            _page.rate_plot(
                run, "epidemic-rate", "Augmented Lagrangian method, Newton steps.", "KKT residual"
            ),
            _page.paragraph(
                "The tolerance is 1e-8: shares of a school are small numbers, and so are the "
                "gradients that the certificate measures. The theorem speaks of the updates of the "
                "multipliers, of which there are few."
            ),
        ],
        "KKT residual: the gradient of the Lagrangian and the violation of the equations, both "
        "absolute. A necessary condition; neither problem is convex.",
        "from fejer.benchmarks.instances.classics import Epidemic\n"
        "m = Epidemic()\n"
        "result = fejer.minimize(m.misfit, m.start(), jac=m.slope, hess=m.curvature,\n"
        "                        constraints=m.constraint(), tol=1e-8)",
    )
