"""Optimal control of an elliptic equation."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

SUITE = Suite(
    name="pde-control",
    title="Optimal control of an elliptic equation",
    instances=tuple(
        Instance(
            "EllipticControl",
            "random",
            {"q": q},
            f"cubic term, {q} x {q} points",
            size=float(q * q),
            family="control",
        )
        for q in (3, 7, 15, 31, 63)
    ),
    contenders=(Contender("exact-al-newton"),),
    peers=(
        Peer(
            "scipy trust-constr",
            "fejer.benchmarks.peers.scipy:trust_constr",
            "scipy",
            (1e-6, 1e-8, 1e-10),
        ),
    ),
    seeds=(0,),
    max_time=60.0,
    repeats=1,
)
