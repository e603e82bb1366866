"""Plans with a quadratic term and with few entries in a row."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances.plans import experts, quadratic, sparse
from fejer.driver import Run

__all__ = ["gap_left", "hidden", "limits", "quadratic_evaluations", "routing", "smoothness"]


@claim("lbfgs-dual solves QuadraticOT to 1e-6 within 5000 evaluations: pc2, lap, grid, n = 1000")
def quadratic_evaluations() -> Found:
    """The smaller gamma and ten dimensions are reported without a bar."""
    cases = (
        ("pc2", 1.0, True), ("lap", 0.1, True), ("grid", 10.0, True),
        ("pc2", 0.1, False), ("grid", 1.0, False), ("pc10", 0.1, False),
    )  # fmt: skip
    for kind, gamma, asked in cases:
        problem = quadratic(kind, 1000, gamma)
        result = fejer.minimize(problem, method="lbfgs-dual", max_work=5000)
        text = f"{kind}, gamma = {gamma:g}: {result.work:.0f} evaluations, "
        text += f"certificate {result.certificate.value:.1e} ({result.status.name})"
        yield text, result.success if asked else None


def dual_evaluations(problem: fejer.SparseOT) -> tuple[int, float]:
    """Return evaluations until the dual value is within 1e-6 of its best, and that."""
    run = Run(problem, method="lbfgs-dual", tol=0.0, max_iter=10**6)
    run.open()
    state: Any = run.state
    state.next_repair = 0  # repairs would count as evaluations
    seen = [(state.work, state.value)]
    while state.nit < 3000:
        before = state.nit
        run.method.advance(problem, run.prep, state, 1)
        if state.nit == before:
            break
        seen.append((state.work, state.value))
    best = max(value for _, value in seen)
    enough = best - 1e-6 * abs(best)
    return next(work for work, value in seen if value >= enough), best


@claim("evaluations to 1e-6 of the dual value do not grow with k; 5 times fewer at k = n than at 5")
def smoothness() -> Found:
    """Gaussian clouds in the plane, n = 60, k = 5, 8, 15, 60."""
    for gamma in (1.0, 10.0):
        found = [dual_evaluations(sparse("pc2", 60, gamma, k))[0] for k in (5, 8, 15, 60)]
        text = f"gamma = {gamma:g}: " + ", ".join(str(count) for count in found)
        yield text, bool(np.diff(found).max() <= 0 and found[0] >= 5 * found[-1])
        hard = [dual_evaluations(sparse("pc2", 60, gamma, k))[0] for k in (1, 2, 3)]
        yield f"gamma = {gamma:g}, k = 1, 2, 3: " + ", ".join(map(str, hard)), None


@claim("k = 1 is transport without regularisation, large k is QuadraticOT, to 1e-8")
def limits() -> Found:
    """n = 60; values, and for large k the plans, too."""
    from scipy.optimize import linear_sum_assignment

    problem = sparse("pc2", 60, 1.0, 1)
    cost = np.array(problem.cost)
    expected = cost[linear_sum_assignment(cost)].mean() + 0.5 / 60
    result = fejer.minimize(problem, tol=1e-10, max_iter=20_000)
    off = result.certificate.lower_bound - expected
    yield f"k = 1: dual value off by {off:.1e}", abs(off) <= 1e-8
    full = fejer.minimize(quadratic("pc2", 60, 1.0), tol=1e-11)
    plan = full.plan.toarray()
    k = int((plan > 1e-9).sum(axis=1).max())
    same = fejer.minimize(sparse("pc2", 60, 1.0, k), tol=1e-11, max_iter=20_000)
    value = abs(same.fun - full.fun)
    entries = float(np.abs(same.plan.toarray() - plan).max())
    text = f"k = {k}, the largest row of the quadratic plan: values differ by {value:.1e}, "
    yield text + f"plans by {entries:.1e}", max(value, entries) <= 1e-8


@claim("no plan hides a violation: at most k entries a row, marginals met, or kind 'relaxed'")
def hidden() -> Found:
    """Three gammas, seven limits, three seeds, n = 60."""
    bad = relaxed = solved = count = 0
    worst = 0.0
    for gamma in (0.1, 1.0, 10.0):
        for k in (1, 2, 3, 5, 8, 15, 60):
            for seed in range(3):
                problem = sparse("pc2", 60, gamma, k, seed)
                result = fejer.minimize(problem, max_iter=800)
                count += 1
                if not np.isfinite(result.certificate.value):
                    relaxed += 1
                    bad += result.certificate.kind != "relaxed" or result.success
                    continue
                P = result.plan.toarray()
                off = max(
                    float(np.abs(P.sum(axis=1) / problem.a - 1).max()),
                    float(np.abs(P.sum(axis=0) / problem.b - 1).max()),
                )
                worst = max(worst, off)
                bad += off > 1e-9 or (P > 0).sum(axis=1).max() > k or P.min() < 0
                solved += result.success
    text = f"{count} runs: {solved} to 1e-6, {count - solved - relaxed} with a gap that is told, "
    text += f"{relaxed} relaxed; largest violation {worst:.1e} of the own weight"
    yield text, bad == 0


def dual_optimum(problem: fejer.SparseOT) -> float:
    """Return the optimal dual value by an interior-point method."""
    import cvxpy as package

    cvxpy: Any = package
    n, m = problem.cost.shape
    f, g = cvxpy.Variable((n, 1)), cvxpy.Variable((1, m))
    s = f @ np.ones((1, m)) + np.ones((n, 1)) @ g - np.array(problem.cost)
    squares = cvxpy.square(cvxpy.pos(s))
    loss: Any = sum(cvxpy.sum_largest(squares[i], problem.k) for i in range(n))
    value = problem.a @ f[:, 0] + problem.b @ g[0] - loss / (2 * problem.gamma)
    with warnings.catch_warnings():  # it may say that the last digits are not to be trusted
        warnings.simplefilter("ignore")
        return float(cvxpy.Problem(cvxpy.Maximize(value)).solve(solver=cvxpy.CLARABEL))


@claim(
    "where k binds, at most a tenth of the gap that is left is the dual's: a polish gains little"
)
def gap_left() -> Found:
    """n = 24; how far the dual value is from its optimum, beside the gap.

    The rest belongs to the relaxation and to plans that were not found.
    """
    for gamma in (0.1, 1.0, 10.0):
        for k in (2, 3, 5):
            problem = sparse("pc2", 24, gamma, k)
            result = fejer.minimize(problem, max_iter=2000)
            certificate = result.certificate
            lack = (dual_optimum(problem) - certificate.lower_bound) / certificate.scale
            text = f"gamma = {gamma:g}, k = {k}: gap {certificate.value:.1e}, of which the dual "
            yield text + f"lacks {lack:.1e}", result.success or lack <= 0.1 * certificate.value


@claim("routing with room 1: the repaired plan is the balanced assignment, gap at most 1e-4")
def routing() -> Found:
    """Tokens to experts; nonzeros beside entropic, quadratic and plain top-k routing."""
    from scipy.optimize import linear_sum_assignment

    for tokens, count in ((64, 4), (128, 8), (512, 8)):
        for room in (1.0, 1.25, 2.0):
            problem = experts(tokens, count, room)
            result = fejer.minimize(problem, tol=1e-4, max_iter=5000)
            P = result.plan.toarray()
            text = f"{tokens} x {count}, room {room:g}: gap {result.certificate.value:.1e}, "
            text += f"{np.count_nonzero(P)} entries, at most {(P > 0).sum(axis=1).max()} a row"
            holds: bool | None = None
            if room == 1.0:
                cost = np.repeat(problem.cost, tokens // count, axis=0)
                best = float(cost[linear_sum_assignment(cost)].sum())
                off = abs(result.transport_cost - best) / best
                holds = result.certificate.value <= 1e-4 and off <= 1e-9
                text += f"; cost off the assignment's by {off:.1e}"
            yield text, holds
        data = problem.a, problem.b, problem.cost
        entropic = fejer.minimize(fejer.EntropicOT(*data, eps_rel=0.02)).plan.toarray()
        square = fejer.minimize(fejer.QuadraticOT(*data, gamma=0.1)).plan.toarray()
        chosen = np.bincount(np.argmin(problem.cost, axis=0), minlength=count)
        text = f"{tokens} x {count}: entries of the entropic plan {np.count_nonzero(entropic)}, "
        text += f"quadratic {np.count_nonzero(square)}; the best expert of each token takes "
        yield text + f"{chosen.min()} to {chosen.max()} tokens, {tokens // count} asked", None
