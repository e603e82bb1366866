"""Imitation of an optimal controller: few questions to the expert, much work on the model."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.peers.gradients"
LADDER = (1e-1, 1e-2, 1e-3)

SUITE = Suite(
    name="imitation",
    title="Imitation of an optimal controller",
    instances=tuple(
        Instance(
            "TargetModel",
            "fejer.benchmarks.instances.imitation:aggregated",
            {"policy": policy, "spread": spread},
            f"{policy} policy, units up to {spread:g}",
        )
        for policy in ("linear", "tanh")
        for spread in (1.0, 100.0)
    ),
    contenders=(
        Contender("target-surrogate"),
        Contender("target-surrogate", {"inner": 10}),
        Contender("target-surrogate", {"batch": 100, "schedule": "root", "eta": 0.5}),
    ),
    peers=(
        Peer("stochastic gradients", f"{MODULE}:sgd", "numpy", LADDER),
        Peer("Adagrad", f"{MODULE}:adagrad", "numpy", LADDER),
    ),
    max_iter=20_000,
    notes="The work of the surrogates is counted in gradients of the loss, which is what the "
    "expert is asked for; steps on the model are free there. The rivals' ladder is one of passes: "
    "10, 100 and 1000.",
)
