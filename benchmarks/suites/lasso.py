"""The Lasso: two medical tables, correlated features, sparse features."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances"
LADDER = (1e-4, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)


def _peer(library: str, module: str) -> Peer:
    return Peer(library, f"fejer.benchmarks.peers.{module}:lasso", module, LADDER, library)


SUITE = Suite(
    name="lasso",
    title="The Lasso",
    instances=(
        *(
            Instance(
                "Lasso",
                f"{MODULE}.tables:diabetes_lasso",
                {"ratio": ratio},
                f"diabetes with products, lam {ratio:g} of lam_max",
            )
            for ratio in (0.1, 0.01)
        ),
        Instance(
            "Lasso",
            f"{MODULE}.regressions:tumour_lasso",
            {"ratio": 0.01},
            "tumours with a constant, lam 0.01 of lam_max",
        ),
        *(
            Instance(
                "Lasso",
                params={"n": p // 4, "p": p, "correlation": 0.5, "ratio": 0.1},
                label=f"correlated, {p // 4} x {p}",
                size=float(p),
                family="correlated",
            )
            for p in (200, 800, 3200)
        ),
        Instance(
            "Lasso",
            params={"n": 500, "p": 100, "correlation": 0.95, "ratio": 0.01},
            label="strongly correlated, 500 x 100",
        ),
        Instance(
            "Lasso",
            f"{MODULE}.regressions:sparse_lasso",
            {"n": 1000, "p": 5000, "ratio": 0.02},
            "sparse, 1000 x 5000, lam 0.02 of lam_max",
        ),
    ),
    contenders=(Contender("bcd"), Contender("fista")),
    peers=(_peer("scikit-learn", "sklearn"), _peer("skglm", "skglm"), _peer("celer", "celer")),
    seeds=(0, 1),
    memory=True,
    rates=True,
    notes="All are asked for a duality gap of 1e-6 of our scale, judged by us. Features are given "
    "in the order of memory that each library likes best.",
)
