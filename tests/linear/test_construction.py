"""What a linear program may be made of, and what it refuses by name."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import optimize
from scipy.sparse.linalg import aslinearoperator

import fejer

INF, NAN = np.inf, np.nan
GOOD = {
    "c": [1.0, 2.0],
    "A": [[1.0, 1.0], [1.0, -1.0]],
    "row_lower": [1.0, -INF],
    "row_upper": [INF, 2.0],
    "lower": 0.0,
    "upper": [3.0, INF],
}

BAD = [
    # field in the message, what is wrong, replaced fields
    ("c", "nan", {"c": [NAN, 1]}),
    ("c", "infinite", {"c": [INF, 1]}),
    ("c", "empty", {"c": []}),
    ("c", "matrix", {"c": [[1, 2]]}),
    ("c", "scalar", {"c": 1.0}),
    ("c", "complex", {"c": [1j, 2]}),
    ("c", "text", {"c": ["1", "2"]}),
    ("c", "None", {"c": None}),
    ("c", "ragged", {"c": [1, [2]]}),
    ("c", "too large to square", {"c": [1e150, 1]}),
    ("c", "too small to square", {"c": [1e-150, 0]}),
    ("c", "dates", {"c": np.array(["2020-01-01"], dtype="M8[D]")}),
    ("A", "more columns than costs", {"c": [1.0, 2.0, 3.0]}),
    ("A", "fewer columns", {"A": [[1.0], [2.0]]}),
    ("A", "a vector", {"A": [1.0, 2.0]}),
    ("A", "a cube", {"A": np.ones((2, 2, 2))}),
    ("A", "nan", {"A": [[NAN, 1], [1, 1]]}),
    ("A", "infinite", {"A": [[INF, 1], [1, 1]]}),
    ("A", "sparse nan", {"A": sp.csr_array([[NAN, 1], [1, 1]])}),
    ("A", "complex", {"A": [[1j, 1], [1, 1]]}),
    ("A", "sparse complex", {"A": sp.csr_array([[1j, 1], [1, 1]])}),
    ("A", "operator", {"A": aslinearoperator(np.eye(2))}),
    ("A", "text", {"A": "rows"}),
    ("A", "None", {"A": None}),
    ("A", "too large", {"A": [[1e120, 1], [1, 1]]}),
    ("row_lower", "nan", {"row_lower": [NAN, 0]}),
    ("row_lower", "wrong length", {"row_lower": [0, 0, 0]}),
    ("row_lower", "inf below", {"row_lower": [INF, 0]}),
    ("row_lower", "1e20 below", {"row_lower": [1e20, 0]}),
    ("row_lower", "empty interval", {"row_lower": [0, 2.5]}),
    ("row_lower", "matrix", {"row_lower": [[0, 0]]}),
    ("row_lower", "text", {"row_lower": "low"}),
    ("row_upper", "nan", {"row_upper": [INF, NAN]}),
    ("row_upper", "wrong length", {"row_upper": [1]}),
    ("row_upper", "-inf above", {"row_upper": [-INF, 2]}),
    ("row_upper", "-1e25 above", {"row_upper": [-1e25, 2]}),
    ("row_upper", "complex", {"row_upper": [1j, 2]}),
    ("lower", "nan", {"lower": NAN}),
    ("lower", "wrong length", {"lower": [0, 0, 0]}),
    ("lower", "inf", {"lower": [0, INF]}),
    ("lower", "above upper", {"lower": [4, 0]}),
    ("lower", "True", {"lower": True}),
    ("upper", "nan", {"upper": [1, NAN]}),
    ("upper", "wrong length", {"upper": [1, 1, 1]}),
    ("upper", "-inf", {"upper": -INF}),
    ("upper", "text", {"upper": "free"}),
    ("offset", "nan", {"offset": NAN}),
    ("offset", "infinite", {"offset": INF}),
    ("offset", "text", {"offset": "0"}),
]


@pytest.mark.parametrize(("field", "what", "fields"), BAD, ids=[f"{f}-{w}" for f, w, _ in BAD])
def test_bad_data(field, what, fields):
    with pytest.raises(fejer.ProblemError, match=rf"^{field}\b"):
        fejer.LinearProgram(**{**GOOD, **fields})


def test_empty_interval_names_the_place():
    with pytest.raises(fejer.ProblemError, match=r"empty interval at \[1\]: 2.5 > 2"):
        fejer.LinearProgram(**{**GOOD, "row_lower": [0, 2.5]})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("A_ub", {"b_ub": [1]}),
        ("b_ub", {"A_ub": [[1, 1]]}),
        ("A_eq", {"b_eq": [1]}),
        ("b_eq", {"A_eq": [[1, 1]]}),
        ("A_ub", {"A_ub": [[1, 1, 1]], "b_ub": [1]}),
        ("b_ub", {"A_ub": [[1, 1]], "b_ub": [1, 2]}),
        ("b_ub", {"A_ub": [[1, 1]], "b_ub": [NAN]}),
        ("b_eq", {"A_eq": [[1, 1]], "b_eq": [INF]}),
        ("A_eq", {"A_eq": aslinearoperator(np.eye(2)), "b_eq": [1, 1]}),
        ("bounds", {"bounds": [(0, 1)] * 3}),
        ("bounds", {"bounds": (0, 1, 2)}),
        ("bounds", {"bounds": 3.0}),
        ("bounds", {"bounds": [0, (1, 2)]}),
        ("bounds", {"bounds": [(0, 1), ("a", 2)]}),
        ("bounds", {"bounds": [(0, 1), (NAN, 2)]}),
        ("lower", {"bounds": [(0, 1), (3, 2)]}),
        ("lower", {"bounds": [(0, 1), (INF, None)]}),
    ],
)
def test_bad_linprog_arguments(name, arguments):
    with pytest.raises(fejer.ProblemError, match=rf"^{name}\b"):
        fejer.LinearProgram.from_linprog([1, 1], **arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("m", {"m": 0}),
        ("m", {"m": 5, "n": 4}),
        ("n", {"m": 1, "n": 2.5}),
        ("density", {"density": 0}),
        ("density", {"density": 1.5}),
        ("upper", {"upper": 1.0}),
    ],
)
def test_bad_random_arguments(name, arguments):
    with pytest.raises(fejer.ProblemError, match=rf"^{name}\b"):
        fejer.LinearProgram.random(**arguments)


class Framed:
    """Like a pandas object: an array under another face."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def frozen(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


