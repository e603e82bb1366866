"""What matrix completion refuses, with the field's name in the error, and what it takes."""

import numpy as np
import pytest
import scipy.sparse

import fejer
from fejer import MatrixCompletion, ProblemError

NAN, INF = float("nan"), float("inf")
GOOD = {"rows": [0, 1, 2], "cols": [1, 0, 3], "values": [1.0, 2.0, 3.0], "shape": (5, 4), "rank": 1}

BAD = [
    ("rows", [0, 1]),
    ("rows", [[0, 1, 2]]),
    ("rows", [0, 1, 7]),
    ("rows", [0, 1, 5]),
    ("rows", [0, -1, 2]),
    ("rows", [0, 1.5, 2]),
    ("rows", [0, NAN, 2]),
    ("rows", [0, INF, 2]),
    ("rows", ["0", "1", "2"]),
    ("rows", [True, False, True]),
    ("rows", None),
    ("rows", 0),
    ("rows", [[0], [1, 2]]),
    ("rows", [0, 1, 2**40]),
    ("cols", [1, 0]),
    ("cols", [1, 0, 4]),
    ("cols", [1, 0, -4]),
    ("cols", [1, 0, 0.1]),
    ("cols", [1, 0, 1 + 2j]),
    ("cols", {"a": 1}),
    ("values", [1.0, 2.0]),
    ("values", []),
    ("values", [[1.0, 2.0, 3.0]]),
    ("values", [1.0, NAN, 3.0]),
    ("values", [1.0, INF, 3.0]),
    ("values", [1.0, 2.0, 1e101]),
    ("values", [1e-101, 0.0, 0.0]),
    ("values", "abc"),
    ("values", [1.0, 2.0, "3"]),
    ("values", [1j, 2, 3]),
    ("values", None),
    ("shape", (5,)),
    ("shape", (5, 4, 3)),
    ("shape", (5, 0)),
    ("shape", (-5, 4)),
    ("shape", (5.5, 4)),
    ("shape", 5),
    ("shape", "54"),
    ("shape", (5, "4")),
    ("shape", (5, NAN)),
    ("shape", (5, 2**31)),
    ("shape", None),
    ("rank", 0),
    ("rank", -1),
    ("rank", 5),
    ("rank", 1.5),
    ("rank", "all"),
    ("rank", NAN),
    ("rank", True),
    ("rank", None),
    ("reg", -1e-9),
    ("reg", NAN),
    ("reg", INF),
    ("reg", "0"),
    ("reg", None),
    ("reg", [1.0]),
    ("loss", "l2"),
    ("loss", "l1"),
    ("loss", None),
    ("loss", 1),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_field(field, value):
    named = "rows|values" if field == "values" else field
    with pytest.raises(ProblemError, match=rf"^({named}):"):
        MatrixCompletion(**{**GOOD, field: value})


def test_out_of_range_says_where():
    with pytest.raises(ProblemError, match=r"rows: 7 is out of range for shape \(5, 4\)"):
        MatrixCompletion(**{**GOOD, "rows": [0, 7, 1]})


@pytest.mark.parametrize(
    ("build", "data"),
    [
        ("from_masked", [[NAN, NAN], [NAN, NAN]]),
        ("from_masked", [[1.0, INF], [NAN, 2.0]]),
        ("from_masked", [1.0, 2.0]),
        ("from_masked", "text"),
        ("from_masked", [[1.0], [2.0, 3.0]]),
        ("from_masked", np.zeros((0, 3))),
        ("from_sparse", np.eye(3)),
        ("from_sparse", scipy.sparse.coo_array((3, 4))),
        ("from_sparse", scipy.sparse.coo_array(np.array([[1.0, NAN]]))),
        ("from_sparse", None),
    ],
)
def test_bad_matrix(build, data):
    with pytest.raises(ProblemError, match=r"^(M|S):"):
        getattr(MatrixCompletion, build)(data, 1)


@pytest.mark.parametrize(
    "options", [{"options": {"start": "warm"}}, {"options": {"starts": "random"}}]
)
def test_bad_option(options):
    with pytest.raises(fejer.OptionError, match="start"):
        fejer.minimize(MatrixCompletion.random(), method="als", **options)


class Frame:
    """Has __array__, as the objects of pandas have."""

    def __init__(self, data):
        self.data = np.asarray(data)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)


