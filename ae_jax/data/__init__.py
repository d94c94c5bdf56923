"""Where examples come from, how they are split, corrupted, batched and streamed."""