@pytest.mark.parametrize(
    "make",
    [
        lambda v: np.array(v, dtype=int),
        lambda v: np.array(v, dtype=np.float32),
        lambda v: np.array(v, dtype=np.float64),
        lambda v: np.array(v, dtype=object),
        lambda v: np.asfortranarray(v),
        lambda v: np.ascontiguousarray(v),
        lambda v: np.repeat(np.array(v), 2, axis=-1)[..., ::2],
        lambda v: np.array(v)[..., ::-1][..., ::-1],
        frozen,
        list,
        tuple,
        Framed,
        lambda v: sp.csr_array(v) if np.ndim(v) == 2 else v,
        lambda v: sp.csc_matrix(v) if np.ndim(v) == 2 else v,
        lambda v: sp.coo_array(v) if np.ndim(v) == 2 else v,
        lambda v: sp.lil_array(v) if np.ndim(v) == 2 else v,
    ],
)
def test_layouts(make):
    c, A, low, high, upper = [2, 3], [[1, 1], [1, -1]], [4, -2], [9, 2], [3, 5]
    given = [make(c), make(A), make(low), make(high), 0, make(upper)]
    before = [np.array(v) if isinstance(v, np.ndarray) else repr(v) for v in given]
    lp = fejer.LinearProgram(*given)
    result = fejer.minimize(lp)
    assert result.success and result.fun == pytest.approx(9.0) and result.x.dtype == np.float64
    for old, new in zip(before, given, strict=True):
        assert (np.array_equal(old, new)) if isinstance(new, np.ndarray) else old == repr(new)


