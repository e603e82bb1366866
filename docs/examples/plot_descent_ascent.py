"""
Where gradient descent-ascent runs away
=======================================

On ``min over x, max over y, of x y`` a step of descent in x and of ascent in y leads away from the
saddle point, whatever the length of the step: the distance grows by ``(1 + a^2)^(1/2)`` each time.
Looking ahead (extragradient) or tying the iterates to the start (anchoring) mends it, with
theorems: ``1 / k^(1/2)`` for the first and ``1 / k`` for the second.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.driver import Run

# %%
# The field turns about (1, 0); the start is the origin.
field = fejer.MonotoneInclusion(lambda z: np.array([z[1], 1.0 - z[0]]), 2, lipschitz=1.0)


def path(problem, method, options, counts):
    """The points after each of the counts."""
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    points = []
    for k in counts:
        run.forward(int(k))
        points.append(run.method.point(problem, run.prep, run.state).copy())
    return np.array(points)


methods = {
    "gda": {"step": 0.2},
    "extragradient": {"step": 0.2},
    "eag": {"steps": "constant", "step": 0.2, "restart": None},
}
fig, axes = plt.subplots(1, 2, figsize=(10, 4.5))
for name, options in methods.items():
    points = path(field, name, options, range(60))
    axes[0].plot(*points.T, ".-", ms=3, lw=0.8, label=name)
axes[0].plot(1, 0, "k*", ms=10)
axes[0].set(aspect="equal", title="sixty steps of length 0.2", xlabel="x", ylabel="y")
axes[0].legend()

# %%
# The worst case of extragradient after N steps is a rotation that is slower than its declared
# constant, by about ``N^(1/2)``. There its bound is nearly attained, and anchoring is far ahead.
N = 400
slow = fejer.MonotoneInclusion(
    lambda z: np.array([z[1], 1.0 - z[0]]) / (0.7 * np.sqrt(N)), 2, lipschitz=1.0
)
counts = np.unique(np.geomspace(1, 5 * N, 80).astype(int))
zero, start = np.array([1.0, 0.0]), np.zeros(2)
for name, options in (("extragradient", {}), ("feg", {"restart": None}), ("feg", {})):
    points = path(slow, name, options, counts)
    sizes = [np.linalg.norm(slow.apply(z)) for z in points]
    label = name if options or name != "feg" else "feg, restarted"
    (line,) = axes[1].loglog(counts, np.maximum(sizes, 1e-9), label=label)
    rate = fejer.methods(name)[0].method(**options).rate
    if rate.bound is not None:
        bound = [rate.bound(slow, start, zero, int(k)) for k in counts]
        axes[1].loglog(counts, bound, "--", lw=0.8, color=line.get_color())
axes[1].axvline(N, color="0.8", zorder=0)
axes[1].set(xlabel="iterations k", ylabel="||F(z)||", title="dashed: the theorems", ylim=(1e-6, 5))
axes[1].legend()
fig.tight_layout()
