"""Self-tuning beside methods that differentiate: one penalty, and many."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

LONG = {"steps": 6000, "entropy": 1e-5}

SUITE = Suite(
    name="self-tuning",
    title="Lower solutions as learnt functions of the penalties",
    instances=(
        Instance("RidgeBilevel", params={"n_train": 100}, label="one ridge penalty"),
        Instance("LogisticBilevel", label="one logistic penalty"),
    ),
    contenders=(
        Contender("self-tuning", LONG, "self-tuning, affine gates"),
        Contender(
            "self-tuning",
            {**LONG, "gate": "exact", "mirrored": True},
            "self-tuning, exact gates",
            ("RidgeBilevel",),
        ),
        Contender("bo-rep", {"steps": 4000}),
        Contender("soba", {"steps": 4000}),
        Contender("hoag"),
    ),
    peers=(
        Peer(
            "GridSearchCV, 30 penalties",
            "fejer.benchmarks.peers.grid_search:one_penalty",
            "sklearn",
            (1e-4,),
            "scikit-learn",
            ("RidgeBilevel",),
        ),
    ),
    seeds=(0, 1),
    tol=1e-3,
    max_time=20.0,
    repeats=1,
    notes="Exact gates are those of ridge regression: the second instance has none.",
)
