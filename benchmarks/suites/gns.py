"""Logistic regression by Newton steps with exact and sampled Hessians."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MAKE = "fejer.benchmarks.instances.constrained:plain_logistic"
PEERS = "fejer.benchmarks.peers.logistic"

SUITE = Suite(
    name="gns",
    title="Logistic regression with exact and sampled Hessians",
    instances=tuple(
        Instance("SmoothComposite", MAKE, {"name": name}, f"logistic, {name}")
        for name in ("a9a", "ill", "correlated", "w8a", "mushrooms")
    ),
    contenders=(
        Contender("gns"),
        Contender("gns", {"hessian": "exact"}),
        Contender("gns", {"hessian": "sketch"}),
    ),
    peers=(
        Peer("newton-cholesky", f"{PEERS}:newton_cholesky", "sklearn", (1e-4, 1e-6, 1e-8, 1e-10)),
        Peer("lbfgs", f"{PEERS}:lbfgs", "sklearn", (1e-4, 1e-6, 1e-8, 1e-10)),
    ),
    seeds=(0,),
    tol=1e-8,
    max_time=60.0,
    notes="Data are drawn in the shapes of the tables whose names they bear. The sketch takes "
    "more passes over the data and no full Hessian: it wins where there are many features.",
)
