"""Costs of updates of block coordinate descent, forests, and what happens near the solution."""

from __future__ import annotations

import functools
import time
import warnings
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import sparse as instances
from fejer.driver import Run
from fejer.evidence import Array
from fejer.solvers.general._forests import Forests, greedy_forest
from fejer.solvers.general._linear import squared

from ._sparse_x import cpu, exponent, followed, value

__all__ = [
    "cyclic_sweeps",
    "finite_termination",
    "forests",
    "greedy_iteration",
    "heap",
    "identification",
    "superlinear",
]


def opened(problem: Any, method: str, **options: Any) -> Any:
    """Return a run that has begun, and has been compiled."""
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    run.method.advance(problem, run.prep, run.state, 1)
    return run


@claim("a sweep of cyclic bcd on a dense Lasso costs at most 1.3 of one of scikit-learn")
def cyclic_sweeps() -> Found:
    """800 x 3200, the first 15 sweeps, and sweeps 60 to 75, alternating, median of 9 ratios.

    Columns that scikit-learn can tell to be zero before its first sweep it leaves out; ours read
    all of them.
    """
    from sklearn.linear_model import Lasso

    for ratio in (0.1, 0.02):
        problem = fejer.Lasso.random(800, 3200, correlation=0.5, ratio=ratio)
        X, y = np.asfortranarray(problem.X.toarray()), np.array(problem.y)

        def ours(first: int, problem: Any = problem) -> float:
            run = opened(problem, "bcd")
            while run.state.nit < first:
                run.forward(first)
            begun, nit = time.process_time(), run.state.nit
            run.method.advance(problem, run.prep, run.state, 15)
            return (time.process_time() - begun) / (run.state.nit - nit)

        def theirs(sweeps: int, X: Any = X, y: Any = y, problem: Any = problem) -> float:
            model = Lasso(alpha=problem.lam / 800, fit_intercept=False, tol=0, max_iter=sweeps)
            begun = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X, y)
            return time.process_time() - begun

        theirs(2)
        for first in (1, 60):
            ratios, each = [], []
            for _ in range(9):
                a = ours(first)
                b = (theirs(first + 15) - theirs(first)) / 15
                each.append((a, b))
                ratios.append(a / b)
            a, b = np.median(np.array(each), axis=0)
            text = f"lam {ratio:g} of lam_max, sweeps {first}..{first + 15}: "
            text += f"{1e3 * a:.2f} ms against {1e3 * b:.2f} ms, ratio {np.median(ratios):.2f}"
            yield text, float(np.median(ratios)) <= 1.3


@claim("a greedy iteration with variable blocks costs at most 1.5 of its gradient")
def greedy_iteration() -> Found:
    """Data A, blocks of 5."""
    problem = instances.scaled_squares()
    ready = squared(problem)
    r = np.array(ready.z)
    for rule in ("gs", "gsd"):
        for update in ("gradient", "matrix"):
            run = opened(problem, "bcd", selection=rule, update=update, block_size=5)
            ratios = []
            for _ in range(7):
                begun = time.process_time()
                for _ in range(10):
                    ready.adjoint(r)
                middle = time.process_time()
                goal = run.state.nit + 10
                while run.state.nit < goal:  # a call makes as many as fit into 20 ms
                    run.method.advance(problem, run.prep, run.state, goal - run.state.nit)
                gradient = middle - begun
                ratios.append((time.process_time() - middle) / gradient)
            text = f"{rule}, {update}: {np.median(ratios):.2f} (gradient {100 * gradient:.1f} ms)"
            yield text, float(np.median(ratios)) <= 1.5


