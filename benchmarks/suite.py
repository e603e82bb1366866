"""Recipes: what is run against what. Plain values, so that a recipe can be stored and sent."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import fejer
from fejer.errors import FejerError
from fejer.problem import Problem

__all__ = ["Contender", "Instance", "Peer", "Suite"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """Recipe of a problem.

    Attributes
    ----------
    problem : str
        Public name of the class.
    make : str
        A class method, or ``"module:function"``; called with ``params``, and with ``seed`` where it
        takes one.
    params : dict
        Its arguments: plain values, so that the recipe can be stored.
    label : str
        How tables call it; default: class and parameters.
    size : float
        The size on the axis of scaling curves; 0 where there is none.
    family : str
        Which scaling curve the instance belongs to, among those with a size.
    """

    problem: str
    make: str = "random"
    params: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    size: float = 0.0
    family: str = ""

    def build(self, seed: int) -> Problem:
        """Build the instance; one seed, one instance, where anything is drawn."""
        make = self._maker()
        made = make(**self.params, **({"seed": seed} if _seeded(make) else {}))
        cls = getattr(fejer, self.problem)
        if not isinstance(made, cls):
            raise FejerError(f"{self.make} made {type(made).__name__}, expected {self.problem}")
        return made  # type: ignore[no-any-return]

    def _maker(self) -> Any:
        if ":" in self.make:
            module, _, name = self.make.partition(":")
            return getattr(importlib.import_module(module), name)
        return getattr(getattr(fejer, self.problem), self.make)

    @property
    def drawn(self) -> bool:
        """Whether seeds make a difference: data that were measured have none."""
        try:
            return _seeded(self._maker())
        except Exception:  # building it will say what is wrong
            return True

    @property
    def name(self) -> str:
        """The label, or class and parameters."""
        parts = ", ".join(f"{k}={v}" for k, v in self.params.items())
        return self.label or f"{self.problem}({parts})"


def _seeded(make: Any) -> bool:
    return "seed" in inspect.signature(make).parameters


@dataclass(frozen=True)
class Contender:
    """One of our methods with its options.

    Attributes
    ----------
    method : str
        Name of the method.
    options : dict
        Its options.
    label : str
        How tables call it; default: the method and its options.
    problems : tuple of str
        Classes that it is run on, in a suite that mixes some; empty: all.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The label, or method and options."""
        parts = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return self.label or (f"{self.method} ({parts})" if parts else self.method)


@dataclass(frozen=True)
class Peer:
    """A rival library.

    Attributes
    ----------
    name : str
        How tables call it.
    call : str
        ``"module:function"``. ``function(problem)`` prepares, untimed, and returns
        ``solve(tol)``, timed, which returns x or (x, witness) in the problem's own packing and is
        called once before the clock, so that nobody pays for imports and compilation.
    requires : str
        The module whose absence skips the peer, with that reason.
    ladder : tuple of float
        Its tolerances, loosest first: the first one at which our certificate holds counts, and
        the time of that run alone.
    distribution : str
        Name of the package whose version is recorded; default: ``requires``.
    problems : tuple of str
        Classes that it is run on, in a suite that mixes some; empty: all.
    """

    name: str
    call: str
    requires: str
    ladder: tuple[float, ...]
    distribution: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """What is run against what.

    Attributes
    ----------
    name, title : str
        Name on the command line, and heading of the report.
    instances : tuple of Instance
        Real data first.
    contenders : tuple of Contender
        Ours.
    peers : tuple of Peer
        Theirs.
    seeds : tuple of int
        Each instance is built once for each.
    tol : float
        Accuracy that a run must be certified to.
    max_time : float
        Seconds that one run may take.
    max_iter : int
        Limit of iterations.
    repeats : int
        Timed runs; the minimum is quoted, all are kept.
    memory : bool
        Measure peak memory of the instances with a size, each run in a fresh process.
    rates : bool
        Follow the quantity that the theorem bounds, where a method has such a theorem, on the first
        seed.
    all_solved : bool
        ``bench run`` fails unless each of our runs is certified.
    notes : str
        What a reader of the report must know.
    """

    name: str
    title: str
    instances: tuple[Instance, ...]
    contenders: tuple[Contender, ...]
    peers: tuple[Peer, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    tol: float = 1e-6
    max_time: float = 10.0
    max_iter: int = 10**6
    repeats: int = 3
    memory: bool = False
    rates: bool = False
    all_solved: bool = False
    notes: str = ""

    def jobs(self, *, peers: bool = False) -> Iterator[Record]:
        """Yield every run as a plain dict, contenders innermost.

        Parameters
        ----------
        peers : bool, default False
            The rivals too.
        """
        limits = {k: getattr(self, k) for k in ("tol", "max_time", "max_iter", "repeats")}
        for instance in self.instances:
            for seed in self.seeds if instance.drawn else self.seeds[:1]:
                shared = {"suite": self.name, "instance": asdict(instance), "seed": seed, **limits}
                first = seed == self.seeds[0]
                shared["rates"] = self.rates and first
                shared["memory"] = self.memory and first and instance.size > 0
                for contender in self.contenders:
                    if instance.problem in (contender.problems or (instance.problem,)):
                        yield _plain({**shared, "contender": asdict(contender)})
                for peer in self.peers if peers else ():
                    if instance.problem in (peer.problems or (instance.problem,)):
                        yield _plain({**shared, "peer": asdict(peer)})


def _plain(job: Record) -> Record:
    """The job as it comes back from a store: lists for tuples."""
    return json.loads(json.dumps(job))  # type: ignore[no-any-return]
