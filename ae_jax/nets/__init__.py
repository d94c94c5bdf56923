"""Networks without meaning: blocks from arrays to arrays, one kind a file, those with an `Encoder` and a `Decoder` named in configs."""
