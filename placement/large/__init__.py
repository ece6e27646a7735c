"""Parts of the way for large problems: columns that are alike, bounds, first plans, and parts made better."""
