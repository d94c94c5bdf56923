"""What training minimises, one idea per file: `objective(outputs, batch, *, ...) -> {term: [B]}`.

Every public function of these files whose first arguments are (outputs, batch) is an objective under its own name.
Terms are per example, each to be minimised, in nats where nothing else is said. They are neither weighted nor averaged
here. A statistic of the batch is returned broadcast to [B]. An objective of several players returns
{player: {term: [B]}}.
"""
