"""Entropic transport: colours of two photographs, and the usual generated costs."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances"
LADDER = (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)

SUITE = Suite(
    name="transport",
    title="Entropic optimal transport",
    instances=(
        *(
            Instance(
                "EntropicOT",
                f"{MODULE}.pictures:colour_transport",
                {"cells": cells, "eps": eps},
                f"colours of two photographs, {cells}^3 cells, eps {eps:g}",
            )
            for cells, eps in ((6, 0.02), (8, 0.02), (8, 0.005))
        ),
        *(
            Instance(
                "EntropicOT",
                f"{MODULE}.transport:entropic",
                {"kind": kind, "n": n, "eps_rel": eps},
                f"{kind}, n = {n}, eps {eps:g} of the largest cost",
                size=float(n) if kind == "pc2" and eps == 0.02 else 0.0,
                family="pc2",
            )
            for kind, n, eps in (
                ("pc2", 100, 0.02),
                ("pc2", 200, 0.02),
                ("pc2", 400, 0.02),
                ("pc2", 800, 0.02),
                ("lap", 300, 0.02),
                ("grid", 400, 0.01),
            )
        ),
    ),
    contenders=(Contender("sinkhorn"),),
    peers=(
        Peer("POT sinkhorn", "fejer.benchmarks.peers.pot:sinkhorn", "ot", LADDER, "POT"),
        Peer("POT sinkhorn_log", "fejer.benchmarks.peers.pot:sinkhorn_log", "ot", LADDER, "POT"),
    ),
    seeds=(0, 1),
    memory=True,
    rates=True,
    notes="Peers stop by the 2-norm of the marginals' error; the time of the first tolerance at "
    "which our certificate holds counts.",
)
