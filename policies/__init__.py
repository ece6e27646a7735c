"""Rule documents, written by administrators, turned into decisions with reasons. Pure."""
