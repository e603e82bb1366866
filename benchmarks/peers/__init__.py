"""Rival libraries with their best settings, one file per library."""
