"""The nouns of tierwise: tiers, pools, workload classes, offerings, orders and parties.

Everything here is a frozen value that is checked when it is made. The package imports nothing
else of tierwise and touches neither files nor networks, except that `catalog.documents` turns
document *text* into entries.
"""
