"""RVTools exports, read and written."""
