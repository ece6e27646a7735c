"""Parts of the estates that `placement.generator` makes up: hosts, applications, and rules for them."""
