"""FixedPoint: what it refuses by name, what it accepts, and how it is stored."""

import math
import pickle

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import fejer
from fejer.errors import FejerError, OptionError, ProblemError

A = np.array([[0.0, -0.5], [0.5, 0.0]])
B = np.array([1.0, 0.0])

BAD = [
    ("T", dict(T=None, n=2)),
    ("T", dict(T=3.0, n=2)),
    ("n", dict(n=0)),
    ("n", dict(n=-1)),
    ("n", dict(n=1.5)),
    ("n", dict(n="2")),
    ("n", dict(n=True)),
    ("n", dict(n=math.nan)),
    ("n", dict(n=math.inf)),
    ("n", dict(n=None)),
    ("operator", dict(operator="expansive")),
    ("operator", dict(operator=None)),
    ("operator", dict(operator=["nonexpansive"])),
    ("factor", dict(factor=0.5)),
    ("factor", dict(operator="contraction")),
    ("factor", dict(operator="averaged")),
    ("factor", dict(operator="contraction", factor=0.0)),
    ("factor", dict(operator="contraction", factor=1.0)),
    ("factor", dict(operator="contraction", factor=-0.5)),
    ("factor", dict(operator="averaged", factor=1.5)),
    ("factor", dict(operator="averaged", factor=math.nan)),
    ("factor", dict(operator="averaged", factor="half")),
    ("scale", dict(scale=0.0)),
    ("scale", dict(scale=-1.0)),
    ("scale", dict(scale=math.nan)),
    ("scale", dict(scale=math.inf)),
    ("scale", dict(scale=1e-200)),
    ("scale", dict(scale="1")),
]


@pytest.mark.parametrize(("field", "arguments"), BAD, ids=[f"{f}-{a}" for f, a in BAD])
def test_bad_field(field, arguments):
    with pytest.raises(ProblemError, match=f"^{field}: "):
        fejer.FixedPoint(**{"T": np.cos, "n": 2, **arguments})


BAD_AFFINE = [
    ("A", np.ones((2, 3)), [1.0, 1.0]),
    ("A", np.ones(2), [1.0, 1.0]),
    ("A", [[math.nan, 0.0], [0.0, 0.0]], [1.0, 1.0]),
    ("A", [[math.inf, 0.0], [0.0, 0.0]], [1.0, 1.0]),
    ("A", [["a", "b"], ["c", "d"]], [1.0, 1.0]),
    ("A", np.ones((2, 2)) * 1j, [1.0, 1.0]),
    ("A", [[1e200, 0.0], [0.0, 0.0]], [1.0, 1.0]),
    ("A", np.zeros((0, 0)), []),
    ("A", None, [1.0]),
    ("b", A, [1.0]),
    ("b", A, [1.0, math.nan]),
    ("b", A, [[1.0, 2.0]]),
    ("b", A, "ab"),
    ("b", A, [1e-200, 0.0]),
    ("b", A, np.array([1.0, 1j])),
]


@pytest.mark.parametrize(("field", "M", "b"), BAD_AFFINE)
def test_bad_affine_data(field, M, b):
    with pytest.raises(ProblemError, match=f"^{field}: "):
        fejer.FixedPoint.affine(M, b)


def test_size_of_an_affine_map_is_checked():
    with pytest.raises(ProblemError, match=r"^n: "):
        fejer.FixedPoint.affine(A, B).replace(n=3)


class Frame:
    """What pandas objects look like to us."""

    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)


def read_only(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


LAYOUTS = {
    "list": (A.tolist(), B.tolist()),
    "float32": (A.astype(np.float32), B.astype(np.float32)),
    "fortran": (np.asfortranarray(A), B),
    "read-only": (read_only(A), read_only(B)),
    "strided": (np.kron(A, np.ones((2, 2)))[::2, ::2], np.repeat(B, 2)[::2]),
    "csr": (scipy.sparse.csr_array(A), B),
    "coo": (scipy.sparse.coo_matrix(A), B),
    "operator": (scipy.sparse.linalg.aslinearoperator(A), B),
    "pandas-like": (Frame(A), Frame(B)),
    "integers": (A, np.array([1, 0])),
}


@pytest.mark.parametrize("method", ["averaged", "halpern", "anderson"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts(layout, method):
    M, b = LAYOUTS[layout]
    before = np.array(b)
    result = fejer.minimize(fejer.FixedPoint.affine(M, b), method=method, tol=1e-9)
    assert result.x == pytest.approx([0.8, 0.4], abs=1e-8)
    assert (np.array(b) == before).all()


def test_operator_without_entries():
    """A product alone is enough; the floor then uses the norm."""
    operator = scipy.sparse.linalg.LinearOperator((2, 2), lambda x: A @ x, lambda x: A.T @ x)
    operator.dtype = np.dtype(float)
    assert fejer.minimize(fejer.FixedPoint.affine(operator, B), method="halpern").success


def test_pickling_and_fingerprint():
    problem = fejer.FixedPoint.random(5)
    other = pickle.loads(pickle.dumps(problem))
    x = np.ones(5)
    assert other.judge(x).value == problem.judge(x).value
    assert other.fingerprint() == problem.fingerprint()
    assert fejer.FixedPoint.random(5, seed=1).fingerprint() != problem.fingerprint()
    assert not other.T.b.flags.writeable
    assert "FixedPoint" in repr(problem)


def test_checkpoint_of_other_data_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    fejer.minimize(fejer.FixedPoint.random(5), method="halpern", max_iter=5, checkpoint=file)
    with pytest.raises(FejerError, match="other data"):
        fejer.minimize(fejer.FixedPoint.random(5, seed=1), method="halpern", checkpoint=file)


def test_unknown_option_is_named():
    with pytest.raises(OptionError, match="anchor"):
        fejer.minimize(
            fejer.FixedPoint.affine(A, B), method="halpern", options={"anker": "classic"}
        )
