"""Metrics of a trained model, samplers of its latent space, and feature extractors."""
