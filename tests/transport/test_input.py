"""What transport problems refuse, what they accept, and that they change nothing of it."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import fejer
from fejer import ProblemError

A, C = [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]]
NAN, INF = float("nan"), float("inf")

REFUSED = [
    # a, b
    ("a", dict(a=[1.0])),
    ("a", dict(a=[0.2, 0.3, 0.5])),
    ("a", dict(a=[[0.5, 0.5]])),
    ("a", dict(a=[0.5, NAN])),
    ("a", dict(a=[0.5, INF])),
    ("a", dict(a=[-0.5, 1.5])),
    ("a", dict(a=[0.0, 0.0])),
    ("a", dict(a=["x", "y"])),
    ("a", dict(a="uniform")),
    ("a", dict(a=[0.5j, 0.5])),
    ("a", dict(a=[1e-200, 1e-200])),
    ("a", dict(a=[1e200, 1e200])),
    ("a", dict(a=[])),
    ("a", dict(a={"x": 1})),
    ("b", dict(b=[1.0])),
    ("b", dict(b=[0.5, NAN])),
    ("b", dict(b=[-1e-9, 1.0])),
    ("b", dict(b=[0, 0])),
    ("b", dict(b=[[0.5], [0.5]])),
    ("b", dict(b={1.0})),
    ("a, b", dict(b=[0.5, 0.6])),
    ("a, b", dict(a=[0.5, 0.5 + 1e-8])),
    ("a, b", dict(a=[5, 5])),
    # cost
    ("cost", dict(cost=[0.0, 1.0])),
    ("cost", dict(cost=3.0)),
    ("cost", dict(cost=[[[0.0]]])),
    ("cost", dict(cost=[[0, 1], [1]])),
    ("cost", dict(cost=[[NAN, 1], [1, 0]])),
    ("cost", dict(cost=[[-INF, 1], [1, 0]])),
    ("cost", dict(cost=[[INF, INF], [1, 0]])),
    ("cost", dict(cost=[[INF, 1], [INF, 0]])),
    ("cost", dict(cost=[["a", "b"], ["c", "d"]])),
    ("cost", dict(cost=None)),
    ("cost", dict(cost=[[1e101, 1], [1, 0]])),
    ("cost", dict(cost=[[1e-101, 0], [0, 0]])),
    ("cost", dict(cost=np.zeros((0, 2)))),
    ("cost", dict(cost=sparse.eye_array(2))),
    ("cost", dict(cost=[[INF, 1.0], [1.0, 1.0]], a=[1.0, 0.0], b=[1.0, 0.0])),
    # eps
    ("eps", dict(eps=0)),
    ("eps", dict(eps=-1.0)),
    ("eps", dict(eps=NAN)),
    ("eps", dict(eps=INF)),
    ("eps", dict(eps="1")),
    ("eps", dict(eps=True)),
    ("eps", dict(eps=[1.0])),
    ("eps", dict(eps=1e-200)),
    ("eps, eps_rel", dict(eps=None)),
    ("eps, eps_rel", dict(eps=1.0, eps_rel=1.0)),
    ("eps_rel", dict(eps=None, eps_rel=0.0)),
    ("eps_rel", dict(eps=None, eps_rel=-0.1)),
    ("eps_rel", dict(eps=None, eps_rel=NAN)),
    ("eps_rel", dict(eps=None, eps_rel=0.1, cost=np.zeros((2, 2)))),
    ("eps_rel", dict(eps=None, eps_rel=0.1, cost=-np.ones((2, 2)))),
]


@pytest.mark.parametrize(("field", "changed"), REFUSED, ids=[repr(row)[:60] for row in REFUSED])
def test_bad_input_is_refused_by_name(field, changed):
    with pytest.raises(ProblemError, match=f"^{field}: "):
        fejer.EntropicOT(**{"a": A, "b": A, "cost": C, "eps": 1.0, **changed})


CLOUDS = [
    ("x", ([[NAN]], [[1.0]])),
    ("x", ([[INF]], [[1.0]])),
    ("x", ([], [[1.0]])),
    ("x", (1.0, [[1.0]])),
    ("x", ("points", [[1.0]])),
    ("x", ([[[1.0]]], [[1.0]])),
    ("x", ([[1.0], [1.0, 2.0]], [[1.0]])),
    ("y", ([[1.0, 2.0]], [[1.0]])),
    ("y", ([[1.0]], [[1.0, 2.0]])),
    ("y", ([[1.0]], None)),
    ("cost", ([1.0], [1.0], "manhattan")),
    ("cost", ([1.0], [1.0], 0.5)),
    ("cost", ([1.0], [1.0], 2.5)),
    ("cost", ([1.0], [1.0], NAN)),
    ("cost", ([1.0], [1.0], None)),
    ("x, y", ([1e60], [1.0])),
]


@pytest.mark.parametrize(("field", "arguments"), CLOUDS, ids=[repr(row)[:60] for row in CLOUDS])
def test_bad_points_are_refused_by_name(field, arguments):
    with pytest.raises(ProblemError, match=f"^{field}: "):
        fejer.PointCloud(*arguments)


class Frame:
    """Something like a table of another library."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def layouts():
    cost = np.arange(12.0).reshape(3, 4)
    read_only = cost.copy()
    read_only.flags.writeable = False
    return {
        "float": cost,
        "int": cost.astype(int),
        "float32": cost.astype(np.float32),
        "bool-like": cost.astype(np.uint8),
        "fortran": np.asfortranarray(cost),
        "read-only": read_only,
        "strided": np.repeat(cost, 2, axis=1)[:, ::2],
        "reversed": cost[::-1][::-1],
        "list": cost.tolist(),
        "tuple": tuple(map(tuple, cost)),
        "frame": Frame(cost),
        "object": cost.astype(object),
        "big-endian": cost.astype(">f8"),
    }


