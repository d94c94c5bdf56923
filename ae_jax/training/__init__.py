"""The training step, the loop that runs it, optimisers, precision and checkpoints."""
