"""A checker of FOCUS files: every computable rule of 1.2, on every row."""
