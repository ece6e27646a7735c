"""Estates from the outside world: files, and what the meters of the running estate say."""
