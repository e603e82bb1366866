"""Write a suite as a benchopt benchmark: a folder that ``benchopt run`` takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import fejer
from fejer.errors import FejerError

from .suite import Contender, Peer, Suite

__all__ = ["export"]

OBJECTIVE = '''"""{title}: fejer's certificate, computed anew from the data, and the objective."""

from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "{title}"
    url = "https://pypi.org/project/fejer/"
    requirements = ["pip::fejer[bench]"]
    min_benchopt_version = "1.6"

    def set_data(self, problem):
        self.problem = problem

    def evaluate_result(self, x, witness):
        certificate = self.problem.judge(x, witness)
        return {{"value": certificate.value, "fun": certificate.fun}}

    def get_one_result(self):
        return {{"x": self.problem.initial_point(), "witness": {{}}}}

    def get_objective(self):
        return {{"problem": self.problem}}
'''

DATASET = '''"""The instances of the suite, by recipe."""

from benchopt import BaseDataset

from fejer.benchmarks.suite import Instance

RECIPES = {{
{recipes}
}}


class Dataset(BaseDataset):
    name = "{name}"
    parameters = {{"instance": list(RECIPES), "draw": {seeds}}}

    def get_data(self):
        return {{"problem": Instance(**RECIPES[self.instance]).build(self.draw)}}
'''

CONTENDER = '''"""fejer's {method}."""

import fejer
from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "{name}"
    sampling_strategy = "callback"
    classes = {classes}

    def set_objective(self, problem):
        self.problem = problem

    def skip(self, problem):
        wanted = not self.classes or type(problem).__name__ in self.classes
        return not wanted, "not run on this class"

    def warm_up(self):
        fejer.minimize(self.problem, method="{method}", options={options}, max_iter=2)

    def run(self, callback):
        self.x, self.witness = self.problem.initial_point(), {{}}

        def watch(intermediate_result):
            self.x = intermediate_result.x
            self.witness = dict(intermediate_result.certificate.witness)
            if not callback():
                raise StopIteration

        fejer.minimize(
            self.problem, method="{method}", options={options}, tol=1e-14, max_time={max_time},
            callback=watch,
        )

    def get_result(self):
        return {{"x": self.x, "witness": self.witness}}
'''

PEER = '''"""{name}, as fejer calls it."""

from importlib import import_module

from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "{name}"
    sampling_strategy = "tolerance"
    requirements = ["pip::{package}"]
    classes = {classes}

    def set_objective(self, problem):
        self.solve = getattr(import_module("{module}"), "{function}")(problem)
        self.start = problem.initial_point()

    def skip(self, problem):
        wanted = not self.classes or type(problem).__name__ in self.classes
        return not wanted, "not run on this class"

    def run(self, tolerance):
        # benchopt asks for a tolerance above 1 first: the start
        found = self.start if tolerance >= 1 else self.solve(max(tolerance, 1e-15))
        self.x, self.witness = found if isinstance(found, tuple) else (found, {{}})

    def get_result(self):
        return {{"x": self.x, "witness": self.witness}}
'''


def export(suite: Suite, folder: str | os.PathLike[str]) -> list[Path]:
    """Write objective, data set and solvers of a suite.

    Parameters
    ----------
    suite : Suite
        The suite.
    folder : path
        Made where it does not exist; it must be empty.

    Returns
    -------
    list of Path
        The files written. ``benchopt run FOLDER`` runs them where fejer is installed.

    Raises
    ------
    FejerError
        The folder holds something.
    """
    home = Path(folder)
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise FejerError(f"{home}: expected a new or an empty folder")
    written = []
    for name, text in _files(suite):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n".replace("\n\n\n\n", "\n\n\n").rstrip() + "\n", encoding="utf-8")
        written.append(path)
    return written


def _files(suite: Suite) -> Iterator[tuple[str, str]]:
    yield "objective.py", OBJECTIVE.format(title=_plain(suite.title))
    # benchopt's command line splits names at spaces and reads brackets, commas, signs as syntax
    recipes = "\n".join(f"    {_file(i.name)!r}: {asdict(i)!r}," for i in suite.instances)
    dataset = DATASET.format(recipes=recipes, name=suite.name, seeds=list(suite.seeds))
    yield f"datasets/{_file(suite.name)}.py", dataset
    for contender in suite.contenders:
        yield f"solvers/{_file('fejer ' + contender.name)}.py", _contender(contender, suite)
    for peer in suite.peers:
        yield f"solvers/{_file(peer.name)}.py", _peer(peer)
    yield (
        "README.rst",
        (
            f"{suite.title}\n{'=' * len(suite.title)}\n\n"
            f"Written by fejer {fejer.__version__} (suite {suite.name}). The plotted value is\n"
            "fejer's certificate of the returned point.\n"
        ),
    )


def _contender(contender: Contender, suite: Suite) -> str:
    return CONTENDER.format(
        method=contender.method,
        name=_file(f"fejer {contender.name}"),
        classes=contender.problems,
        options=contender.options,
        max_time=suite.max_time,
    )


def _peer(peer: Peer) -> str:
    module, _, function = peer.call.partition(":")
    return PEER.format(
        name=_file(peer.name),
        package=peer.distribution or peer.requires,
        classes=peer.problems,
        module=module,
        function=function,
    )


def _plain(text: str) -> str:
    """Names without what benchopt reads as syntax: brackets, commas, equals signs."""
    return re.sub(r"[\[\](),=\"']+", " ", text).replace("  ", " ").strip()


def _file(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_")
