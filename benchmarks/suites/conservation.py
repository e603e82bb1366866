"""Predictions brought into agreement with a conservation law."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

SUITE = Suite(
    name="conservation",
    title="Predictions brought into agreement with a conservation law",
    instances=tuple(
        Instance(
            "EqualityNLP",
            "fejer.benchmarks.instances.conservation:conserved",
            {"name": name},
            label,
        )
        for name, label in (
            ("heat", "heat on a circle"),
            ("porous", "porous medium"),
            ("stefan", "Stefan problem"),
        )
    ),
    contenders=(Contender("exact-al-newton"), Contender("alm")),
    peers=(
        Peer(
            "closed form (project_linear)",
            "fejer.benchmarks.peers.conservation:closed_form",
            "numpy",
            (1e-6,),
        ),
        Peer("scipy SLSQP", "fejer.benchmarks.peers.scipy:slsqp", "scipy", (1e-9, 1e-12, 1e-14)),
    ),
    notes="The projection is a quadratic program with one equation: the closed form is the way to "
    "compute it. What it does to the error is measured by the claims of this family.",
)
