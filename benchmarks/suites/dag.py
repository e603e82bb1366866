"""Directed acyclic graphs from observations."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

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
    peers=(Peer("dagma, refitted", "fejer.benchmarks.peers.dagma:refitted", "dagma", (1e-8,)),),
    tol=1e-8,
    max_time=120.0,
    repeats=1,
    notes="Each ends on an order of its own, and the certificate speaks of that order: compare "
    "the objectives too. dagma finds its graph by least squares; its weights are fitted to our "
    "objective after that.",
)
