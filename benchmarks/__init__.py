"""Speed and memory, measured side by side: ndgrad, its peers, and the same NumPy calls without any graph."""
