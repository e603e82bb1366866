"""Optimization with certificates: every result is judged again from the data.

``fejer.minimize(problem)`` solves, ``fejer.verify(problem, x)`` judges, ``fejer.methods(problem)``
lists what can solve it.  Names are loaded when they are asked for: importing this package loads
neither numpy nor scipy nor numba.

Examples
--------
>>> import fejer
>>> callable(fejer.minimize)
True
"""

import os as _os

__version__ = "0.1.0"

# In a checkout `problems`, `solvers` and `benchmarks` lie beside this folder, in a wheel inside it.
# The search path covers both, so that a checkout runs uninstalled and is never mixed with a wheel.
_folder = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isdir(_os.path.join(_folder, "solvers")):
    __path__.append(_os.path.dirname(_folder))

from fejer._lazy import load as __getattr__  # noqa: E402, F401  (needs __path__)
from fejer._lazy import names as __dir__  # noqa: E402, F401
