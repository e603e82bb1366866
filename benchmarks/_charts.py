"""Figures of the report: profiles, convergence, scaling, each with its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fejer.method import Rate
from fejer.plots import VERDICTS
from fejer.rates import RateFit, check_bound, fit_rate

from . import records as tables
from ._svg import Chart, dash, sample
from .profiles import Profile, data_profile, pairwise_profiles, performance_profile
from .scaling import fit_growth

Record = dict[str, Any]

MOST_FIGURES = 16  # of one kind: beyond these nobody looks, and the page grows
MOST_PAIRS = 10


def _steps(chart: Chart, profile: Profile, order: Sequence[str]) -> None:
    chart.bound_y(0.0, 1.0)
    for column, name in enumerate(profile.solvers):
        at = order.index(name)
        if len(profile.solvers) <= 4:  # more bands than that hide each other
            chart.band(profile.tau, profile.low[:, column], profile.high[:, column], at)
        share = profile.share[:, column]
        chart.line(profile.tau, share, name, colour=at, dashes=dash(at), step=True)


def profiles(found: Sequence[Record], order: Sequence[str]) -> Iterator[str]:
    """Yield performance profile, data profile and pairwise profiles of one group of records."""
    costs = tables.costs(found)
    if costs.solvers:
        profile = performance_profile(costs.cost, costs.solvers, tau_max=_largest(costs.cost))
        chart = Chart("time over that of the fastest", "share of problems solved", ylog=False)
        _steps(chart, profile, order)
        scores = ", ".join(f"{name} {value:.2f}" for name, value in profile.score().items())
        away = "; ".join(f"{name}: {why}" for name, why in costs.left_out.items())
        yield chart.figure(
            f"Performance profile over {len(costs.problems)} problems: how often each solver is "
            "certified within a factor of the fastest. Bands: 5 to 95 % over a choice of problems.",
            f"Area under the curve: {scores}.",
            *([f"Without a curve: {away}."] if away else []),
        )
    work = tables.costs(found, "work")
    if work.solvers:
        chart = Chart("passes over the data", "share of problems solved", ylog=False)
        _steps(chart, data_profile(work.cost, 1.0, work.solvers), order)
        yield chart.figure(
            "Data profile: share of problems certified after so many passes over the data. It does "
            "not depend on the machine; rivals do not count theirs."
        )
    if len(costs.solvers) > 2:
        yield from _pairs(costs, order)


def _largest(cost: np.ndarray) -> float:
    """The factor at which nothing happens any more, within 2 and 1000."""
    best = cost.min(axis=1)
    ratio = cost[np.isfinite(best)] / best[np.isfinite(best), None]
    most = ratio[np.isfinite(ratio)].max(initial=1.0)
    return float(np.clip(1.2 * most, 2.0, 1000.0))


def _pairs(costs: tables.Costs, order: Sequence[str]) -> Iterator[str]:
    found = pairwise_profiles(costs.cost, costs.solvers, tau_max=_largest(costs.cost))
    pairs = list(found)
    if len(pairs) > MOST_PAIRS:  # then those with the best one
        scores = performance_profile(costs.cost, costs.solvers, boot=0).score()
        best = max(scores, key=lambda name: scores[name])
        pairs = [pair for pair in pairs if best in pair][:MOST_PAIRS]
    for pair in pairs:
        chart = Chart("time over that of the faster", "share of problems solved", ylog=False)
        _steps(chart, found[pair], order)
        yield chart.figure(f"{pair[0]} against {pair[1]}, without a third.")


def curves(found: Sequence[Record], order: Sequence[str]) -> Iterator[str]:
    """Yield certificates against time, one figure for each instance (of the first seed)."""
    by_problem: dict[str, list[Record]] = {}
    for record in _first_seed(found):
        if record["trace"]:
            by_problem.setdefault(tables.problem(record), []).append(record)
    for name, runs in list(by_problem.items())[:MOST_FIGURES]:
        chart = Chart("milliseconds, without the judge's", "certificate")
        for record in runs:
            trace, solver = record["trace"], tables.solver(record)
            rows = sample(trace["time"])
            seconds, value = (np.array(trace[c])[rows] for c in ("time", "certificate"))
            at = order.index(solver)
            few = int(np.isfinite(value).sum()) < 3
            chart.line(1e3 * seconds, value, solver, colour=at, dashes=dash(at), points=few)
        yield chart.figure(f"{name}; asked for: {runs[0]['job']['tol']:g}.")


def _first_seed(found: Sequence[Record]) -> list[Record]:
    return [record for record in found if record["job"]["seed"] == found[0]["job"]["seed"]]


def theorem(record: Record) -> Rate | None:
    """Return the theorem of a record as a Rate."""
    told = record.get("theorem")
    if not told:
        return None
    factor = told.get("factor")
    return Rate(
        told["statement"],
        told["form"],
        told["exponent"],
        None if factor is None else lambda problem: factor,
        told["assumptions"],
    )


def observed(record: Record) -> tuple[RateFit | None, str]:
    """Return the fitted rate of a record, and the verdict on the theorem where there is one.

    What the theorem bounds is fitted, where it was measured, and the certificate otherwise; a
    theorem about something that was not measured gets no verdict.
    """
    told, trace = record.get("theorem") or {}, record["trace"]
    measured = "error" in told
    if not trace:
        return None, ""
    nit, error = (told["nit"], told["error"]) if measured else (trace["nit"], trace["certificate"])
    fit = fit_rate(nit, error)
    rate = theorem(record)
    if rate is None or not (measured or told["of_certificate"]):
        return fit, ""
    verdict = str(fit.compare(rate, problem=object()))
    if measured:
        ratio, where, holds = check_bound(*_comparable(told))
        verdict += "; bound holds" if holds else f"; BOUND VIOLATED {ratio:.3g} x at k = {where}"
    return fit, verdict


def _comparable(told: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points at which the distance from the solution says more than how exact that one is."""
    k, error, bound = (np.array(told[c], dtype=float) for c in ("nit", "error", "bound"))
    kept = error > 1e-8 * max(error.max(initial=0.0), 1e-300)
    kept[:1] = True
    return k[kept], error[kept], bound[kept]


