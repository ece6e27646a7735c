"""What pools cost us, who had it, what stood idle, and who bears that: shared and idle cost, and margin."""
