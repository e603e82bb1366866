"""Fixed points of nonexpansive maps."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances"
LADDER = (1e-6, 1e-7, 1e-8)
PEERS = "fejer.benchmarks.peers.scipy"

SUITE = Suite(
    name="fixed-point",
    title="Fixed points of nonexpansive maps",
    instances=(
        Instance("FixedPoint", f"{MODULE}.classics:page_rank", {}, "PageRank of the karate club"),
        *(
            Instance(
                "FixedPoint",
                f"{MODULE}.maps:nonnegative_regression",
                {"products": products},
                f"nonnegative least squares, diabetes{' with products' if products else ''}",
            )
            for products in (False, True)
        ),
        *(
            Instance(
                "FixedPoint",
                f"{MODULE}.maps:rotations",
                {"n": 50, "smallest": angle},
                f"rotations by angles down to {angle:g}",
            )
            for angle in (0.1, 0.01)
        ),
        *(
            Instance("FixedPoint", f"{MODULE}.maps:{make}", {}, label)
            for make, label in (
                ("lasso", "proximal gradient of a lasso, 300 x 600"),
                ("value_iteration", "value iteration, 300 states, discount 0.995"),
                ("douglas_rachford", "Douglas-Rachford for a linear program in a box"),
                ("logistic_descent", "gradient descent, logistic regression"),
                ("reflected_resolvent", "reflected resolvent of a bilinear saddle"),
            )
        ),
        *(
            Instance("FixedPoint", params={"n": n}, label=f"random affine, n = {n}", size=float(n))
            for n in (20, 80, 320)
        ),
    ),
    contenders=(
        Contender("anderson"),
        Contender("halpern"),
        Contender("halpern", {"anchor": "classic", "restart": None}, "halpern, classic"),
        Contender("averaged"),
    ),
    peers=(
        Peer("scipy anderson", f"{PEERS}:anderson", "scipy", LADDER),
        Peer("scipy krylov", f"{PEERS}:krylov", "scipy", LADDER),
        Peer("scipy df-sane", f"{PEERS}:df_sane", "scipy", LADDER),
        Peer("scipy fixed_point", f"{PEERS}:fixed_point", "scipy", LADDER),
    ),
    seeds=(0, 1),
    max_time=3.0,
    rates=True,
    notes="The classic Halpern iteration and averaging are the baselines of theorems, O(1/k) and "
    "O(1/sqrt(k)): they are not expected to reach 1e-6 in time on rotations.",
)