def rates(found: Sequence[Record], order: Sequence[str]) -> Iterator[str]:
    """Yield error, bound and fit of runs whose theorem bounds what was measured."""
    shown = [
        record
        for record in _first_seed(found)
        if (told := record.get("theorem"))
        and len(record["trace"]["nit"]) > 5
        and ("error" in told or told["of_certificate"])
    ]
    for record in shown[:MOST_FIGURES]:
        told, trace = record["theorem"], record["trace"]
        measured = "error" in told
        if measured:
            nit, error, bound = _comparable(told)
        else:
            nit, error, bound = np.array(trace["nit"]), np.array(trace["certificate"]), None
        fit, rate = fit_rate(nit, error), theorem(record)
        assert rate is not None  # it was chosen for that
        form = rate.form if fit.form == "undetermined" else fit.form
        quantity = "what the theorem bounds" if measured else "certificate"
        chart = Chart("iteration", quantity, xlog=form == "sublinear")
        rows = sample(nit)
        chart.line(nit[rows], error[rows], "observed", colour=0, points=len(rows) < 40)
        lines = [
            f"{tables.solver(record)} on {tables.problem(record)}.",
            f"Theorem: {rate.statement}.",
        ]
        if bound is not None:
            ratio, where, holds = check_bound(nit, error, bound)
            seen = bound <= 1e3 * error.max()
            chart.line(nit[seen], bound[seen], "bound of the theorem", dashes="7 3")
            held = "It holds everywhere" if holds else "IT IS VIOLATED"
            lines.append(f"{held}: error / bound up to {ratio:.3g}, at k = {where}.")
        inside = (nit >= fit.window[0]) & (nit <= fit.window[1])
        if fit.form not in ("undetermined", "superlinear"):
            fitted = fit.curve(nit[inside])
            chart.line(nit[inside], fitted, "fitted", colour=1, dashes="8 3 2 3")
        if fit.form != "undetermined":
            says = VERDICTS[fit.compare(rate, problem=object())]
            lines.append(f"Fit: {repr(fit).removeprefix('RateFit(').removesuffix(')')}; {says}.")
        yield chart.figure(*lines)


def scaling(found: Sequence[Record], order: Sequence[str]) -> Iterator[str]:
    """Yield time and peak memory against size, with fitted exponents."""
    families: dict[str, list[Record]] = {}
    for record in found:
        if record["job"]["instance"]["size"] > 0 and tables.solved(record):
            families.setdefault(record["job"]["instance"]["family"], []).append(record)
    for family, runs in families.items():
        of = f", {family}" if family else ""
        for label, read in (("CPU seconds", _cpu), ("peak memory, MB", _megabytes)):
            chart = Chart("size", label)
            laws = _grown(chart, runs, read, order)
            if laws is not None:
                yield chart.figure(f"{label.partition(',')[0]} against size{of}.", laws)


def _cpu(record: Record) -> float:
    return tables.seconds(record, "cpu")


def _megabytes(record: Record) -> float:
    return float(record.get("memory", 0.0)) / 1e6


def _grown(chart: Chart, runs: Sequence[Record], read: Any, order: Sequence[str]) -> str | None:
    points: dict[str, list[tuple[float, float]]] = {}
    for record in runs:
        cost = read(record)
        if cost > 0 and np.isfinite(cost):
            size = record["job"]["instance"]["size"]
            points.setdefault(tables.solver(record), []).append((size, cost))
    points = {name: at for name, at in points.items() if len({size for size, _ in at}) > 1}
    laws = []
    for name in sorted(points, key=order.index):
        size, cost = np.array(sorted(points[name])).T
        at = order.index(name)
        chart.line(size, cost, colour=at, points=True)
        law = fit_growth(size, cost)
        across = np.geomspace(size[0], size[-1], 30)
        chart.line(across, law.curve(across), name, colour=at, dashes=dash(at))
        if np.isfinite(law.exponent):
            laws.append(f"{name} {law}")
    if not points:
        return None
    return f"Fitted: {'; '.join(laws)}." if laws else "Too few sizes for a fit."
