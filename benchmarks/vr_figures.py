"""The published figures on variance reduction: ``python -m fejer.benchmarks.vr_figures [epochs]``.

Each contender of the suites ``vr-paper-game`` and ``vr-paper-saddle`` runs for the published number
of passes over the components, and the natural residual of step 1 is printed.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from fejer.driver import Run

__all__ = ["residual_after"]

EPOCHS = {"vr-paper-game": 5_000, "vr-paper-saddle": 40_000}
STRIDE = 200  # iterations between two looks at the work
MOST_SECONDS = 120.0


def residual_after(problem: Any, method: str, options: dict[str, Any], epochs: float) -> float:
    """Return ``||z - J(z - F(z))||`` after some passes over the components.

    Parameters
    ----------
    problem : MonotoneInclusion
        A finite sum.
    method : str
        Name of the method.
    options : dict
        Its options.
    epochs : float
        Passes over the components; two minutes of processor time end the run, too.

    Returns
    -------
    float

    Examples
    --------
    >>> import fejer
    >>> residual_after(fejer.MonotoneInclusion.random(), "vr-halpern", {}, 100) < 1e-3
    True
    """
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    begun = time.process_time()
    while run.work < epochs and time.process_time() - begun < MOST_SECONDS:
        before = run.state.nit
        run.forward(before + STRIDE)
        if run.state.nit == before:
            break
    z = np.array(run.method.point(problem, run.prep, run.state))
    return float(np.linalg.norm(z - problem.resolve(z - problem.evaluate(z), 1.0)))


def main(epochs: float | None = None) -> None:
    """Print both tables.

    Parameters
    ----------
    epochs : float, optional
        Passes over the components, instead of the published numbers.
    """
    from fejer.benchmarks.suites import load

    for name, published in EPOCHS.items():
        suite = load(name)
        problem = suite.instances[0].build(0)
        print(f"{suite.title}: residual after {epochs or published:g} passes")
        for entry in suite.contenders:
            begun = time.process_time()
            value = residual_after(problem, entry.method, entry.options, epochs or published)
            print(f"  {entry.method:22}{value:10.3g}   {time.process_time() - begun:6.1f} s")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else None)
