"""HiGHS and PDHG: answers, silence, splits, rates."""

import numpy as np
import pytest
import scipy.sparse as sp

import fejer
from fejer.benchmarks.instances.linear import folder, randlp, transport
from fejer.driver import Run
from fejer.solvers.linear.pdhg import Pdhg
from fejer.testing.method_laws import obeys_its_theorem
from tests.linear.twin import entries, general

INF = np.inf


# HiGHS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["choose", "simplex", "interior-point"])
@pytest.mark.parametrize("presolve", [True, False])
def test_highs_options(algorithm, presolve):
    options = {"algorithm": algorithm, "presolve": presolve}
    for seed in range(5):
        lp, optimum = general(seed)
        result = fejer.minimize(lp, method="highs", options=options, tol=1e-8)
        assert result.success and result.fun == pytest.approx(optimum, rel=1e-7, abs=1e-7)
        assert result.nit <= 2 and result.stats["inner_iterations"] >= 0


def test_highs_is_silent(capfd):
    problems = [general(1)[0], fejer.LinearProgram([1], [[1], [1]], [2, -INF], [INF, 1], 0, INF)]
    problems.append(fejer.LinearProgram([-1, 0], [[1, -1]], -INF, 1, 0, INF))
    for lp in problems:
        for algorithm in ("simplex", "interior-point"):
            fejer.minimize(lp, method="highs", options={"algorithm": algorithm}, tol=0.0)
    assert capfd.readouterr() == ("", "")


def test_second_call_is_scaled():
    """HiGHS drops entries below 1e-9; the scaled program has none."""
    lp = fejer.LinearProgram([1, 1], [[1e-9, 1]], [1], [INF], 0, [INF, 0.5])
    result = fejer.minimize(lp, method="highs")
    assert result.success and result.nit == 2 and result.fun == pytest.approx(5e8 + 0.5)


def test_units_do_not_matter_to_highs():
    for seed in range(6):
        lp, optimum = general(seed)
        rng = np.random.default_rng(seed)
        row, column = (10.0 ** rng.integers(-6, 7, size) for size in lp.A.shape)
        units = fejer.LinearProgram(
            1e12 * lp.c * column,
            entries(lp) * row[:, None] * column,
            lp.row_lower * row,
            lp.row_upper * row,
            lp.lower / column,
            lp.upper / column,
        )
        result = fejer.minimize(units, method="highs")
        assert result.success and result.fun / 1e12 == pytest.approx(optimum, rel=1e-5, abs=1e-4)


# PDHG -------------------------------------------------------------------------------------------


def plain(lp, k, step=0.998):
    """The iteration in numpy: last iterates and means after 0 to k iterations."""
    A = entries(lp)
    norm = np.linalg.norm(A, 2)
    bounds = np.concatenate([lp.row_lower, lp.row_upper])
    weight = np.linalg.norm(lp.c) / np.linalg.norm(bounds[np.isfinite(bounds)])
    tau, sigma = step / norm / weight, step / norm * weight
    x, y = np.clip(np.zeros(lp.size), lp.lower, lp.upper), np.zeros(A.shape[0])
    xs, ys = [x], [y]
    for _ in range(k):
        new = np.clip(x - tau * (lp.c - A.T @ y), lp.lower, lp.upper)
        v = y / sigma - A @ (2 * new - x)
        x, y = new, sigma * (v - np.clip(v, -lp.row_upper, -lp.row_lower))
        xs.append(x)
        ys.append(y)
    return np.array(xs), np.array(ys), tau, sigma


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_pdhg_equals_numpy(seed, average):
    lp, _ = general(seed)
    xs, ys, _, _ = plain(lp, 50)
    run = Run(lp, method="pdhg", options={"scaling": "none", "average": average}, tol=0.0)
    run.open()
    for k in (1, 2, 7, 50):
        while run.state.nit < k:
            run.forward(k)
        x, witness = (f(lp, run.prep, run.state) for f in (run.method.point, run.method.witness))
        want = (xs[1 : k + 1].mean(0), ys[1 : k + 1].mean(0)) if average else (xs[k], ys[k])
        np.testing.assert_allclose(x, want[0], atol=1e-8)
        np.testing.assert_allclose(witness["dual"], want[1], atol=1e-8)


@pytest.mark.parametrize("scaling", ["ruiz", "none"])
@pytest.mark.parametrize("sparse", [False, True])
def test_pdhg_solves(scaling, sparse):
    for seed in range(4):
        lp = fejer.LinearProgram.random(6, 10, seed=seed)
        if not sparse:
            lp = lp.replace(A=entries(lp))
        best = fejer.minimize(lp, method="highs").fun
        result = fejer.minimize(lp, method="pdhg", options={"scaling": scaling}, max_iter=200_000)
        assert result.success and result.fun == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("scaling", ["ruiz", "none"])
