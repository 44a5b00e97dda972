"""The figures that the docs quote, each with the command that makes it. Not part of the tests.

`python -m benchmarks.verify` measures spending; docs/performance.md says how to run and read it.
"""
