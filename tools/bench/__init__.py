"""Benchmarks of the engine. They are run by hand and their results kept in docs/benchmarks.md; none is a test."""