@pytest.mark.parametrize("name", list(layouts()))
def test_layouts_give_the_same_bytes(name):
    data = layouts()[name]
    kept = np.array(data, dtype=float)
    a = np.ones(3) / 3
    problem = fejer.EntropicOT(a, None, data, eps=2)
    reference = fejer.minimize(fejer.EntropicOT(a, None, kept, eps=2.0))
    assert fejer.minimize(problem).x.tobytes() == reference.x.tobytes()
    assert np.array_equal(np.array(data, dtype=float), kept)
    assert not problem.cost.flags.writeable and not problem.a.flags.writeable
    assert a.flags.writeable and (a == 1 / 3).all()
    if isinstance(data, np.ndarray) and name != "read-only":
        assert data.flags.writeable


def test_replace_keeps_the_data_and_their_facts():
    problem = fejer.EntropicOT.random()
    other = problem.replace(eps_rel=0.3)
    assert other.cost is problem.cost and other.a is problem.a
    assert other.polytope is problem.polytope
    assert other.epsilon == pytest.approx(0.3 * problem.cost.max())
    changed = problem.replace(cost=2 * problem.cost)
    assert changed.polytope is not problem.polytope
    assert changed.epsilon == pytest.approx(2 * problem.epsilon)


@pytest.mark.parametrize("lazy", [False, True])
def test_pickle_and_fingerprint(lazy):
    rng = np.random.default_rng(0)
    cost = fejer.PointCloud(rng.random((5, 2)), rng.random((4, 2))) if lazy else rng.random((5, 4))
    problem = fejer.EntropicOT(None, None, cost, eps=0.1)
    again = pickle.loads(pickle.dumps(problem))
    assert again.fingerprint() == problem.fingerprint()
    x = fejer.minimize(problem).x
    assert again.judge(x).value == problem.judge(x).value
    result = pickle.loads(pickle.dumps(fejer.minimize(problem)))
    assert result.plan.toarray() == pytest.approx(fejer.minimize(problem).plan.toarray(), abs=0)
    assert "EntropicOT" in repr(problem)
    if lazy:
        moved = fejer.PointCloud(cost.x + 1e-9, cost.y)
        assert problem.replace(cost=moved).fingerprint() != problem.fingerprint()
