"""Smooth minimisation under equality constraints."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances"
PEERS = "fejer.benchmarks.peers.scipy"

SUITE = Suite(
    name="constrained",
    title="Equality-constrained minimisation",
    instances=(
        *(
            Instance(
                "EqualityNLP",
                f"{MODULE}.constrained:balanced_classifier",
                {"features": features},
                f"constrained logistic regression, tumours, {features} features",
            )
            for features in (10, 30)
        ),
        Instance(
            "EqualityNLP",
            f"{MODULE}.constrained:sphere_regression",
            {},
            "regression on a sphere, wine",
        ),
        *(
            Instance(
                "EqualityNLP",
                params={"n": n, "m": n // 4},
                label=f"random, n = {n}, m = {n // 4}",
                size=float(n),
                family="random",
            )
            for n in (8, 32, 128)
        ),
    ),
    contenders=(Contender("alm"),),
    peers=(
        Peer("scipy SLSQP", f"{PEERS}:slsqp", "scipy", (1e-9, 1e-12, 1e-14, 1e-16)),
        Peer("scipy trust-constr", f"{PEERS}:trust_constr", "scipy", (1e-6, 1e-8, 1e-10)),
    ),
    seeds=(0, 1),
    notes="All get the same derivatives; trust-constr uses second ones as well.",
)
