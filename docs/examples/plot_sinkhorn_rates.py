"""
Sinkhorn: two rates and a bracket
=================================

Alternate scaling converges linearly. Birkhoff's theorem gives a factor before anything is solved,
and it is a worst case; at the solution the second singular value of the normalised plan gives the
factor that is observed. Both approach 1 as the entropy vanishes, which is why small ``eps`` is
slow. The certified plan also brackets the transport cost *without* entropy.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.driver import Run

rng = np.random.default_rng(0)
x, y = rng.normal(size=(80, 2)), 0.7 * rng.normal(size=(80, 2)) + 1.0
problem = fejer.EntropicOT(None, None, fejer.PointCloud(x, y), eps_rel=0.2)
rate = fejer.methods("sinkhorn")[0].rate


# %%
# A ``Run`` advances without judging: here it records Hilbert's distance to the solution, which is
# what the theorem bounds.
def distances(problem, solution, count):
    """osc(g_k - g*) / eps for k = 0, ..., count."""
    run = Run(problem, method="sinkhorn", tol=0.0)
    run.open()
    values = []
    for k in range(count + 1):
        run.forward(k)
        point = run.method.point(problem, run.prep, run.state)
        values.append(rate.measure(problem, point, solution))
    return np.array(values)


fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
counts = np.arange(151)
for eps_rel, color in ((0.2, "C0"), (0.05, "C1"), (0.02, "C2")):
    instance = problem.replace(eps_rel=eps_rel)
    result = fejer.minimize(instance, method="sinkhorn", tol=1e-12)
    observed = distances(instance, result.x, counts[-1])
    plan = result.plan.toarray() * 80  # uniform weights: diag(a)^-1/2 P diag(b)^-1/2
    local = np.linalg.svd(plan, compute_uv=False)[1] ** 2
    left.semilogy(counts, np.maximum(observed, 1e-11), color, label=f"eps = {eps_rel} max C")
    left.semilogy(counts, observed[5] * local ** (counts - 5.0), color, ls=":", lw=1)
    bound = [rate.bound(instance, instance.initial_point(), result.x, k) for k in counts]
    left.semilogy(counts, bound, color, ls="--", lw=1)
    print(f"eps_rel {eps_rel}: theorem {rate.factor(instance):.6f}, local factor {local:.6f}")
left.set(xlabel="iterations", ylabel="Hilbert's distance", ylim=(1e-11, 1e4))
left.set_title("observed, bound (dashed), local rate (dotted)", fontsize=10)
left.legend()

# %%
# For every ``eps`` the exact transport cost lies between the two bounds, whatever the accuracy.
shares = np.geomspace(0.3, 0.003, 12)
path = fejer.path(problem, method="sinkhorn", eps_rel=shares)
lower, upper = np.transpose([result.bracket for result in path.results])
right.semilogx(shares, upper, "C3", label="cost of the certified plan")
right.semilogx(shares, lower, "C0", label="dual bound")
right.fill_between(shares, lower, upper, alpha=0.15)
right.set(xlabel="eps / max C", ylabel="transport cost")
right.legend()
fig.tight_layout()
plt.show()
