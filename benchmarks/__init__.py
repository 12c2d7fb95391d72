"""Benchmarks: one file a scenario, each beside a reference measured in the same run."""
