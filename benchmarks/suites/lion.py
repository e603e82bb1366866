"""Problems that sign methods with weight decay solve, and group DRO."""

from fejer.benchmarks.suite import Contender, Instance, Suite

MODULE = "fejer.benchmarks.instances.monotone"
KINDS = ("l1", "l2", "half-square", "soft", "huber", "group-l2", "nuclear")

LION = Suite(
    name="lion",
    title="Least squares with the conjugate of K",
    instances=tuple(
        Instance("DualNormComposite", params={"n": 30, "K": K}, label=f"K = {K}") for K in KINDS
    ),
    contenders=(
        Contender("lion-k"),
        Contender("lion-k", {"decay": None}, "lion-k, constant steps"),
        Contender("forward-backward"),
        Contender("graal"),
    ),
    tol=1e-4,
    max_time=5.0,
    repeats=1,
    notes="The gap of lion-k lags behind its objective by orders of magnitude; splitting methods "
    "are the ones for accurate solutions of convex problems.",
)

DRO = Suite(
    name="group-dro",
    title="Group DRO, 10 000 samples in five groups",
    instances=(Instance("GroupDROLogistic", f"{MODULE}:group_dro", {}, "n = 10000, d = 20"),),
    contenders=(
        Contender("vr-extragradient"),
        Contender("vr-extragradient", {"step": "theory"}, "vr-extragradient, theory"),
        *(Contender("vr-extragradient", {"step": s}, f"vr-extragradient, step {s:g}")
          for s in (0.03, 0.1, 0.3)),
        Contender("vr-halpern"),
        *(Contender("vr-halpern", {"step": s}, f"vr-halpern, step {s:g}") for s in (0.3, 1.0, 3.0)),
        Contender("extragradient"),
        Contender("graal"),
    ),
    seeds=(0,),
    tol=1e-4,
    max_time=15.0,
    repeats=1,
)  # fmt: skip

SUITE = (LION, DRO)
