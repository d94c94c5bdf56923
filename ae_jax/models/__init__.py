"""Model families, one per file: `Model(spec, ...)` makes `Outputs` from a batch."""
