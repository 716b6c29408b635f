"""People's own recordings: train on them, evaluate, check and audit."""
