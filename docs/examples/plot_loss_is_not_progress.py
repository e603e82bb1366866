"""
The loss is not the progress
============================

To separate two classes by a hyperplane one may run gradient descent on the logistic loss until
every point is on its side. A longer step makes the loss larger for a while, and the separation
earlier: what one watches is not what one wants.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer

# All points but one agree on a direction, which the last one forbids.
n = 100
A = np.tile([1.0, 0.2], (n, 1))
A[-1] = (-1.0, 0.5)
problem = fejer.Separation(A, np.ones(n))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for step in (1.0, 10.0, 1e4):
    loss, wrong = [], []
    for s in fejer.steps(problem, "lr-gd", options={"step": step}, max_iter=2000):
        margins = A @ s.x
        loss.append(np.logaddexp(0.0, -margins).mean())
        wrong.append(int((margins <= 0).sum()))
    axes[0].loglog(np.arange(1, len(loss) + 1), loss, label=f"step {step:g}")
    axes[1].semilogx(np.arange(1, len(wrong) + 1), wrong, label=f"step {step:g}")
axes[0].set(xlabel="iterations", ylabel="logistic loss", ylim=(1e-4, None))
axes[1].set(xlabel="iterations", ylabel="points on the wrong side", yscale="symlog")
axes[0].legend()
figure.tight_layout()

# %%
# The normalised step divides by the sum of the weights of the points: those far on their side no
# longer shorten it. On these data it needs tens of iterations where the plain one needs thousands.

sizes = (10, 100, 1000)
for method, options in (
    ("lr-gd", {"step": 1.0}),
    ("lr-gd", {"step": 1e6}),
    ("nlr-gd", {"step": 1.0}),
    ("nlr-gd", {"step": 100.0}),
):
    counts = []
    for m in sizes:
        rows = np.vstack([np.tile([1.0, 0.2], (m - 1, 1)), [[-1.0, 0.5]]])
        counts.append(
            fejer.minimize(fejer.Separation(rows, np.ones(m)), method=method, options=options).nit
        )
    print(f"{method:8} step {options['step']:g}: {counts} for n = {sizes}")

# %%
# It has the better worst case, not the better typical case. On Gaussian points with a margin the
# plain method with a long step is the faster one.

rng = np.random.default_rng(0)
points = rng.standard_normal((1050, 50))
normal = rng.standard_normal(50)
side = points @ normal / np.linalg.norm(normal)
kept = np.abs(side) > 0.15
typical = fejer.Separation(points[kept], np.sign(side[kept]))
for method, options in (
    ("lr-gd", {"step": 100.0}),
    ("nlr-gd", {"step": 10.0}),
    ("perceptron", {}),
):
    result = fejer.minimize(typical, method=method, options=options)
    bounds = result.certificate.details
    print(
        f"{method:11}{result.nit:5} iterations; the margin is at least "
        f"{bounds['margin_lower']:.3g} and at most {bounds['margin_upper']:.3g}"
    )
plt.show()
