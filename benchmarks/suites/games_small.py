"""Small games on simplices."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="games-small",
    title="Games on simplices",
    instances=(
        *(
            Instance("MatrixGame", params={"rows": k, "columns": k}, label=f"normal, {k} x {k}",
                     size=float(k), family="matrix")
            for k in (5, 10, 20, 40)
        ),
        *(
            Instance("RegularizedGame", params={"rows": k, "columns": k, "mu_x": mu, "mu_y": mu},
                     label=f"regularised by {mu:g}, {k} x {k}")
            for k in (20, 100) for mu in (0.1, 1.0)
        ),
    ),
    contenders=(
        Contender("eag"),
        Contender("graal"),
        Contender("extragradient"),
        Contender("popov"),
    ),
    tol=1e-6,
    max_time=5.0,
    repeats=1,
    notes="First-order methods alone; linear programming solves matrix games of this size exactly.",
)  # fmt: skip
