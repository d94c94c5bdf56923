"""Priors p(z), one a file: `Prior`, a module that answers a distribution over codes.

It is called without arguments, or, where it has `reads_posterior`, as `prior(posterior_of, spec)`.
"""
