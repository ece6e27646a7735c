"""Data of each constraint for any small problem, one file a kind: ``sample(problem, chance)`` gives one that is valid."""
