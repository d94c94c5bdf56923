"""Objectives, which training minimises: `objective(outputs, batch, *, ...) -> {term: [B]}`.

Each file contains one idea. Every public function of these files whose first parameters are (outputs, batch) is an
objective under its own name.

Args:
  outputs: what the model returned for the batch.
  batch: the batch.

Returns:
  Terms of each example [B], each to be minimised, in nats unless the objective says otherwise. They are neither
  weighted nor averaged here; a statistic of the whole batch is broadcast to [B]. An objective with several players
  returns {player: {term: [B]}}.
"""
