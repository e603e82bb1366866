"""Logistic regression by Newton steps with exact and sampled Hessians."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances.constrained"
LADDER = (1e-4, 1e-6, 1e-8, 1e-10)
COMPOSITE = ("SmoothComposite",)
PEERS = "fejer.benchmarks.peers.logistic"

SUITE = Suite(
    name="gns",
    title="Logistic regression with exact and sampled Hessians",
    instances=(
        *(
            Instance(
                "SmoothComposite", f"{MODULE}:plain_logistic", {"name": name}, f"logistic, {name}"
            )
            for name in ("a9a", "ill", "correlated", "w8a", "mushrooms")
        ),
        *(
            Instance(
                "SmoothProblem", f"{MODULE}:sampled_logistic", {"name": name}, f"functions, {name}"
            )
            for name in ("a9a", "mushrooms")
        ),
    ),
    contenders=(
        Contender("gns"),
        Contender("gns", {"hessian": "exact"}),
        Contender("gns", {"hessian": "sketch"}),
        Contender("lbfgs", problems=("SmoothProblem",)),
    ),
    peers=(
        Peer("newton-cholesky", f"{PEERS}:newton_cholesky", "sklearn", LADDER, problems=COMPOSITE),
        Peer("lbfgs", f"{PEERS}:lbfgs", "sklearn", LADDER, problems=COMPOSITE),
    ),
    seeds=(0,),
    tol=1e-8,
    max_time=60.0,
    notes="Data are drawn in the shapes of the tables whose names they bear. The sketch takes "
    "more passes over the data and no full Hessian, auto takes one. Instances called functions are "
    "given as a user would give them, with a Hessian whose rows may be sampled.",
)
