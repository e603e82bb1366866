"""The front door: argument handling, and nothing else."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .driver import Run
from .errors import OptionError, ProblemError
from .evidence import EMPTY, Array, Certificate, Status
from .method import Method
from .problem import Problem, as_vector
from .result import Path, Result
from .state import State

__all__ = ["Path", "Step", "minimize", "path", "solve", "steps", "verify"]


def minimize(
    problem: Problem | Callable[..., Any],
    x0: npt.ArrayLike | Result | None = None,
    *,
    method: str | Method | type[Method] = "auto",
    tol: float = 1e-6,
    max_iter: int = 1_000_000,
    max_time: float = math.inf,
    max_work: float = math.inf,
    rng: int | np.random.Generator = 0,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    progress: bool = False,
    trace: Literal["auto", "every"] = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    jac: Any = None,
    hess: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    args: tuple[Any, ...] = (),
) -> Result:
    """Solve a problem and return its best point with the problem's own certificate of it.

    ``min over x of f(x)`` for a problem of any class, or of a callable as in `scipy.optimize`.

    Parameters
    ----------
    problem : Problem or callable
        An instance of a problem class; or a function of one vector, with ``jac``, ``hess``,
        ``bounds``, ``constraints`` and ``args`` beside it.
    x0 : array_like, Result or None
        Where to start. A Result of the same class is a warm start with point and witness. None:
        the problem's initial point.
    method : str, Method or type, default "auto"
        A name of `fejer.methods`; "auto" takes the problem's first choice and falls back on the
        next one where it stalls or fails.
    tol : float, default 1e-6
        Compared with ``certificate.value`` and with nothing else.
    max_iter : int, default 1000000
        Limit of iterations.
    max_time : float, default inf
        Limit of seconds; the only input that lets the answer depend on the machine.
    max_work : float, default inf
        Limit of passes over the data.
    rng : int or numpy.random.Generator, default 0
        Seed; a generator gives one integer, which the result stores.
    callback : callable, optional
        ``callback(intermediate_result)`` gets a Result with ``x, fun, nit, work, time,
        certificate`` at each judgement and for the final point; a parameter of any other name
        gets a copy of ``x``. Raise StopIteration to stop.
    options : mapping, optional
        Options of the method.
    progress : bool, default False
        Show a bar: the share of log(certificate) done.
    trace : {"auto", "every"}, default "auto"
        How often the certificate is taken; "every": at each iteration.
    checkpoint : path, optional
        Continue this file if it exists; write it every 10 s and at the end.
    jac, hess, bounds, constraints, args
        As in `scipy.optimize.minimize`, for a callable only. Missing derivatives are central
        differences.

    Returns
    -------
    Result
        ``success`` is True exactly when the certificate holds within ``tol``.

    Raises
    ------
    ProblemError
        The data or ``x0`` are not what the class expects.
    MethodError
        No such method, or one that does not treat this problem.
    OptionError
        An unknown option or a value out of bounds.
    CheckpointError
        The checkpoint belongs to another run, or is broken.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.FixedPoint.affine([[0.0, -0.5], [0.5, 0.0]], [1.0, 0.0])
    >>> result = fejer.minimize(problem, tol=1e-10)
    >>> result.success
    True
    >>> result.x.round(6)
    array([0.8, 0.4])
    """
    beside = {"jac": jac, "hess": hess, "bounds": bounds}
    if isinstance(problem, Problem):
        given = [name for name, value in beside.items() if value is not None]
        given += ["constraints"] if not _is_empty(constraints) else []
        given += ["args"] if args != () else []
        if given:
            raise OptionError(f"{given[0]}: goes with a callable, not with a problem")
        made = problem
    elif callable(problem) and not isinstance(problem, type):
        from .problems.smooth_problem import from_callable

        made = from_callable(problem, x0, constraints=constraints, args=args, **beside)
        x0 = None if not isinstance(x0, Result) else x0
    else:
        got = problem.__name__ if isinstance(problem, type) else type(problem).__name__
        raise ProblemError(f"problem: expected a Problem or a callable, got {got}")
    run = Run(
        made,
        x0,
        method=method,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        max_work=max_work,
        rng=rng,
        callback=callback,
        options=options,
        progress=progress,
        trace=trace,
        checkpoint=checkpoint,
    )
    return run.solve()


solve = minimize


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, tuple | list) and len(value) == 0)


def verify(problem: Problem, x: npt.ArrayLike | Result) -> Certificate:
    """Compute the certificate of a point again, from the problem's data alone.

    Parameters
    ----------
    problem : Problem
        The problem.
    x : array_like or Result
        A point; a Result brings its witness, which is checked and never trusted.

    Returns
    -------
    Certificate

    Raises
    ------
    ProblemError
        ``problem`` is no Problem, or ``x`` has another shape than its variable.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.FixedPoint.affine([[0.5]], [1.0])
    >>> fejer.verify(problem, [2.0]).holds(1e-12)
    True
    """
    if not isinstance(problem, Problem):
        raise ProblemError(f"problem: expected a Problem, got {type(problem).__name__}")
    given: Any = x
    witness: Mapping[str, Array] = EMPTY
    if isinstance(x, Result):
        given, witness = x["x"], x.get("witness", EMPTY)
    point = as_vector(given, "x", finite=False, nan=True)
    if point.size != problem.size:
        raise ProblemError(f"x: expected shape ({problem.size},), got {point.shape}")
    return problem.judge(point, witness)


def path(
    problem: Problem,
    *,
    method: str | Method | type[Method] = "auto",
    tol: float = 1e-6,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 1_000_000,
    max_time: float = math.inf,
    rng: int | np.random.Generator = 0,
    ratio: float = 1e-2,
    **field: int | Sequence[float] | Array,
) -> Path:
    """Solve for a sequence of values of one field, each started from the solution before.

    Parameters
    ----------
    problem : Problem
        The problem; its own value of the field does not matter.
    method, tol, options, max_iter, max_time, rng
        As in `fejer.minimize`; ``max_time`` is for the whole path.
    ratio : float, default 0.01
        Smallest value over the largest, where a number of values is given.
    **field
        Exactly one field of the problem: an int for that many geometric values from
        ``problem.<field>_max()`` down, or the values themselves.

    Returns
    -------
    Path
        With ``values, x, results, certificates``; shorter than asked after an interrupt or when
        the time is up.

    Raises
    ------
    ProblemError
        Not exactly one field, or an int where the problem cannot tell the largest value.

    Examples
    --------
    >>> import fejer
    >>> path = fejer.path(fejer.Lasso.random(), lam=5)
    >>> len(path), path.success
    (5, True)
    """
    if not isinstance(problem, Problem):
        raise ProblemError(f"problem: expected a Problem, got {type(problem).__name__}")
    if len(field) != 1:
        raise ProblemError(f"path: expected exactly one field, got {', '.join(field) or 'none'}")
    ((name, wanted),) = field.items()
    if not hasattr(problem, name):
        raise ProblemError(f"{type(problem).__name__} has no field {name!r}")
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        largest = getattr(problem, f"{name}_max", None)
        if largest is None:
            raise ProblemError(
                f"{name}: give the values, {type(problem).__name__} has no largest one"
            )
        if wanted < 1 or not 0 < ratio < 1:
            text = f"got {wanted} and ratio {ratio!r}"
            raise ProblemError(f"{name}: expected a number >= 1 and 0 < ratio < 1, {text}")
        top = float(largest())
        if not top > 0:
            raise ProblemError(f"{name}: give the values, the largest one of this problem is {top}")
        values: list[Any] = np.geomspace(top, top * ratio, int(wanted)).tolist()
    else:
        values = list(wanted)  # type: ignore[arg-type]
    if isinstance(rng, np.random.Generator):
        rng = int(rng.integers(2**63))
    results: list[Result] = []
    left = max_time
    for value in values:
        result = minimize(
            problem.replace(**{name: value}),
            results[-1] if results else None,
            method=method,
            tol=tol,
            options=options,
            max_iter=max_iter,
            max_time=left,
            rng=rng,
        )
        left = max(0.0, left - result.time)
        if result.status in (Status.INTERRUPTED, Status.MAX_TIME):
            break
        results.append(result)
    return Path(name, values[: len(results)], results)


class Step(NamedTuple):
    """One iteration, as `fejer.steps` yields it: copies, which the caller may keep.

    Attributes
    ----------
    nit : int
        Iterations made.
    x : array
        The point.
    fun : float
        The objective.
    certificate : Certificate
        The verdict on ``x``.
    witness : mapping
        What the verdict was built on.
    state : State
        The method's state.
    """

    nit: int
    x: Array
    fun: float
    certificate: Certificate
    witness: Mapping[str, Array]
    state: State


def steps(
    problem: Problem,
    method: str | Method | type[Method] = "auto",
    x0: npt.ArrayLike | Result | None = None,
    *,
    tol: float = 1e-6,
    max_iter: int = 1000,
    options: Mapping[str, Any] | None = None,
    rng: int | np.random.Generator = 0,
) -> Iterator[Step]:
    """Yield every iteration of a run, the start included, for teaching and for looking closely.

    Parameters
    ----------
    problem, method, x0, tol, max_iter, options, rng
        As in `fejer.minimize`.

    Yields
    ------
    Step
        ``nit, x, fun, certificate, witness, state``.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.FixedPoint.affine([[0.5]], [1.0])
    >>> [round(float(step.x[0]), 3) for step in fejer.steps(problem, "averaged", max_iter=3)]
    [0.0, 0.5, 0.875, 1.156]
    """
    run = Run(
        problem,
        x0,
        method=method,
        tol=tol,
        max_iter=max_iter,
        options=options,
        rng=rng,
        trace="every",
    )
    run.open()
    while True:
        run.judge("planned")
        x, certificate = run.last
        witness = {key: np.array(value) for key, value in certificate.witness.items()}
        state = copy.deepcopy(run.state)
        yield Step(run.nit, np.array(x), certificate.fun, certificate, witness, state)
        nit, place = run.state.nit, run.place
        while run.status is None and (run.state.nit, run.place) == (nit, place):
            reason = run.forward(nit + 1)
            if reason != "planned":
                run.judge(reason)
        if run.status is not None:
            return
