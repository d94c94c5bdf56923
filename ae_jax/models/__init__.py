"""Model families, one a file, each exposing `Model(spec, ...)`: how `Outputs` is filled from a batch."""
