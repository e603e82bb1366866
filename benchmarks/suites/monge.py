"""Maps from one sample to another: families of maps, with and without the Monge gap."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="monge",
    title="Learning a map by divergence and Monge gap",
    instances=tuple(
        Instance(
            "MapFit",
            "fejer.benchmarks.instances.monge:map_fit",
            {"kind": kind, "n": 60, "map": family, "lam": lam, "dim": dim},
            f"{text}, {family}, weight of the gap {lam:g}",
        )
        for kind, dim, text in (
            ("gaussians", 2, "normal, d = 2"),
            ("gaussians", 8, "normal, d = 8"),
            ("blobs", 2, "blobs"),
        )
        for family in ("affine", "rbf", "mlp")
        for lam in (0.0, 1.0)
    ),
    contenders=(
        Contender("image-newton"),
        Contender("lbfgs"),
        Contender("lbfgs", {"memory": 50}, "lbfgs, 50 pairs"),
        Contender("adam"),
    ),
    seeds=(0, 1),
    tol=1e-3,
    max_time=30.0,
    max_iter=5000,
    repeats=1,
    notes="Maps that are optimal by construction (barycentric, gradient of a convex function) and "
    "the errors of all of them on held-out points: python -m fejer.benchmarks.claims transport "
    "learnt-maps.",
)
