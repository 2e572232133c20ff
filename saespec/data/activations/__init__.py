"""The activation store: extraction writes it, sources of batches read it."""
