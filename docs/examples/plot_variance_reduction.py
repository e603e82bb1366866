"""
What variance reduction saves, against the number of components
===============================================================

Where an operator is the mean of m components, one exact evaluation costs m calls. Variance-reduced
Halpern iteration draws ``sqrt(m)`` of them most of the time; its theorem promises
``m + sqrt(m) / eps`` calls instead of ``m / eps``. Counting calls shows it, and where it starts to
pay: not for a hundred components.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.benchmarks.instances.monotone import least_squares_rows

# %%
# Least squares with rows of length one: the constant in the mean is 1, that of F far below.
sizes = [100, 400, 1600, 6400]
settings = {"halpern": {"restart": None}, "vr-halpern": {"restart": None}, "vr-extragradient": {}}
calls = {
    name: [
        np.median(
            [
                fejer.minimize(
                    least_squares_rows(m), method=name, options=options, tol=1e-2, rng=seed
                ).work
                * m
                for seed in range(3)
            ]
        )
        for m in sizes
    ]
    for name, options in settings.items()
}

# %%
# Slopes in the logarithms: about 1 and 1/2.
fig, ax = plt.subplots(figsize=(7, 4.5))
for name, counted in calls.items():
    slope = np.polyfit(np.log(sizes), np.log(counted), 1)[0]
    ax.loglog(sizes, counted, "o-", label=f"{name}, slope {slope:.2f}")
    print(f"{name:18} {slope:.2f}  {[int(c) for c in counted]}")
ax.set(xlabel="components m", ylabel="component calls to a residual of 1e-2")
ax.legend()
fig.tight_layout()
