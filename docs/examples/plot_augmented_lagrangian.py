"""
Multipliers, penalties and a residual that lies
===============================================

The augmented Lagrangian method minimises ``f + l'c + penalty/2 ||c||^2`` and then adds
``penalty c`` to the multipliers l. On a quadratic the error of l falls at each such stage by at
least ``1 / (1 + penalty s)``, s the smallest eigenvalue of ``A Q^-1 A'``. The second part shows why
no multiplier enters the scale of a certificate.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer

# %%
# A quadratic under two linear constraints, whose multipliers a linear system gives.
rng = np.random.default_rng(3)
n, m = 6, 2
root = rng.standard_normal((n, n))
Q, b = root @ root.T + np.eye(n), rng.standard_normal(n)
A, r = rng.standard_normal((m, n)), rng.standard_normal(m)
system = np.block([[Q, A.T], [A, np.zeros((m, m))]])
multipliers = np.linalg.solve(system, np.concatenate([b, r]))[n:]
problem = fejer.EqualityNLP(
    lambda x: 0.5 * x @ Q @ x - b @ x,
    lambda x: Q @ x - b,
    x0=np.zeros(n),
    linear=(A, r),
    hess=lambda x: Q,
)
print(fejer.check_derivatives(problem))

# %%
# One Newton step solves a stage, so iterations are stages. A huge ``feasibility`` keeps the penalty
# where it is, and the start is far from the multipliers of least squares.
s = np.linalg.eigvalsh(A @ np.linalg.solve(Q, A.T))[0]
fig, ax = plt.subplots(figsize=(7, 4.5))
for color, penalty in zip(("C0", "C1", "C2"), (0.3, 1.0, 10.0), strict=True):
    options = {"penalty": penalty, "stationarity": 1e-9, "feasibility": 1e30}
    run = fejer.steps(problem, "alm", tol=1e-9, max_iter=12, options=options)
    error = [np.linalg.norm(step.state.multipliers - multipliers) for step in run][1:]
    stages = np.arange(len(error))
    ax.semilogy(stages, error, "o-", color=color, label=f"penalty {penalty:g}")
    ax.semilogy(stages, error[0] / (1 + penalty * s) ** stages, "--", color=color, lw=1)
ax.set(xlabel="stages", ylabel="||l - l*||", ylim=(1e-12, None))
ax.legend(title="dashed: the bound")
fig.tight_layout()

# %%
# Two rows that are dependent but for 1e-8. Dividing the residual by the mean modulus of l, as is
# often done, accepts a point at which the third variable is plainly wrong; the certificate does
# not.
nearly = fejer.EqualityNLP(
    lambda x: x[1] + 0.5 * x[2] ** 2,
    lambda x: np.array([0.0, 1.0, x[2]]),
    x0=np.ones(3),
    linear=(np.array([[1.0, 0.0, 0.0], [1.0, 1e-8, 0.0]]), np.zeros(2)),
)
certificate = fejer.verify(nearly, [0.0, 0.0, 0.01])
print("multipliers        ", certificate.witness["multipliers"])
print("value              ", certificate.value)
print("residual over scale", certificate.details["scaled_stationarity"])