def neighbours(n: int) -> Any:
    """A graph that joins random points of the plane to their five nearest."""
    return instances.moon_labels(n, n // 50)


@claim("greedy updates with a heap on a graph of 1e5 nodes take at most 2 us each")
def heap() -> Found:
    """Nearest neighbours of two moons, and a lattice."""
    for name, problem in (("moons", neighbours(100_000)), ("lattice", lattice(316))):
        for rule in ("gs", "gs-q"):
            run = opened(problem, "bcd", selection=rule)
            each = []
            for _ in range(5):
                before, begun = run.state.updates, time.process_time()
                run.method.advance(problem, run.prep, run.state, 100_000)
                seconds = time.process_time() - begun
                each.append(seconds / max(1, run.state.updates - before))
            each_us = 1e6 * float(np.median(each))
            yield f"{name}, {problem.size} nodes, {rule}: {each_us:.2f} us", each_us <= 2.0


def lattice(size: int) -> Any:
    """A square lattice with labels."""
    return instances.lattice_labels(size, max(10, size * size // 25))


@claim("forests are solved exactly (1e-12 against a dense solve), in time linear in the nodes")
def forests() -> Found:
    """Greedy forests of lattices: exactness at 900 nodes, times up to 1e6.

    Room for the solution is kept between solves; it is made, with A symmetric, in "preparation".
    The selection sorts the nodes.
    """
    A, chosen, r, x = forest_of(lattice(30))
    inner = A[np.ix_(chosen, chosen)].toarray()
    expected = np.linalg.solve(inner, r[chosen])
    Forests((A.indptr, A.indices, A.data)).step(chosen, r, x)
    error = float(np.abs(x[chosen] - expected).max() / np.abs(expected).max())
    yield f"{chosen.size} nodes: relative error {error:.1e}", error <= 1e-12
    sizes, solve, choose, prepare = [], [], [], []
    for side in (100, 316, 1000):
        A, chosen, r, x = forest_of(lattice(side))
        arrays = (A.indptr, A.indices, A.data)
        forests = Forests(arrays)
        sizes.append(r.size)
        solve.append(cpu(functools.partial(forests.step, chosen, r, x), 7))
        prepare.append(cpu(functools.partial(Forests, arrays), 3))
        choose.append(cpu(functools.partial(chosen_from, A, r), 5))
    parts = {"exact solve": solve, "preparation": prepare, "greedy selection": choose}
    for name, times in parts.items():
        power = exponent(sizes, times)
        shown = ", ".join(f"{1e3 * t:.2f}" for t in times)
        holds = abs(power - 1.0) <= 0.1 if name == "exact solve" else None
        yield f"{name}, nodes {sizes}: {shown} ms, exponent {power:.2f}", holds


def forest_of(problem: Any) -> tuple[Any, Any, Array, Array]:
    """Matrix, a greedy forest in it, residual and point."""
    form = problem.form()
    A = form.matrix.tosparse().tocsc()
    r = np.array(form.b)
    return A, chosen_from(A, r), r, np.zeros(r.size)


def chosen_from(A: Any, r: Array) -> Any:
    """The nodes of a greedy forest, largest residuals first."""
    member, mark = np.zeros(r.size, np.int64), np.full(r.size, -1)
    order = np.argsort(-np.abs(r), kind="stable")
    greedy_forest(A.indptr, A.indices, order, np.empty(r.size, np.int64), member, mark, -1)
    return np.flatnonzero(member)


@claim("from ||x_k - x*|| <= delta/(2 L) on the pattern never changes (50 Lassos, ista)")
def identification() -> Found:
    """delta = min over zero coefficients of lam - |c_j|; L the norm of the Hessian."""
    entered = changed = 0
    earlier = []
    for seed in range(50):
        problem = fejer.Lasso.random(60, 40, correlation=0.5, seed=seed)
        best = fejer.minimize(problem, method="cd-anderson", tol=1e-13).x
        ready = squared(problem)
        c = ready.adjoint(ready.z - ready.product(best))
        delta = float((problem.lam - np.abs(c))[best == 0].min())
        ball, inside, moved = delta / (2 * ready.bound), 0, 0
        step: Any
        for step in fejer.steps(problem, "ista", max_iter=20_000, tol=1e-10):
            if not inside and np.linalg.norm(step.x - best) <= ball:
                inside = step.nit
            if inside and step.state.identified_at > inside + 1:
                moved = 1
        entered += inside > 0
        changed += moved
        earlier.append(inside - step.state.identified_at)
    yield f"{entered} of 50 entered the ball, {changed} patterns changed in it", changed == 0
    yield f"identified {np.median(earlier):.0f} iterations before (median)", None


@claim("after the pattern is identified Newton blocks on sparse logistic have order >= 1.5")
def superlinear() -> Found:
    """bcd with blocks as large as the problem, and prox-newton."""
    options = {"selection": "gs-q", "block_size": 30, "update": "newton"}
    for method, chosen in (("bcd", options), ("prox-newton", {})):
        found = []
        for seed in range(10):
            problem = fejer.SparseLogistic.random(seed=seed, ratio=0.05)
            best = fejer.minimize(problem, method="prox-newton", tol=1e-14)
            steps: list[Any] = list(
                fejer.steps(problem, method, options=chosen, max_iter=200, tol=1e-13)
            )
            after = steps[-1].state.identified_at
            errors = [float(np.linalg.norm(s.x - best.x)) for s in steps if s.nit >= after]
            errors = [e for e in errors if 1e-11 < e < 1.0]
            logs = np.log(errors)
            if logs.size >= 3:
                found.append(float(np.polyfit(logs[:-1], logs[1:], 1)[0]))
        order = float(np.median(found)) if found else np.nan
        yield f"{method}: median order {order:.2f} over {len(found)} instances", order >= 1.5


@claim("on least squares, blocks that hold the support end after finitely many iterations")
def finite_termination() -> Found:
    """Iterations from identification to a value of 1e-12, nonnegative least squares and Lasso."""
    cases: tuple[tuple[str, Any, str], ...] = (
        ("nonnegative", fejer.BoxLeastSquares.random, "projected-newton"),
        ("Lasso", fejer.Lasso.random, "newton"),
    )
    for name, make, update in cases:
        most = 0
        for seed in range(20):
            problem = make(seed=seed)
            options = {"selection": "gs-q", "block_size": problem.size, "update": update}
            best = value(problem, fejer.minimize(problem, method="bcd", tol=1e-14).x)
            last: list[Any] = []

            def look(x: Array, state: Any, problem: Any = problem, best: float = best) -> bool:
                last[:] = [state.identified_at]  # noqa: B023
                return value(problem, x) - best <= 1e-12 * abs(best)

            k = followed(problem, "bcd", options, 200, look)
            most = max(most, k - last[0])
        yield f"{name}, {update}: at most {most} iterations after identification", most <= 2
