"""One source of examples a file. Each exposes `load(...) -> (DataSpec, splits)`.

`splits` is `{"train": {"x": [N, *spec.shape], "label": [N] int32}, "test": the same}`; "label" is absent where there
are no classes. Arrays are numpy: uint8 for pixels (they may be mapped from a file), float32 for reals. A source takes
those of the config's keys `name`, `dir`, `path`, `split` and `cache` that it reads, each a string, "" where unset.
"""
