"""From a config to a trained run: its parts, its directory, its training and its analysis."""
