"""Matrix against numpy and scipy on every kind of input, and the refusal of bad data."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from fejer.errors import OracleError, ProblemError
from fejer.numerics.matrix import Matrix

RNG = np.random.default_rng(0)
A = RNG.normal(size=(7, 5)) * (RNG.random((7, 5)) < 0.6)
A[:, 2] = 0.0
B = RNG.normal(size=(40, 30))
KINDS = {
    "C": lambda a: np.ascontiguousarray(a),
    "F": lambda a: np.asfortranarray(a),
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "list": lambda a: a.tolist(),
    "csc": sp.csc_array,
    "csr": sp.csr_array,
    "coo": sp.coo_matrix,
    "bsr": sp.bsr_array,
    "csc64": lambda a: csc64(a),
    "operator": aslinearoperator,
}


def csc64(a):
    """With 64-bit indices, unsorted, and each entry in two halves."""
    rows, cols = np.nonzero(a)
    order = np.random.default_rng(1).permutation(2 * rows.size)
    values = np.tile(a[rows, cols] / 2, 2)[order]
    coo = sp.coo_array((values, (np.tile(rows, 2)[order], np.tile(cols, 2)[order])), a.shape)
    starts = np.concatenate([[0], np.cumsum(np.bincount(coo.col, minlength=a.shape[1]))])
    order = np.argsort(coo.col, kind="stable")
    out = sp.csc_array(a.shape)
    out.indptr, out.indices = starts.astype(np.int64), coo.row[order].astype(np.int64)
    out.data = coo.data[order]
    out.has_canonical_format = False
    return out


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=[A, A.T, B], ids=["tall", "wide", "larger"])
def array(request):
    return request.param


def test_products_and_numbers(kind, array):
    X = Matrix.of(KINDS[kind](array))
    m, n = array.shape
    x, y = np.arange(n) - 2.0, np.arange(m) - 1.5
    assert X.shape == array.shape
    assert (X.is_sparse, X.is_operator) == (kind[:2] in ("cs", "co", "bs"), kind == "operator")
    close = np.testing.assert_allclose
    close(X.matvec(x), array @ x, atol=1e-12)
    close(X.rmatvec(y), array.T @ y, atol=1e-12)
    out = np.full(m, np.nan)
    assert X.matvec(x, out=out) is out
    close(out, array @ x, atol=1e-12)
    right, left = RNG.normal(size=(n, 3)), RNG.normal(size=(m, 2))
    close(X.matmat(right), array @ right, atol=1e-12)
    close(X.rmatmat(left), array.T @ left, atol=1e-12)
    close(X.toarray(), array, atol=1e-15)
    close(np.asarray(X), array, atol=1e-15)
    close(X.column_sq_norms(), (array**2).sum(axis=0), rtol=1e-13)
    close(X.row_sq_norms(), (array**2).sum(axis=1), rtol=1e-13)
    close(X.gram(), array.T @ array, atol=1e-12)
    close(X.frobenius(), np.linalg.norm(array), rtol=1e-13)
    chosen = [3, 0, 3, 2]
    close(X.columns(chosen).toarray(), array[:, chosen], atol=1e-15)
    close(X.columns(np.arange(n) % 2 == 0).toarray(), array[:, ::2], atol=1e-15)
    assert X.columns([]).shape == (m, 0)


def test_norms(kind, array):
    X = Matrix.of(KINDS[kind](array))
    true = np.linalg.norm(array, 2)
    assert true <= X.spectral_norm() <= true * (1 + 2e-6)
    assert true <= X.norm_bound() <= np.linalg.norm(array) * (1 + 1e-12)
    assert X.spectral_norm() == Matrix.of(KINDS[kind](array)).spectral_norm()


def test_spectral_norm_by_lanczos():
    singular = np.concatenate([[1.0, 0.999, 0.99], np.linspace(0.9, 0.0, 147)])
    U, V = (np.linalg.qr(RNG.normal(size=(k, 150)))[0] for k in (200, 160))
    X = Matrix.of(U * singular @ V.T)
    assert 1.0 <= X.spectral_norm() <= 1.0 + 2e-6


def test_moduli(kind, array):
    X = Matrix.of(KINDS[kind](array))
    x, y = RNG.normal(size=array.shape[1]), RNG.normal(size=array.shape[0])
    exact = np.abs(array) @ np.abs(x), np.abs(array).T @ np.abs(y)
    if kind == "operator":
        norm = np.linalg.norm(array, 2)
        exact = norm * np.linalg.norm(x), norm * np.linalg.norm(y)
    np.testing.assert_allclose(X.abs_matvec(x), np.broadcast_to(exact[0], y.shape), rtol=2e-6)
    np.testing.assert_allclose(X.abs_rmatvec(y), np.broadcast_to(exact[1], x.shape), rtol=2e-6)


def test_moduli_of_many_blocks():
    wide = RNG.normal(size=(300, 700))
    X = Matrix.of(wide)
    ones = np.ones(700), np.ones(300)
    np.testing.assert_allclose(X.abs_matvec(ones[0]), np.abs(wide).sum(axis=1))
    np.testing.assert_allclose(X.abs_rmatvec(ones[1]), np.abs(wide).sum(axis=0))


def test_sparse_arrays_are_canonical():
    for kind in ("csc", "csr", "coo", "csc64"):
        X = Matrix.of(KINDS[kind](A))
        csc, csr = sp.csc_array(A), sp.csr_array(A)
        for ours, theirs in ((X.csc, csc), (X.csr, csr)):
            assert ours.indptr.dtype == ours.indices.dtype == np.int32
            assert ours.indptr.tolist() == theirs.indptr.tolist()
            assert ours.indices.tolist() == theirs.indices.tolist()
            np.testing.assert_allclose(ours.data, theirs.data)
            assert not any(part.flags.writeable for part in ours)
        assert X.nnz == csc.nnz


def test_users_data_are_left_alone():
    for data in (np.asfortranarray(A), A.copy()):
        X = Matrix.of(data)
        assert data.flags.writeable and not X.dense.flags.writeable
        assert X.dense.flags.f_contiguous
    assert np.shares_memory(Matrix.of(F := np.asfortranarray(A)).dense, F)
    data = csc64(A)
    before = data.indices.copy(), data.data.copy()
    X = Matrix.of(data)
    assert np.array_equal(data.indices, before[0]) and np.array_equal(data.data, before[1])
    assert data.data.flags.writeable
    data = sp.csc_array(A)
    X = Matrix.of(data)
    assert np.shares_memory(X.csc.data, data.data) and data.data.flags.writeable
    assert Matrix.of(X) is X


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, bool])
def test_other_types_become_float64(dtype):
    data = (A > 0).astype(dtype)
    data.flags.writeable = False
    for one in (data, sp.csr_array(data)):
        X = Matrix.of(one)
        assert X.matvec(np.ones(5)).tolist() == data.sum(axis=1).tolist()
        assert X.native.dtype == np.float64


class Frame:
    """Like a table of pandas: known through __array__ only."""

    def __array__(self, dtype=None, copy=None):
        return A.astype(dtype or float)


def test_array_protocol():
    np.testing.assert_array_equal(Matrix.of(Frame()).dense, A)


def with_entry(value):
    data = A.copy()
    data[1, 1] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_entry(np.nan), r"A: has 1 entry that is nan or infinite"),
        (sp.csc_array(with_entry(np.inf)), r"A: has 1 entry that is nan or infinite"),
        (A[0], "A: expected a matrix"),
        (np.zeros((0, 3)), "A: expected at least one entry"),
        (sp.csc_array((0, 3)), "A: expected at least one entry"),
        (A + 1j, "A: expected a matrix of real numbers"),
        (sp.csr_array(A + 1j), "A: expected a matrix of real numbers"),
        (aslinearoperator(A + 1j), "A: expected a real operator"),
        ([["a"]], "A: expected a matrix of real numbers"),
        ([[1.0], [2.0, 3.0]], "A: expected a matrix"),
        (None, "A: expected a matrix"),
        (with_entry(1e101), "A: expected a largest modulus"),
        (sp.csc_array(A * 1e-110), "A: expected a largest modulus"),
    ],
)
def test_bad_data(data, message):
    with pytest.raises(ProblemError, match=message):
        Matrix.of(data, "A")


def test_shape_is_checked(kind):
    data = KINDS[kind](A)
    assert Matrix.of(data, shape=(-1, 5)).shape == (7, 5)
    with pytest.raises(ProblemError, match=r"X: expected shape \(any, 4\), got \(7, 5\)"):
        Matrix.of(data, shape=(-1, 4))


def test_vectors_of_wrong_length_are_refused():
    for data in (A, sp.csc_array(A)):
        with pytest.raises(ValueError):
            Matrix.of(data).matvec(np.ones(4))
        with pytest.raises(ValueError):
            Matrix.of(data).rmatvec(np.ones(8))
    bad = LinearOperator((3, 2), matvec=lambda v: np.ones(3), rmatvec=lambda v: np.ones(2))
    bad.matvec = lambda v: np.ones(4)
    with pytest.raises(OracleError, match=r"matvec: expected shape \(3,\)"):
        Matrix.of(bad).matvec(np.ones(2))


def test_forms_that_do_not_exist():
    with pytest.raises(TypeError, match="is not sparse"):
        _ = Matrix.of(A).csc
    with pytest.raises(TypeError, match="toarray"):
        _ = Matrix.of(sp.csc_array(A)).dense


def test_facts_are_built_once_and_shared_by_key():
    X = Matrix.of(A)
    calls = []
    for _ in range(3):
        assert X.fact(("a", 1), lambda: calls.append(1) or 5) == 5
    assert calls == [1]
    assert X.gram() is X.gram() and not X.gram().flags.writeable


@pytest.mark.parametrize("kind", ["C", "csc", "csr", "operator"])
def test_pickle_and_deepcopy(kind):
    X = Matrix.of(KINDS[kind](A))
    X.spectral_norm()
    for twin in (pickle.loads(pickle.dumps(X)), copy.deepcopy(X)):
        assert twin._facts == {}
        assert twin.fingerprint() == X.fingerprint()
        np.testing.assert_array_equal(twin.toarray(), X.toarray())
        if kind == "C":
            assert twin.dense.flags.f_contiguous and not twin.dense.flags.writeable
        elif kind != "operator":
            assert not any(part.flags.writeable for part in (*twin.csc, *twin.csr))


def test_fingerprint_tells_data_apart(kind):
    same, other = Matrix.of(KINDS[kind](A)), Matrix.of(KINDS[kind](A * (1 + 1e-15)))
    assert same.fingerprint() == Matrix.of(KINDS[kind](A)).fingerprint() != other.fingerprint()


def test_repr():
    assert repr(Matrix.of(A)) == "<Matrix 7 x 5, dense>"
    assert repr(Matrix.of(sp.csc_array(np.eye(3)))) == "<Matrix 3 x 3, sparse, 3 entries>"
    assert repr(Matrix.of(aslinearoperator(A))) == "<Matrix 7 x 5, operator>"


def test_dense_matrices_need_numpy_alone():
    program = (
        "import sys\nfrom fejer.numerics.matrix import Matrix\n"
        "X = Matrix.of([[1, 2], [3, 4]]); X.matvec([1, 1]); X.abs_rmatvec(X.rmatvec([1, 1]))\n"
        "X.spectral_norm(); print({'scipy', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr


def test_sparse_products_have_one_specialisation_each():
    from fejer.numerics.compressed import csc_matvec, csc_rmatvec

    X = Matrix.of(sp.csc_array(A))
    X.matvec(np.ones(5)), X.rmatvec(np.ones(7))
    known = len(csc_matvec.signatures), len(csc_rmatvec.signatures)  # other tests may add theirs
    frozen = np.ones(5)
    frozen.flags.writeable = False
    X.matvec(frozen), X.matvec(np.ones(5)), X.abs_matvec(np.ones(5))
    X.rmatvec(np.ones(7)), X.abs_rmatvec(np.ones(7))
    assert (len(csc_matvec.signatures), len(csc_rmatvec.signatures)) == known
