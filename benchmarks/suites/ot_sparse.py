"""Quadratic and sparsity-constrained transport: evaluations against gamma and k."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MODULE = "fejer.benchmarks.instances.plans"
LADDER = (1e-7, 1e-8, 1e-10, 1e-12)

QUADRATIC = Suite(
    name="ot-quadratic",
    title="Transport with a quadratic term, n = 1000",
    instances=(
        *(
            Instance(
                "QuadraticOT",
                f"{MODULE}:quadratic",
                {"kind": kind, "n": 1000, "gamma": gamma},
                f"{kind}, n = 1000, gamma = {gamma:g}",
            )
            for kind, gamma in (
                ("pc2", 1.0), ("pc2", 0.1), ("lap", 0.1), ("grid", 10.0), ("grid", 1.0),
                ("pc10", 0.1),
            )
        ),
        Instance(
            "QuadraticOT",
            f"{MODULE}:colours",
            {"gamma": 1.0, "cells": 8},
            "colours of two photographs, 8^3 cells, gamma = 1",
        ),
    ),
    contenders=(Contender("lbfgs-dual"),),
    peers=(Peer("RegOT grssn", "fejer.benchmarks.peers.regot:grssn", "regot", LADDER, "RegOT"),),
    seeds=(0,),
    max_time=60.0,
    repeats=1,
)  # fmt: skip

SPARSE = Suite(
    name="ot-sparse",
    title="Transport with at most k entries in a row",
    instances=(
        *(
            Instance(
                "SparseOT",
                f"{MODULE}:limited_digits",
                {"gamma": 0.1, "k": k},
                f"two digits, gamma = 0.1 n, k = {k}",
            )
            for k in (2, 4, 8, 16)
        ),
        *(
            Instance(
                "SparseOT",
                f"{MODULE}:limited_colours",
                {"gamma": 1.0, "k": k},
                f"colours of two photographs, gamma = 1, k = {k}",
            )
            for k in (8, 16, 64)
        ),
        *(
            Instance(
                "SparseOT",
                f"{MODULE}:sparse",
                {"kind": "pc2", "n": 60, "gamma": gamma, "k": k},
                f"pc2, n = 60, gamma = {gamma:g}, k = {k}",
            )
            for gamma in (0.1, 1.0, 10.0)
            for k in (1, 2, 3, 5, 8, 15, 60)
        ),
    ),
    contenders=(Contender("lbfgs-dual"),),
    seeds=(0, 1, 2),
    repeats=1,
    max_time=20.0,
    max_iter=3000,
    notes="Where k binds, ties at the k-th entry make the dual a strict relaxation: the run then "
    "ends with the gap that is left, which no method on this dual can close. Weights that differ "
    "leave few plans with two entries a row, or none: 'relaxed'.",
)

SUITE = (QUADRATIC, SPARSE)
