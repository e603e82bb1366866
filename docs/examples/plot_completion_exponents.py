"""
Completion: time against entries and rank
=========================================

A sweep of alternating minimisation solves a small regression for each row and each column. Exact
solutions cost ``N k^2`` multiplications for N entries and rank k. The robust form corrects the row
that is there by two conjugate gradients, ``N k``, since errors of a regression do not add up (Gu,
Song, Yin, Zhang, arXiv:2302.11068).
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.driver import Run


def seconds(problem, rows, sweeps=3):
    """Processor time of a sweep in double precision, the first one left out."""
    options = {"rows": rows, "memory": 0, "detect_rank": False, "precision": "double"}
    run = Run(problem, method="altmin", options=options, tol=0.0)
    run.open()
    run.forward(1)
    begun = time.process_time()
    run.forward(1 + sweeps)
    return (time.process_time() - begun) / sweeps


def slope(sizes, times):
    return np.polyfit(np.log(sizes), np.log(times), 1)[0]


# %%
# With enough entries in each row both kinds are linear in their number. With few, the work that
# each row needs whatever its entries shows: the line bends.

counts = [12_500, 25_000, 50_000, 100_000, 200_000]
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
for rows, mark in (("pcg", "o-"), ("exact", "s--")):
    times = [seconds(fejer.MatrixCompletion.random(600, 400, 16, n), rows) for n in counts]
    axes[0].loglog(
        counts, times, mark, label=f"{rows}: exponent {slope(counts[2:], times[2:]):.2f}"
    )
axes[0].set_xlabel("entries")
axes[0].set_ylabel("seconds of a sweep")
axes[0].legend(title="exponent")

# %%
# In the rank the conjugate gradients are cheaper from about 24 on; below, a Gram matrix by BLAS is
# so fast that being exact costs less. ``rows="auto"`` changes there.

ranks = [4, 8, 16, 32, 64]
problem = fejer.MatrixCompletion.random(600, 400, 4, 60_000)
for rows, mark in (("pcg", "o-"), ("exact", "s--")):
    times = [seconds(problem.replace(rank=k), rows) for k in ranks]
    axes[1].loglog(ranks, times, mark, label=f"{rows}, {slope(ranks, times):.2f}")
axes[1].set_xlabel("rank")
axes[1].legend(title="exponent")
plt.show()
