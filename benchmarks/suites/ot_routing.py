"""Routing of tokens to experts by sparsity-constrained transport."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="ot-routing",
    title="Mixture of experts: each expert takes a limited number of tokens",
    instances=tuple(
        Instance(
            "SparseOT",
            "fejer.benchmarks.instances.plans:experts",
            {"tokens": tokens, "experts": count, "room": room},
            f"{tokens} patches of digits, {count} experts, room {room:g}",
        )
        for tokens, count, room in (
            (64, 4, 1.0), (128, 8, 1.0), (512, 8, 1.0), (512, 8, 1.25), (512, 8, 2.0),
        )
    ),
    contenders=(Contender("lbfgs-dual"),),
    seeds=(0, 1, 2),
    tol=1e-4,
    max_time=20.0,
    max_iter=5000,
    repeats=1,
    notes="With room 1 every feasible plan is a balanced assignment of tokens.",
)  # fmt: skip
