"""Sources of examples, and how they are split, corrupted, batched and streamed."""
