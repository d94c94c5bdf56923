"""Scores of a trained model, samplers of its latent space, and features to compare samples by."""
