"""Priors p(z), one a file: `Prior`, a module that answers a distribution over codes."""
