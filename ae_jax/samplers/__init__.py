"""Samplers of codes, fitted after training, one a file: `fit(codes, key) -> sample`, `sample(key, n)` -> [n, D]."""
