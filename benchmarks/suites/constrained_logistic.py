"""Logistic regression on a sphere under ten linear equations."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances.constrained"
PEERS = "fejer.benchmarks.peers.scipy"

SUITE = Suite(
    name="constrained-logistic",
    title="Logistic regression on a sphere under linear equations",
    instances=(
        Instance("ConstrainedLogistic", f"{MODULE}:constrained_tumours", {}, "tumours"),
        *(
            Instance("ConstrainedLogistic", f"{MODULE}:logistic_shape", {"name": name}, name)
            for name in ("ionosphere", "sonar", "splice", "phishing", "a9a")
        ),
    ),
    contenders=(
        Contender("exact-al-newton"),
        Contender("adasketch"),
        Contender("adasketch", {"inner": "minres"}, "adasketch with MINRES"),
    ),
    peers=(
        Peer("scipy SLSQP", f"{PEERS}:slsqp", "scipy", (1e-9, 1e-12, 1e-14, 1e-16)),
        Peer("scipy trust-constr", f"{PEERS}:trust_constr", "scipy", (1e-6, 1e-8, 1e-10)),
    ),
    seeds=(0,),
    max_time=60.0,
    notes="Data are drawn in the shapes of the tables whose names they bear.",
)
