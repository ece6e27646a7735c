"""Level "rebalance": a running estate made better by moves that cost something themselves.

The problem is the machine reassignment of the ROADEF/EURO challenge 2012, where quality can be measured.
"""
