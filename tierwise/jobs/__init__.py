"""Durable work: what was accepted is finished, whatever is killed and when."""
