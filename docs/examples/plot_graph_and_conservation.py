"""
A graph recovered, charges on a sphere, and a law kept
======================================================

Three problems of this family that are nice to look at.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer

# %%
# Ten nodes that are linear in their parents, with noise of unequal variance. The objective knows
# the noise levels only by estimating them. The certificate is the duality gap of the convex
# problem that remains when the order of the nodes is given: it does not say that no other order
# is better, and `adam-path` can be asked for a second opinion.
problem, truth = fejer.LinearSEM.random_graph(d=10, edges=14, noise="unequal", seed=4)
fig, axes = plt.subplots(1, 3, figsize=(9, 3))
axes[0].imshow(truth, cmap="RdBu", vmin=-2, vmax=2)
axes[0].set_title("truth")
for ax, method in zip(axes[1:], ("owlqn", "adam-path"), strict=True):
    result = fejer.minimize(problem, method=method, tol=1e-10)
    found = fejer.dag_metrics(result.graph_weights, truth)
    ax.imshow(result.graph_weights, cmap="RdBu", vmin=-2, vmax=2)
    ax.set_title(f"{method}: {found.shd} wrong")
    print(f"{method:10} objective {result.fun:.6f} gap {result.certificate.value:.1e} {found}")
fig.tight_layout()

# %%
# Thomson's problem. A rotation changes nothing, so the Hessian of the Lagrangian is singular and
# the second-order verdict has to be "unknown".
result = fejer.minimize(fejer.Thomson(24), tol=1e-8)
print(f"energy {result.fun:.6f}, {result.second_order}")
fig = plt.figure(figsize=(4.5, 4.5))
ax = fig.add_subplot(projection="3d")
ax.scatter(*result.points.T, s=80, c=result.points[:, 2], cmap="viridis")
ax.set_box_aspect((1, 1, 1))
ax.set_axis_off()

# %%
# A conservation law kept: a noisy prediction of a profile whose integral is known. The projection
# moves the uncertain cells most, and the error in the norm of the inverse covariance cannot grow.
rng = np.random.default_rng(0)
grid = np.linspace(-1.0, 1.0, 101)
profile = np.maximum(0.0, 1.0 - grid**2 / 0.4)
deviation = 0.02 + 0.25 * (profile > 0) * (np.abs(grid) > 0.4)
prediction = profile + deviation * rng.standard_normal(grid.size)
weights = np.full((1, grid.size), grid[1] - grid[0])
mass = weights @ profile
kept = fejer.project_linear(prediction, deviation**2, weights, mass)
even = fejer.project_linear(prediction, 1.0, weights, mass)


def error(mean):
    return np.sqrt(np.mean((mean - profile) ** 2))


for label, mean in (("none", prediction), ("even", even.mean), ("weighted", kept.mean)):
    print(f"{label:8} mass off by {abs(weights @ mean - mass)[0]:.1e}, error {error(mean):.4f}")
fig, ax = plt.subplots(figsize=(7, 3.5))
ax.plot(grid, prediction, ".", ms=4, label="prediction")
ax.plot(grid, kept.mean, label="projected")
ax.plot(grid, profile, "k--", lw=1, label="truth")
ax.legend()
fig.tight_layout()
