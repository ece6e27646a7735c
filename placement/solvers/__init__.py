"""Ways to find counts for a model. Only these import ortools, and only when they are called."""
