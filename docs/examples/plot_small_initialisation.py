"""
Why a small start ignores the extra rank
========================================

A matrix of rank 2 is measured by Gaussian matrices, a tenth of the measurements are wrong by a
large amount, and nobody knows the rank: 30 is asked for. The sub-gradient method for the sum of
moduli finds the matrix all the same, if it starts close to 0 (Ma and Fattahi, arXiv:2202.08788).
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.driver import Run

d, true_rank, asked = 30, 2, 30
problem = fejer.MatrixSensing.random(d, true_rank, 900, outliers=0.1).replace(rank=asked)
V = np.linalg.qr(np.random.default_rng(0).standard_normal((d, true_rank)))[0]
X = V @ V.T


def watch(alpha, most=400):
    """Singular values and error in each iteration, with the rank kept."""
    options = {"alpha": alpha, "finish": "none"}
    run = Run(problem, method="subgm", options=options, tol=0.0)
    run.open()
    values, errors = [], []
    for k in range(1, most + 1):
        run.forward(k)
        U = run.method.point(problem, run.prep, run.state).reshape(d, asked)
        values.append(np.linalg.svd(U, compute_uv=False) ** 2)
        errors.append(np.linalg.norm(U @ U.T - X) / np.linalg.norm(X))
    return np.array(values), np.array(errors)


# %%
# All thirty components begin at the size of the start. Near 0 the sub-gradient is the signed sum of
# the measurements, whose two leading eigenvalues belong to the truth: these two components grow by
# a factor in each iteration, and reach their size before the others have moved. From then on the
# residual shrinks, and with it the force on the others.

values, _ = watch(1e-6, 150)
fig, ax = plt.subplots()
ax.semilogy(values[:, true_rank:], color="0.75", lw=0.8)
ax.semilogy(values[:, :true_rank], lw=2)
ax.set_xlabel("iteration")
ax.set_ylabel("singular values of the iterate (grey: beyond the true rank)")

# %%
# The price of a smaller start is logarithmic: a few iterations more for each decade. The gain is
# not: the final error is proportional to alpha. A start of ordinary size has lost before it begins.

fig, ax = plt.subplots()
for alpha in (1.0, 1e-2, 1e-4, 1e-6):
    _, errors = watch(alpha)
    ax.semilogy(errors, label=f"alpha = {alpha:g}")
    print(f"alpha {alpha:7g}: smallest error {errors.min():.1e}")
ax.set_xlabel("iteration")
ax.set_ylabel("relative error")
ax.legend()

# %%
# By default the method drops the components beyond a clear gap, and the error falls to rounding.
# What the certificate says of the answer is a condition of a sharp local minimum: where some
# measurements are wrong the truth need not be the global one, and no global claim is made.

result = fejer.minimize(problem, tol=1e-9)
print(result.certificate, "-", int(result.outliers.sum()), "measurements are called wrong")
print(f"error {np.linalg.norm(np.asarray(result.matrix) - X) / np.linalg.norm(X):.1e}")
plt.show()
