"""Suites, instances and peers that the methods are measured with."""

# Imported under a second name, every class and every registration would exist twice.
if __name__ != "fejer.benchmarks":
    raise ImportError(f"{__name__}: this folder is the package fejer.benchmarks")
