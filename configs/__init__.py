"""Experiments, one screen a file: `get_config(arg)`."""
