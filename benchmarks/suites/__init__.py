"""Suites, one file per family."""
