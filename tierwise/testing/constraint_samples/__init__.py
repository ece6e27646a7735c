"""Valid random data for each kind of constraint, one file a kind: ``sample(problem, chance)`` fits any small problem."""
