"""Posteriors q(z|x), one a file: `Posterior`, a module from encoder features to a distribution over codes.

The distribution has `sample_and_log_prob(key, n)`, `log_prob`, and `mean`, the point that stands for it.
"""