def read_only(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


LAYOUTS = {
    "list": list,
    "tuple": tuple,
    "int64": lambda a: np.array(a, dtype=np.int64),
    "uint8": lambda a: np.array(a, dtype=np.uint8),
    "float32": lambda a: np.array(a, dtype=np.float32),
    "read-only": read_only,
    "read-only int32": lambda a: read_only(np.array(a, dtype=np.int32)),
    "every second": lambda a: np.repeat(a, 2)[::2],
    "reversed twice": lambda a: np.array(a)[::-1].copy()[::-1],
    "column": lambda a: np.asfortranarray(np.array([a, a]).T)[:, 0],
    "frame": Frame,
    "objects": lambda a: np.array(a, dtype=object),
}


@pytest.mark.parametrize("field", ["rows", "cols", "values"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, field):
    if layout == "objects" and field != "values":
        return
    given = LAYOUTS[layout](GOOD[field])
    before = np.array(given)
    problem = MatrixCompletion(**{**GOOD, field: given})
    plain = MatrixCompletion(**GOOD)
    assert problem.fingerprint() == plain.fingerprint()
    assert fejer.minimize(problem).x.tobytes() == fejer.minimize(plain).x.tobytes()
    np.testing.assert_array_equal(np.array(given), before)
    if isinstance(given, np.ndarray) and layout not in ("read-only", "read-only int32"):
        assert given.flags.writeable
        given[...] = 1
        assert problem.fingerprint() == plain.fingerprint()


def test_numpy_numbers_and_lists_for_shape():
    for shape in ([5, 4], (np.int64(5), np.int32(4)), np.array([5, 4])):
        assert MatrixCompletion(**{**GOOD, "shape": shape}).shape == (5, 4)
    assert MatrixCompletion(**{**GOOD, "rank": np.int64(2)}).rank == 2


@pytest.mark.parametrize("kind", ["coo", "csr", "csc", "lil"])
@pytest.mark.parametrize("box", ["array", "matrix"])
def test_sparse(kind, box):
    S = scipy.sparse.random(8, 6, 0.4, format=kind, random_state=0)
    if box == "array":
        S = getattr(scipy.sparse, f"{kind}_array")(S)
    dense = S.toarray()
    problem = MatrixCompletion.from_sparse(S, 2, reg=0.1)
    again = np.zeros((8, 6))
    again[problem.rows, problem.cols] = problem.values
    np.testing.assert_array_equal(again, dense)
    np.testing.assert_array_equal(S.toarray(), dense)


def test_sparse_duplicates_and_stored_zeros():
    S = scipy.sparse.coo_array(([1.0, 2.0, 0.0], ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    problem = MatrixCompletion.from_sparse(S, 1)
    assert problem.values.tolist() == [3.0, 0.0]
    assert S.nnz == 3


def test_masked_array():
    M = np.ma.masked_array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    problem = MatrixCompletion.from_masked(M, 1)
    assert problem.values.tolist() == [1.0, 3.0, 4.0]


def test_random_is_reproducible_and_distinct():
    for count in (None, 30, 599, 600):
        first, second = (MatrixCompletion.random(count=count, seed=4) for _ in range(2))
        assert first.fingerprint() == second.fingerprint()
        assert np.unique(first.rows * 20 + first.cols).size == first.values.size == (count or 384)
    other = MatrixCompletion.random(2000, 1000, 2, 5000, kappa=10)
    assert np.unique(other.rows.astype(int) * 1000 + other.cols).size == 5000
