"""Flag means under attack: time, and certificates."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="flag",
    title="Flag means of gradients under attack",
    instances=tuple(
        Instance(
            "FlagMean",
            params={
                "dim": 20_000,
                "workers": 15,
                "rank": rank,
                "attackers": 3,
                "attack": attack,
                "lam": lam,
            },
            label=f"15 workers, 3 attackers ({attack}), rank {rank}, lam {lam:g}",
        )
        for attack in ("uniform", "sign", "collude")
        for rank, lam in ((1, 0.0), (1, 1.0))
    ),
    contenders=(Contender("flag-irls"),),
    seeds=(0, 1),
    notes="With rank above 1, or noise twice the size of the common direction, colluders capture "
    "the subspace: the certificate speaks of the objective, not of the attack.",
)
