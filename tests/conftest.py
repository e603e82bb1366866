"""Settings of the whole test run."""

import os

import hypothesis

os.environ.setdefault("MPLBACKEND", "Agg")
# Small products are slower with two threads than with one, much slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("fejer", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fejer")
