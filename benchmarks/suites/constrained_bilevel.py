"""Bilevel problems with constraints: classics, the published example, mislabelled tumours."""

from fejer.benchmarks.suite import Contender, Instance, Suite

HERE = "fejer.benchmarks.instances.constrained_bilevel"

CLASSICS = ("falk-liu", "de-silva", "bard", "clark-westerberg", "aiyoshi-shimizu")

SUITE = (
    Suite(
        name="constrained-bilevel",
        title="Constraints at both levels: first-order methods and descent along pieces",
        instances=(
            Instance(
                "ConstrainedBilevel",
                f"{HERE}:cleaning_machine",
                {"n_train": 100},
                "support vectors of 100 tumours, 40 % mislabelled",
            ),
            *(Instance("ConstrainedBilevel", f"{HERE}:classic", {"name": k}, k) for k in CLASSICS),
            Instance(
                "ConstrainedBilevel",
                f"{HERE}:linear_response",
                {},
                "linear response, 90 equations below",
            ),
            Instance("ConstrainedBilevel", "random", {}, "random quadratic"),
        ),
        contenders=(Contender("kkt-implicit"), Contender("lv-hba-anderson"), Contender("lv-hba")),
        seeds=(0,),
        tol=1e-6,
        max_time=20.0,
        repeats=1,
        notes="The error of lv-hba is proportional to 1/c: it cannot reach this tolerance.",
    ),
    Suite(
        name="coupled-bilevel",
        title="The published example whose lower level has many solutions",
        instances=tuple(
            Instance(
                "ConstrainedBilevel",
                f"{HERE}:coupled",
                {"n": n},
                f"coupled example, n = {n}",
                size=float(n),
                family="coupled example",
            )
            for n in (100, 500, 2000)
        ),
        contenders=(Contender("lv-hba-anderson"), Contender("lv-hba")),
        seeds=(0,),
        tol=1e-6,
        max_time=10.0,
        repeats=1,
        notes="kkt-implicit takes no part: it needs a unique lower solution.",
    ),
)
