"""
Regret between noise and an adversary
=====================================

A learner plays a point, sees a loss, and plays again. Its regret is what it lost more than the best
fixed point in hindsight. Against an adversary it grows as the square root of the number of rounds;
where the losses repeat themselves it need not grow at all. Optimistic mirror descent gets both: it
steps along the last gradient *before* it sees the next one, and pays for the difference alone.
"""

import matplotlib.pyplot as plt
import numpy as np

from fejer import online

# %%
# ``SEAStream`` draws quadratic losses ``x'(I + s S_t) x / 2 - u'x`` on the unit ball, S_t symmetric
# noise: convex in the mean, though single losses are not. Their variance is known exactly, and the
# comparator is found exactly too: a trust-region problem with its dual bound.
rounds = np.unique(np.geomspace(10, 4000, 25).astype(int))
fig, axes = plt.subplots(1, 2, figsize=(11, 4.5))
for sigma in (0.0, 0.3, 1.0, 3.0):
    curves = [
        online.mirror_descent(online.SEAStream(4000, sigma=sigma, seed=seed)).curve(rounds)
        for seed in range(4)
    ]
    mean = np.mean(curves, axis=0)
    (line,) = axes[0].loglog(rounds, mean, label=f"sigma = {sigma:g}")
    if sigma:
        total = sigma * np.sqrt(rounds)  # the root of the sum of the variances
        axes[0].loglog(rounds, total, ":", color=line.get_color(), lw=1)
        slope = np.polyfit(np.log(rounds[8:]), np.log(mean[8:]), 1)[0]
        print(f"sigma = {sigma:g}: regret {mean[-1]:.1f}, slope {slope:.2f}")
axes[0].set(xlabel="rounds", ylabel="regret", title="dotted: root of the summed variances")
axes[0].legend()

# %%
# Hints are not free: where noise is all that changes from round to round, the last gradient
# predicts nothing, and its noise comes on top. Plain mirror descent is ahead at first; later its
# longer steps cost more than the hints do. Known strong convexity beats both.
settings = {
    "hints, convex": {},
    "no hints, convex": {"hints": "none"},
    "hints, lazy": {"lazy": True},
    "hints, strongly convex": {"regime": "strongly-convex"},
}
for name, options in settings.items():
    curve = np.mean(
        [
            online.mirror_descent(
                online.SEAStream(4000, kind="offset", sigma=1.0, seed=seed), **options
            ).curve(rounds)
            for seed in range(4)
        ],
        axis=0,
    )
    axes[1].loglog(rounds, curve, label=name)
axes[1].set(xlabel="rounds", ylabel="regret", title="strongly convex losses with noise 1")
axes[1].legend()
fig.tight_layout()
plt.show()

# %%
# A result carries its own certificate: the regret per round in units of gradient times diameter,
# the total loss, a lower bound of the best fixed point's, and a bound that was proven on the way.
played = online.mirror_descent(online.SEAStream(2000, kind="offset", sigma=0.5))
c = played.certificate
print(f"regret {played.at():.2f}, proven bound {played.bound:.2f}")
print(f"total loss {c.fun:.3f}, at least {c.lower_bound:.3f} for every fixed point")

# %%
# Comparators that move ask for several steps at once. The minimiser turns on a circle here.
for drift in (0.001, 0.01, 0.1):
    stream = online.SEAStream(2000, kind="offset", sigma=0.3, drift=drift)
    for regime in ("convex", "dynamic"):
        regret, bound = online.mirror_descent(stream, regime=regime).dynamic(stream.minimizers)
        print(f"drift {drift:<6g} {regime:8} regret {regret:6.1f}   bound {bound:.0f}")
