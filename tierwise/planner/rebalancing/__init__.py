"""A running estate made better within its pools: which machines go to which hosts, why, and in what order."""
