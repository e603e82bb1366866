"""Variance-reduced Halpern iteration: the two published experiments, and the growth with m."""

import math

from fejer.benchmarks.suite import Contender, Instance, Suite

MODULE = "fejer.benchmarks.instances.monotone"
# Norms of the published game with 500 houses, for the published steps.
SPECTRAL, FROBENIUS, HOUSES = 492.33, 493.06, 500
CHANCE = 1.0 / HOUSES
SINGLE = {"batch": 1, "probability": CHANCE}

GAME = Suite(
    name="vr-paper-game",
    title="Policeman and burglar with the published steps",
    instances=(
        Instance("MonotoneInclusion", f"{MODULE}:policeman_burglar", {"n": HOUSES}, "500 houses"),
    ),
    contenders=(
        Contender("vr-halpern", {"step": 5.0 / FROBENIUS, "batch": 22, "restart": None}),
        Contender("vr-extragradient", {"step": 3.0 * math.sqrt(CHANCE) / FROBENIUS, **SINGLE}),
        Contender(
            "vr-halpern-proximal",
            {
                "step": math.sqrt(HOUSES) / FROBENIUS,
                "inner": 0.05,
                "inner_step": 5.0 * math.sqrt(CHANCE * (1 - CHANCE)) / (math.sqrt(HOUSES) + 1),
                "restart": None,
                **SINGLE,
            },
        ),
        Contender("extragradient", {"step": 5.0 / SPECTRAL}),
        Contender("eag", {"step": 5.0 / SPECTRAL, "restart": None}),
    ),
    seeds=(1,),  # the published wealth of the houses, which the steps are made for
    tol=1e-5,
    max_time=15.0,
    repeats=1,
    notes="Published order by component calls: vr-extragradient, vr-halpern, vr-halpern-proximal, "
    "extragradient, eag. Read the curves over work, not over time.",
)

SADDLE = Suite(
    name="vr-paper-saddle",
    title="The slowest saddle point with the published steps",
    instances=(Instance("MonotoneInclusion", f"{MODULE}:slow_saddle", {"n": 200}, "n = 200"),),
    contenders=(
        Contender("vr-halpern", {"step": 0.3, "batch": 14, "restart": None}),
        Contender(
            "vr-halpern-proximal",
            {
                "step": math.sqrt(200.0),
                "inner": 0.05,
                "inner_step": 0.001,
                "restart": None,
                "batch": 1,
                "probability": 1.0 / 200,
            },
        ),
        Contender("vr-extragradient", {"step": 0.01, "batch": 1, "probability": 1.0 / 200}),
        Contender("extragradient", {"step": 0.5}),
        Contender("eag", {"steps": "constant", "step": 0.3, "restart": None}),
        Contender("feg", {"restart": None}, "feg, never restarted"),
        Contender("feg"),
    ),
    seeds=(0, 1, 2),
    tol=1e-6,
    max_time=15.0,
    repeats=1,
    notes="Without restarts nothing gets beyond 1/k here; restarted feg enters a linear regime.",
)

GROWTH = Suite(
    name="vr-growth",
    title="Component calls against the number of components",
    instances=tuple(
        Instance(
            "MonotoneInclusion",
            f"{MODULE}:least_squares_rows",
            {"m": m},
            f"least squares, m = {m}",
            size=float(m),
        )
        for m in (100, 400, 1600, 6400)
    ),
    contenders=(
        Contender("vr-halpern", {"restart": None}, "vr-halpern, never restarted"),
        Contender("halpern", {"restart": None}, "halpern, never restarted"),
        Contender("vr-extragradient"),
        Contender("extragradient"),
    ),
    seeds=(0, 1, 2),
    tol=1e-2,
    max_time=10.0,
    repeats=1,
    notes="Work is in passes over all components: a slope of -1/2 for the variance-reduced "
    "methods and of 0 for the others is what the theorems say.",
)

SUITE = (GAME, SADDLE, GROWTH)
