"""Figures of a trained model, and web pages to explore it with."""
