"""Posteriors q(z|x), one a file: `Posterior`, a module from encoder features to a distribution over codes."""
