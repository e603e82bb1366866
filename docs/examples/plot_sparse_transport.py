"""
Sparse plans, and sparse Newton steps
=====================================

Entropy makes plans dense and smooth, a quadratic term makes them sparse, and a limit on the
entries of each row makes them as sparse as wished. And where the entropy is small, its dense plan
is nearly sparse, too: Newton's method with the large entries alone then replaces thousands of
Sinkhorn iterations.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.benchmarks.instances.transport import instance
from fejer.driver import Run

line = np.linspace(0.0, 1.0, 40)
a = np.exp(-((line - 0.25) ** 2) / 0.01) + 0.7 * np.exp(-((line - 0.6) ** 2) / 0.005) + 1e-3
b = np.exp(-((line - 0.7) ** 2) / 0.02) + 1e-3
a, b = a / a.sum(), b / b.sum()
cost = fejer.PointCloud(line, line)

# %%
# The same transport, four ways. Where the limit binds the dual has ties: the result says how far
# its plan may be from the best one, or that no plan with so few entries was found.
problems = {
    "entropy": fejer.EntropicOT(a, b, cost, eps_rel=0.02),
    "quadratic": fejer.QuadraticOT(a, b, cost, gamma=5.0),
    "at most 4 a row": fejer.SparseOT(a, b, cost, gamma=5.0, k=4),
    "at most 2 a row": fejer.SparseOT(a, b, cost, gamma=5.0, k=2),
}
fig, axes = plt.subplots(1, 4, figsize=(12, 3.4))
for axis, (name, problem) in zip(axes, problems.items(), strict=True):
    result = fejer.minimize(problem, max_iter=60 if "row" in name else 1000)
    plan = result.plan.toarray()
    axis.imshow(np.where(plan > 0, plan, np.nan), cmap="viridis")
    axis.set(title=f"{name}: {np.count_nonzero(plan)} entries", xticks=[], yticks=[])
    print(f"{name:16s} {result.status.name:10s} certificate {result.certificate.value:.1e}")
fig.tight_layout()

# %%
# A random assignment of 200 points. Sinkhorn's factor, measured on the second half of its run, is
# the square of the second singular value of the normalised plan. (At eta = 1200 that is 1 to six
# digits, and 3000 iterations end before it shows.) The sparse steps do not know of it.
weights, _, costs = instance("lap", 200)


def violations(problem, method, most):
    """Violation of the marginals after each iteration, without a certificate in between."""
    run = Run(problem, method=method, tol=1e-11, max_iter=most)
    run.open()
    left = [run.state.violation]
    while run.state.nit < most and left[-1] > 1e-11:
        run.method.advance(problem, run.prep, run.state, 1)
        left.append(run.state.violation)
    return np.array(left)


fig, axis = plt.subplots(figsize=(7, 4.2))
for eta, color in ((100.0, "C0"), (400.0, "C1"), (1200.0, "C2")):
    problem = fejer.EntropicOT(weights, weights, costs, eps=1.0 / eta)
    newton, slow = violations(problem, "sns", 200), violations(problem, "sinkhorn", 3000)
    plan = fejer.minimize(problem, method="sns", tol=1e-11).plan.toarray()
    factor = np.linalg.svd(200 * plan, compute_uv=False)[1] ** 2
    late = np.arange(len(slow) // 2, len(slow))
    measured = np.exp(np.polyfit(late, np.log(slow[late]), 1)[0])
    axis.loglog(slow, color, label=f"Sinkhorn, eta = {eta:g}")
    axis.loglog(newton, color, ls="--", label="sparse Newton")
    print(f"eta {eta:6g}: measured {measured:.6f}, sigma_2^2 {factor:.6f}; ", end="")
    print(f"Newton {len(newton) - 1}, Sinkhorn {len(slow) - 1} iterations")
axis.set(xlabel="iterations", ylabel="violation of the marginals")
axis.legend(fontsize=8)
fig.tight_layout()
plt.show()
