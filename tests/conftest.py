"""Settings of the whole test run."""

import os
import re

import hypothesis

os.environ.setdefault("MPLBACKEND", "Agg")
# Small products are slower with two threads than with one, much slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("fejer", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fejer")


def pytest_itemcollected(item):
    """Take memory addresses out of test names, which processes that share the work compare."""
    item._nodeid = re.sub(r" at 0x[0-9a-f]+", "", item._nodeid)