def test_data_are_the_problem_s_own():
    low = np.array([1.0, -INF])
    lp = fejer.LinearProgram(**{**GOOD, "row_lower": low})
    low[0] = 7.0
    assert lp.row_lower[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        lp.row_lower[0] = 3.0


def test_duplicate_entries_add_up():
    A = sp.coo_array(([1.0, 1.0, 1.0], ([0, 0, 0], [0, 0, 1])), shape=(1, 2))
    lp = fejer.LinearProgram([1, 1], A, 4, INF, 0, INF)
    assert lp.A.toarray().tolist() == [[2.0, 1.0]]
    assert fejer.minimize(lp).fun == pytest.approx(2.0)


def test_large_bounds_are_none():
    lp = fejer.LinearProgram([1, 1], [[1, 1]], -1e20, 1e25, [-1e300, 0], [10**30, 5])
    assert lp.row_lower[0] == -INF and lp.row_upper[0] == INF
    assert lp.lower.tolist() == [-INF, 0] and lp.upper.tolist() == [INF, 5]
    again = lp.replace(c=[2, 3])
    assert again.lower is lp.lower and again.replace().fingerprint() == again.fingerprint()


def test_replace_keeps_facts():
    lp = fejer.LinearProgram.random()
    scales = lp.scales
    assert lp.replace(offset=1.0).scales is scales
    assert lp.replace(c=2 * lp.c).scales is not scales


def test_no_rows():
    for rows in (np.zeros((0, 2)), [], sp.csr_array((0, 2))):
        lp = fejer.LinearProgram([1.0, -1.0], rows, [], [], [-1, 0], 3)
        assert lp.A.shape == (0, 2)
        for method in ("highs", "pdhg"):
            result = fejer.minimize(lp, method=method)
            assert result.x.tolist() == [-1.0, 3.0] and result.success
        assert result.dual.size == 0 and result.certificate.rigorous
        assert lp.replace(c=[1.0, 1.0]).A.shape == (0, 2)
    falling = fejer.LinearProgram([-1.0], np.zeros((0, 1)), [], [], 0, INF)
    for method in ("highs", "pdhg"):
        assert fejer.minimize(falling, method=method).status is fejer.Status.UNBOUNDED


def test_bounds_of_linprog():
    make = fejer.LinearProgram.from_linprog
    assert make([1, 1]).lower.tolist() == [0, 0] and make([1, 1]).upper.tolist() == [INF, INF]
    assert make([1, 1], bounds=None).lower.tolist() == [0, 0]
    assert make([1, 1], bounds=[]).lower.tolist() == [0, 0]
    assert make([1, 1], bounds=[(None, 2)]).lower.tolist() == [-INF, -INF]
    assert make([1, 1], bounds=[(None, 2), (1, None)]).upper.tolist() == [2, INF]
    assert make([1, 1], bounds=np.array([[0, 1], [2, INF]])).lower.tolist() == [0, 2]
    assert make([1, 1], bounds=optimize.Bounds([0, 1], 4)).upper.tolist() == [4, 4]


def test_blocks_of_linprog():
    make = fejer.LinearProgram.from_linprog
    dense = make([1, 1], [[1, 2]], [3], [[4, 5]], [6])
    mixed = make([1, 1], sp.csr_array([[1, 2]]), [3], [[4, 5]], [6])
    for lp in (dense, mixed):
        assert np.array_equal(lp.A.toarray(), [[1, 2], [4, 5]])
        assert lp.row_lower.tolist() == [-INF, 6] and lp.row_upper.tolist() == [3, 6]
    assert mixed.A.is_sparse and not dense.A.is_sparse
    assert make([1, 1], np.zeros((0, 2)), []).A.shape == (0, 2)
    assert make([1, 1], [[1, 1]], [INF]).row_upper.tolist() == [INF]
