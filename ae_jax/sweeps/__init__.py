"""Sweeps: many runs of a config, trained in compiled groups, searched by Optuna, and drawn."""
