"""
Linear, superlinear and quadratic: how accurate must a Newton step be?
======================================================================

Newton's method for ``min f(x) subject to c(x) = 0`` solves one linear system an iteration. Solved
to a relative residual omega, the KKT residual falls by about omega each time: linear convergence
whose rate you choose. Let omega fall with the residual and convergence is superlinear; solve
exactly and it is quadratic.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer

# %%
# A quartic in twelve variables under five curved constraints.
problem = fejer.EqualityNLP.random(n=12, m=5, seed=3)

runs = {
    "omega = 0.3": ("adasketch", {"omega": 0.3}),
    "omega = 0.1": ("adasketch", {"omega": 0.1}),
    "omega = 0.01": ("adasketch", {"omega": 0.01}),
    "omega = 0.3 |F|": ("adasketch", {"omega": 0.3, "power": 1.0}),
    "exact": ("exact-al-newton", {}),
}
fig, ax = plt.subplots(figsize=(7, 4.5))
for label, (method, options) in runs.items():
    steps = fejer.steps(problem, method, tol=1e-11, max_iter=40, options=options)
    norms = [step.certificate.details["F_norm"] for step in steps]
    ax.semilogy(norms, "o-", ms=4, label=label)
    print(f"{label:16} last ratios", np.round(np.divide(norms[1:], norms[:-1])[-3:], 5))
ax.set(xlabel="Newton iterations", ylabel="KKT residual |F|", ylim=(1e-13, None))
ax.legend()
fig.tight_layout()

# %%
# The residual, read line by line. ``stationarity`` is the gradient of the Lagrangian,
# ``feasibility`` the violation, ``floor`` what rounding alone may cause, and the inertia of the
# KKT matrix says that the point is a strict minimum: as many positive eigenvalues as variables.
result = fejer.minimize(problem, method="exact-al-newton", tol=1e-10)
for name, value in result.certificate.details.items():
    print(f"{name:20} {value:.3g}")
print(result.inertia, result.second_order)

# %%
# What the accuracy costs: row actions of a sketched solver until ``|F| <= 1e-4``. The published
# rule bounds the error of a step by the worst case over all matrices of these norms, so it solves
# each system nearly exactly; the other rule asks for descent and a modest residual. A
# factorisation needs neither, and is faster in seconds at every size that fits into memory.
for label, options in {
    "descent": {},
    "worst case": {"accuracy": "worst-case"},
    "descent, MINRES": {"inner": "minres"},
}.items():
    for step in fejer.steps(problem, "adasketch", tol=1e-9, max_iter=60, options=options):
        if step.certificate.details["F_norm"] <= 1e-4:
            break
    state = step.state
    print(f"{label:16} {step.nit:3} iterations {state.row_actions:9} rows {state.flops:.2g} flops")
