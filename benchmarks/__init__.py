"""How fast the supernet is beside the textbook one: `make bench`, and `benchmarks/README.md`."""
