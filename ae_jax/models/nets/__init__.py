"""Networks without meaning, from arrays to arrays, one kind a file; those with `Encoder` and `Decoder` for configs."""
