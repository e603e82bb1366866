"""Settings of the whole test run."""

import os

import hypothesis

os.environ.setdefault("MPLBACKEND", "Agg")

hypothesis.settings.register_profile("fejer", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fejer")
