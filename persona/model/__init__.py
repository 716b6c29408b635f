"""A model on disk, and what answers with it."""
