"""Directed acyclic graphs from observations."""

from fejer.benchmarks.suite import Contender, Instance, Suite

MAKE = "fejer.benchmarks.instances.constrained:structural_equations"

SUITE = Suite(
    name="dag",
    title="Structural equations: the published solver and the fast one",
    instances=tuple(
        Instance(
            "LinearSEM",
            MAKE,
            {"d": d, "edges": edges, "noise": noise},
            f"{d} nodes, {edges} edges, {noise} noise",
        )
        for d, edges, noise in (
            (20, 40, "equal"),
            (20, 80, "unequal"),
            (40, 80, "unequal"),
            (50, 100, "equal"),
        )
    ),
    contenders=(Contender("owlqn"), Contender("adam-path")),
    tol=1e-8,
    max_time=120.0,
    repeats=1,
    notes="Both end on an order of their own, and the certificate speaks of that order: compare "
    "the objectives too.",
)
