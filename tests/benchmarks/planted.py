"""Rivals that misbehave, a method whose work is known, and records made by hand."""

import textwrap
from dataclasses import dataclass

import numpy as np

import fejer
from fejer import method as contract
from fejer.benchmarks.suite import Contender, Instance, Peer, Suite
from fejer.method import Method

HALPERN = Contender("halpern")

RIVALS = textwrap.dedent(
    '''
    """Rivals for fixed points."""
    import os, time
    import numpy as np

    def solution(problem):
        return np.linalg.solve(np.eye(problem.n) - problem.T.A.toarray(), problem.T.b)

    def right(problem):
        x = solution(problem)
        return lambda tol: x

    def ladder(problem):                      # keeps its promise only if asked for very much
        x = solution(problem)
        return lambda tol: x + (0.0 if tol <= 1e-8 else 1.0)

    def wrong(problem):                       # the fastest of all, and wrong
        x = solution(problem) + 1e-3
        return lambda tol: x

    def nan(problem):
        return lambda tol: np.full(problem.n, np.nan)

    def shape(problem):
        return lambda tol: np.zeros(problem.n + 1)

    def text(problem):
        return lambda tol: "solved"

    def raises(problem):
        def solve(tol):
            raise ArithmeticError("cannot")
        return solve

    def refuses(problem):
        raise ValueError("not this one")

    def crashes(problem):
        calls = []
        def solve(tol):                       # the call before the clock succeeds
            if calls:
                os.abort()
            calls.append(tol)
            return solution(problem)
        return solve

    def hangs(problem):
        calls = []
        def solve(tol):
            while calls:
                time.sleep(0.05)
            calls.append(tol)
            return solution(problem)
        return solve

    def noisy(problem):                       # prints where the answers travel
        x = solution(problem)
        def solve(tol):
            print("solving", flush=True)
            os.write(1, b"from C, too")
            return x
        return solve
    '''
)


def rival(name, **fields):
    return Peer(name, f"rivals:{name}", "numpy", fields.pop("ladder", (1e-6, 1e-9)), **fields)


def suite(*peers, instances=None, contenders=(HALPERN,), **fields):
    """A suite of two tiny fixed points."""
    instances = instances or (Instance("FixedPoint", params={"n": 6}, label="tiny"),)
    settings = {"seeds": (0, 1), "max_time": 2.0, "repeats": 2} | fields
    return Suite("tests", "Tests", instances, contenders, peers, **settings)


@dataclass
class WorkerState(fejer.State):
    x: np.ndarray


def worker(work, iterations=1):
    """A method that burns ``work(n)`` additions and then knows the answer."""

    @dataclass(frozen=True, eq=False)
    class Worker(Method):
        """Known work."""

        name = "worker"
        solves = (fejer.FixedPoint,)

        def begin(self, problem, prep, start, rng):
            return WorkerState(start.x)

        def advance(self, problem, prep, state, n):
            total = 0
            for i in range(int(work(problem.n))):
                total += i
            state.nit += 1
            state.work += 1
            if state.nit >= iterations:
                state.x[:] = np.linalg.solve(np.eye(problem.n) - problem.T.A.toarray(), problem.T.b)
            return True

    return Worker


def install(monkeypatch, cls):
    """Register a method for one test alone."""
    monkeypatch.setitem(contract._REGISTER, (cls.name, cls.name), cls)


def record(solver, problem, seconds, *, holds=True, peer=False, nit=10, seed=0, **fields):
    """A record as `run_unit` makes them."""
    who = {"peer": {"name": solver}} if peer else {"contender": {"method": solver}}
    instance = {"problem": "FixedPoint", "make": "random", "params": {}, "label": problem}
    instance |= {"size": fields.pop("size", 0.0), "family": ""}
    job = {"suite": "tests", "instance": instance, "seed": seed, "tol": 1e-6, **who}
    value = 1e-7 if holds else 1e-2
    base = {
        "key": f"{solver}-{problem}-{seed}",
        "job": job,
        "fejer": "0",
        "machine": dict.fromkeys(
            ("processor", "cores", "system", "python", "numpy", "scipy", "numba"), "x"
        ),
        "load": 0.5,
        "jobs": 1,
        "status": "CONVERGED" if holds else "MAX_ITER",
        "claims": holds,
        "reason": "",
        "nit": 0 if peer else nit,
        "work": 0.0 if peer else float(nit),
        "times": {"wall": [seconds], "cpu": [seconds], "reference": [1e-3]},
        "fun": 0.0,
        "certificate": {"kind": "x", "value": value, "holds": holds, "rigorous": True},
        "trace": {}
        if peer
        else {
            "nit": [0, 1, 2, 4, 8, 16, 32],
            "work": [0, 1, 2, 4, 8, 16, 32],
            "time": [seconds * k / 32 for k in (0.1, 1, 2, 4, 8, 16, 32)],
            "fun": [0.0] * 7,
            "certificate": [2.0**-k for k in (0, 1, 2, 4, 8, 16, 32)],
        },
        "theorem": None,
    }
    return base | fields
