"""Benchmarks of speed and memory: ndgrad, its peers, and the same NumPy calls without a graph."""