@pytest.mark.parametrize("seed", range(5))
def test_mean_obeys_its_theorem(seed, scaling):
    lp = fejer.LinearProgram.random(6, 10, upper=np.inf, seed=seed)
    best = fejer.minimize(lp, method="highs", tol=1e-10)
    run = Run(lp, method="pdhg", options={"average": True, "scaling": scaling}, tol=0.0)
    run.open()
    rate, x0 = run.method.rate, lp.initial_point()
    for k in range(1, 300):
        run.forward(k)
        x = run.method.point(lp, run.prep, run.state)
        measured, bound = rate.measure(lp, x, best.x), rate.bound(lp, x0, best.x, k)
        assert -1e-9 <= measured <= bound * (1 + 1e-9) + 1e-12
    assert rate.bound(lp, x0, best.x, 0) == np.inf


@pytest.mark.parametrize("weight", [None, 3.0])
def test_the_constant_of_the_theorem_is_nearly_reached(weight):
    method = Pdhg(average=True, weight=weight)
    obeys_its_theorem(method, fejer.LinearProgram.random(6, 10))
    for k in (10, 100):
        lp = method.rate.worst_case(k)
        run = Run(lp, method=method, tol=0.0)
        run.open()
        run.forward(k)
        x, best = method.point(lp, run.prep, run.state), lp.upper
        ratio = method.rate.measure(lp, x, best) / method.rate.bound(lp, np.zeros(1), best, k)
        assert 1 - 1.5 / k <= ratio <= 1


@pytest.mark.parametrize("seed", range(5))
def test_steps_obey_their_theorem(seed):
    lp = fejer.LinearProgram.random(6, 10, seed=seed)
    best = fejer.minimize(lp, method="highs", tol=1e-10)
    xs, ys, tau, sigma = plain(lp, 300)
    A = entries(lp)

    def norm(x, y):
        return np.sqrt(x @ x / tau + 2 * y @ A @ x + y @ y / sigma)

    radius = norm(xs[0] - best.x, ys[0] - best.dual)
    for k in range(1, 300):
        assert norm(xs[k] - xs[k - 1], ys[k] - ys[k - 1]) <= radius / np.sqrt(k) * (1 + 1e-9)


def test_scaling_is_exact():
    from fejer.solvers.linear._scaling import scaled

    lp = fejer.LinearProgram.random(10, 20, seed=3)
    rows = 10.0 ** np.random.default_rng(0).integers(-4, 5, 10)
    lp = lp.replace(
        A=sp.csc_array(entries(lp) * rows[:, None]),
        row_lower=lp.row_lower * rows,
        row_upper=lp.row_upper * rows,
    )
    data = scaled(lp.program(), True)
    assert (np.log2(data.row) % 1 == 0).all() and (np.log2(data.column) % 1 == 0).all()
    matrix = sp.csc_array((data.csc.data, data.csc.indices, data.csc.indptr), shape=lp.A.shape)
    assert np.array_equal(matrix.toarray() / data.column / data.row[:, None], entries(lp))
    by_rows = sp.csr_array((data.csr.data, data.csr.indices, data.csr.indptr), shape=lp.A.shape)
    assert np.array_equal(by_rows.toarray(), matrix.toarray())
    moduli = np.abs(matrix.toarray())
    for axis in (0, 1):
        assert 0.2 < moduli.max(axis)[moduli.max(axis) > 0].min() and moduli.max() < 4
    assert data.norm == pytest.approx(np.linalg.norm(moduli * np.sign(matrix.toarray()), 2))


def test_pdhg_starts_from_a_result():
    lp = fejer.LinearProgram.random(6, 10)
    first = fejer.minimize(lp, method="pdhg", tol=1e-3)
    warm = fejer.minimize(lp.replace(c=lp.c * 1.001), first, method="pdhg", tol=1e-3)
    assert warm.success and warm.nit < first.nit


def test_auto_takes_highs():
    assert fejer.minimize(fejer.LinearProgram.random()).method == "highs"
    assert fejer.LinearProgram.random().auto()[0] == "highs"


def test_pdhg_counts_products():
    lp = fejer.LinearProgram.random()
    result = fejer.minimize(lp, method="pdhg", max_iter=100, tol=0.0)
    assert result.work == 2 * result.nit == 200
    limited = fejer.minimize(lp, method="pdhg", max_work=50, tol=0.0)
    assert limited.status is fejer.Status.MAX_WORK and limited.nit <= 26


# Instances of the benchmarks ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["euclid", "int", "rand"])
def test_transport(kind):
    lp = transport(6, 8, seed=2, kind=kind)
    assert lp.A.nnz == 2 * 48 and lp.row_lower[:6].sum() == pytest.approx(1)
    result = fejer.minimize(lp, tol=1e-8)
    assert result.success and 0 < result.fun < lp.c.max()


def test_randlp_has_a_known_vertex():
    lp = randlp(30, 60, 0.3, seed=1)
    result = fejer.minimize(lp, tol=1e-8)
    assert result.success and (result.x > 0.05).sum() == 30
    assert ((0.1 <= result.x[result.x > 0.05]) & (result.x[result.x > 0.05] <= 1.1)).all()


def test_instances_refuse(tmp_path):
    with pytest.raises(fejer.ProblemError, match="kind"):
        transport(2, 2, kind="squared")
    (tmp_path / "a.mps").write_text("ROWS\n N c\nCOLUMNS\n x c 1\nENDATA\n")
    (tmp_path / "readme.txt").write_text("no program")
    assert list(folder(tmp_path)) == ["a"]
