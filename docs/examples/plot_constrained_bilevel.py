"""
Constraints below: kinks, extrapolation, and mislabelled tumours
================================================================

The lower level of a bilevel problem may have constraints. Its solution is then a function of the
upper variable with kinks, where rows become active or cease to be, and several local minima of the
upper level are the rule. The certificate is one of stationarity: it says that a point is one of
them, and not which. Random starts find the others.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.benchmarks.instances.constrained_bilevel import (
    CLASSICS,
    cleaning_machine,
    coupled,
    coupled_solution,
    starts,
    tumours,
)
from fejer.driver import Run

# %%
# The problem of Clark and Westerberg. The follower wants y = 5, and three rows bound it from above
# or below as x moves. All three local minima are found, and each is certified.
known = CLASSICS["clark-westerberg"]()
problem = known.problem
found = {}
for x0 in starts(problem, 20):
    result = fejer.minimize(problem, x0)
    assert result.success
    found[round(result.fun, 6)] = result.upper_variable[0]
print("local minima:", {fun: round(float(x), 3) for fun, x in sorted(found.items())})

x = np.linspace(0.0, 6.0, 400)
y = np.minimum.reduce([np.full_like(x, 5.0), 1 + 2 * x, (14 - x) / 2])
feasible = y >= (x + 2) / 2
fig, axes = plt.subplots(1, 3, figsize=(13, 4))
axes[0].plot(x[feasible], ((x - 3) ** 2 + (y - 2) ** 2)[feasible], "C0")
axes[0].plot(list(found.values()), list(found), "C3o")
axes[0].set(xlabel="x", ylabel="F(x, y*(x))", title="Three certified local minima")

# %%
# The published example whose lower level has many solutions: no implicit function exists, and the
# value-function method treats it. At a fixed weight c of the lower level its error is of the order
# 1/c, so the plain method, which lets c grow, is slow; from the fixed points at c = 10, 30, 90,
# 270 one extrapolates to c = infinity.
n = 50
w = coupled_solution(n)
near = w + np.random.default_rng(0).standard_normal(3 * n)
for method, options, style in (
    ("lv-hba", {"decay": 0.3}, "C1"),
    ("lv-hba", {"decay": 0.49}, "C2"),
    ("lv-hba-anderson", {}, "C0o-"),
):
    run = Run(coupled(n), near, method=method, options=options, tol=0.0)
    run.open()
    steps, errors = [], []
    most = 4000 if method == "lv-hba" else 110
    for k in np.unique(np.round(np.geomspace(1, most, 40)).astype(int)):
        run.forward(int(k))
        point = run.method.point(run.problem, run.prep, run.state)
        steps.append(run.state.nit)
        errors.append(np.linalg.norm(point - w) / np.linalg.norm(w))
    label = " ".join([method, *(f"p = {p}" for p in options.values())])
    axes[1].loglog(steps, errors, style, ms=3, label=label)
    print(f"{label}: relative error {errors[-1]:.1e} after {steps[-1]} iterations")
axes[1].set(xlabel="iterations", ylabel="relative error", title="Extrapolation in 1/c")
axes[1].legend(fontsize=8)

# %%
# A support vector machine is trained on tumours of which 40 % have the wrong label; the weight of
# each training sample is chosen by the loss on clean validation samples. The weights tell the
# wrong labels from the right ones, without having seen which are which.
machine, X, labels = tumours(60, 150)
problem = cleaning_machine(60, 150)
result = fejer.minimize(problem, method="kkt-implicit", max_iter=40, tol=1e-4)
weights = np.exp(result.upper_variable)
clean, _, _ = tumours(60, 150, flipped=0.0)
wrong = machine.t != clean.t
print(
    f"test accuracy {machine.accuracy(result.y, X, labels):.3f}, validation loss {result.fun:.3f}; "
    f"certificate {result.certificate.value:.1e}"
)
bins = np.geomspace(np.exp(-5.01), np.exp(2.01), 15)
axes[2].hist([weights[~wrong], weights[wrong]], bins, label=["right label", "wrong label"])
axes[2].set(xscale="log", xlabel="weight of the sample", title="Tumours, 40 % mislabelled")
axes[2].legend()
plt.tight_layout()
plt.show()
