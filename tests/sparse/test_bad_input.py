"""What the least-squares classes refuse, by name, and the layouts that they take."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

import fejer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 3))
Y = RNG.standard_normal(6)
NAN_X, INF_Y = X.copy(), Y.copy()
NAN_X[2, 1], INF_Y[3] = np.nan, np.inf
SPARSE_NAN = scipy.sparse.csc_array(NAN_X)


class Frame:
    """What pandas offers, as far as it is used."""

    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)


BAD = [
    ("X", {"X": NAN_X}),
    ("X", {"X": SPARSE_NAN}),
    ("X", {"X": [["a", "b"]]}),
    ("X", {"X": X[0]}),
    ("X", {"X": 3.0}),
    ("X", {"X": X + 1j}),
    ("X", {"X": np.zeros((0, 3))}),
    ("X", {"X": np.zeros((6, 0))}),
    ("X", {"X": 1e101 * X}),
    ("X", {"X": 1e-110 * X}),
    ("X", {"X": None}),
    ("X", {"X": aslinearoperator(X)}),
    ("y", {"y": INF_Y}),
    ("y", {"y": Y[:5]}),
    ("y", {"y": Y[:, None]}),
    ("y", {"y": 1.0}),
    ("y", {"y": ["a"] * 6}),
    ("y", {"y": None}),
    ("y", {"y": 1e120 * Y}),
    ("lam", {"lam": -1.0}),
    ("lam", {"lam": np.nan}),
    ("lam", {"lam": np.inf}),
    ("lam", {"lam": "1"}),
    ("lam", {"lam": None}),
    ("lam", {"lam": True}),
    ("lam", {"lam": [1.0, 2.0]}),
    ("lam", {"lam": 1e300}),
    ("scale", {"scale": "median"}),
    ("scale", {"scale": 1}),
    ("scale", {"scale": None}),
    ("lower", {"lower": [0.0, 0.0]}),
    ("lower", {"lower": np.nan}),
    ("lower", {"lower": np.inf}),
    ("lower", {"lower": [0.0, np.nan, 0.0]}),
    ("lower", {"lower": 2.0, "upper": 1.0}),
    ("lower", {"lower": [0.0, 5.0, 0.0], "upper": 4.0}),
    ("lower", {"lower": 1e200}),
    ("upper", {"upper": -np.inf}),
    ("upper", {"upper": [1.0, np.nan, 1.0]}),
    ("upper", {"upper": "inf"}),
    ("upper", {"upper": [[1.0, 1.0, 1.0]]}),
]
LASSO_ONLY = [
    ("l1_ratio", {"l1_ratio": -0.1}),
    ("l1_ratio", {"l1_ratio": 1.1}),
    ("l1_ratio", {"l1_ratio": np.nan}),
    ("l1_ratio", {"l1_ratio": "all"}),
    ("weights", {"weights": [1.0, 0.0, 1.0]}),
    ("weights", {"weights": [1.0, -2.0, 1.0]}),
    ("weights", {"weights": [1.0, np.nan, 1.0]}),
    ("weights", {"weights": [1.0, 1.0]}),
    ("weights", {"weights": [np.inf, 1.0, 1.0], "lower": 0.5}),
    ("sample_weight", {"sample_weight": np.zeros(6)}),
    ("sample_weight", {"sample_weight": -np.ones(6)}),
    ("sample_weight", {"sample_weight": np.ones(5)}),
    ("sample_weight", {"sample_weight": [np.inf, 1, 1, 1, 1, 1]}),
    ("positive", {"positive": 1}),
    ("positive", {"positive": "yes"}),
    ("positive", {"positive": True, "upper": -1.0}),
    ("fit_intercept", {"fit_intercept": None}),
    ("fit_intercept", {"fit_intercept": 0}),
]


@pytest.mark.parametrize("field, bad", BAD + LASSO_ONLY)
def test_lasso_names_what_it_refuses(field, bad):
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.Lasso(**{"X": X, "y": Y, "lam": 0.1, **bad})


@pytest.mark.parametrize("field, bad", BAD)
def test_box_least_squares_names_what_it_refuses(field, bad):
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.BoxLeastSquares(**{"X": X, "y": Y, "lam": 0.1, **bad})


@pytest.mark.parametrize("kind", [fejer.Lasso, fejer.BoxLeastSquares])
def test_replace_checks_new_values(kind):
    problem = kind(X, Y, 0.1)
    with pytest.raises(fejer.ProblemError, match="lam"):
        problem.replace(lam=-1)
    with pytest.raises(fejer.ProblemError, match="y"):
        problem.replace(y=Y[:-1])
    with pytest.raises(fejer.ProblemError, match="no field 'alpha'"):
        problem.replace(alpha=1)


@pytest.mark.parametrize(
    "options",
    [
        {"selection": "greedy"},
        {"selection": None},
        {"block_size": 0},
        {"block_size": 1.5},
        {"block_size": True},
        {"blocks": 1},
    ],
)
def test_bcd_options(options):
    with pytest.raises(fejer.OptionError, match="bcd"):
        fejer.minimize(fejer.Lasso(X, Y, 0.1), method="bcd", options=options)


@pytest.mark.parametrize(
    "options",
    [{"step": 0}, {"step": 1.5}, {"restart": "never"}, {"acceleration": None}, {"accel": "x"}],
)
def test_fista_options(options):
    with pytest.raises(fejer.OptionError, match="fista"):
        fejer.minimize(fejer.Lasso(X, Y, 0.1), method="fista", options=options)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


WHOLE = np.round(3 * X)
LAYOUTS = {
    "list": lambda a: a.tolist(),
    "integer": lambda a: a.astype(int),
    "float32": lambda a: a.astype(np.float32),
    "Fortran": np.asfortranarray,
    "C": np.ascontiguousarray,
    "read-only": read_only,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "frame": Frame,
    "object": lambda a: a.astype(object),
}
SPARSE = {
    kind.__name__: kind
    for kind in (
        scipy.sparse.csc_array,
        scipy.sparse.csr_array,
        scipy.sparse.coo_array,
        scipy.sparse.csc_matrix,
        scipy.sparse.lil_matrix,
    )
}


def same(problem, atol):
    plain = fejer.Lasso(WHOLE, np.round(3 * Y), 1.0, fit_intercept=True)
    for method in ("bcd", "fista"):
        one = fejer.minimize(plain, method=method, tol=1e-12)
        two = fejer.minimize(problem, method=method, tol=1e-12)
        np.testing.assert_allclose(one.x, two.x, atol=atol)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    change = LAYOUTS[layout]
    data, target = change(WHOLE), change(np.round(3 * Y))
    before = np.array(data, dtype=float), np.array(target, dtype=float)
    same(fejer.Lasso(data, target, 1.0, fit_intercept=True), 0)
    np.testing.assert_array_equal(np.array(data, dtype=float), before[0])
    np.testing.assert_array_equal(np.array(target, dtype=float), before[1])


@pytest.mark.parametrize("kind", SPARSE)
def test_sparse_layouts(kind):
    data = SPARSE[kind](WHOLE)
    same(fejer.Lasso(data, np.round(3 * Y), 1.0, fit_intercept=True), 1e-8)
    assert (data.toarray() == WHOLE).all()


def test_duplicate_entries_of_coo_are_added():
    data = scipy.sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    problem = fejer.Lasso(data, [6.0, 8.0], 1e-9)
    np.testing.assert_allclose(fejer.minimize(problem).x, [2.0, 2.0], rtol=1e-6)


def test_writing_into_the_users_arrays_is_still_allowed():
    data, target = np.asfortranarray(X), Y.copy()
    problem = fejer.Lasso(data, target, 0.1)
    assert data.flags.writeable and target.flags.writeable
    assert not problem.X.dense.flags.writeable and not problem.y.flags.writeable
