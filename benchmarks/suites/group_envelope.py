"""The group-sparse envelope."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="group-envelope",
    title="The group-sparse envelope",
    instances=tuple(
        Instance(
            "GroupEnvelope",
            params={"n": 200, "p": 250, "size": 5, "k": 10, "lam": lam},
            label=f"200 x 250, 10 of 50 groups, lam {lam:g}",
        )
        for lam in (1.0, 10.0, 100.0, 1000.0)
    ),
    contenders=(Contender("fista"), Contender("prox-gradient")),
    rates=True,
    notes="The penalty is convex, so its minimiser may have more than k groups; the view "
    "`selected` keeps k of them.",
)
