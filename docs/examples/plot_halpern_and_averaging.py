"""
Halpern against averaging on a rotation
=======================================

A rotation of the plane is nonexpansive, and the plain iteration ``x <- T x`` runs round a circle
for ever. Averaging with the last point converges, with ``||x - T x||`` like ``k^(-1/2)``; averaging
with the *first* point, Halpern's method, does so like ``1/k``. Both theorems have constants, and
for each there is a map on which its bound is attained.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.driver import Run

# %%
# The worst rotation for averaging depends on the number of iterations that one has in mind: the
# slower, the longer. The method itself knows it.
averaged, halpern = (fejer.methods(name)[0].method for name in ("averaged", "halpern"))
classic = {"anchor": "classic", "restart": None}
N = 1000
rotation = averaged().rate.worst_case(N)


# %%
# A ``Run`` advances a method without judging it.
def residuals(problem, method, options, counts):
    """||x_k - T x_k|| after each of the counts."""
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    values = []
    for k in counts:
        run.forward(int(k))
        x = run.method.point(problem, run.prep, run.state)
        values.append(np.linalg.norm(x - problem.apply(x)))
    return np.array(values)


counts = np.unique(np.geomspace(1, 30 * N, 150).astype(int))
curves = {
    "averaged": residuals(rotation, "averaged", {}, counts),
    "halpern, classic": residuals(rotation, "halpern", classic, counts),
    "halpern, restarted": residuals(rotation, "halpern", {}, counts),
}

# %%
# The bounds hold at every iteration. That of averaging touches its curve at k = N.
start, centre = rotation.initial_point(), np.array([1.0, 0.0])
fig, ax = plt.subplots(figsize=(7, 4.5))
for name, values in curves.items():
    ax.loglog(counts, np.maximum(values, 1e-12), label=name)
for method, options, style in ((averaged, {}, "k--"), (halpern, classic, "k:")):
    rate = method(**options).rate
    bound = [rate.bound(rotation, start, centre, int(k)) for k in counts]
    ax.loglog(counts, bound, style, lw=1, label=f"bound of {method.name}")
ax.axvline(N, color="0.8", zorder=0)
ax.set(xlabel="iterations k", ylabel="||x - T x||", ylim=(1e-9, 3))
ax.legend()
fig.tight_layout()
plt.show()

# %%
# Halpern's bound ``2 R / (k + 1)`` is attained by the reflection ``T = -I`` at every even k, and
# the residual is 0 at every odd k.
reflection = halpern(**classic).rate.worst_case(10)
for k, value in zip(range(7), residuals(reflection, "halpern", classic, range(7)), strict=True):
    print(f"k = {k}: {value:.6f}   bound {2 / (k + 1):.6f}")
