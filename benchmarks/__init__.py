"""Benchmarks of time and memory, each a script; see `make bench` and `benchmarks/README.md`.

Nothing in `src/` imports them; the tests use the textbook supernets as oracles.
"""
