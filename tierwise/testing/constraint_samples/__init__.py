"""Valid data of each constraint for any small problem, by chance: one file a kind, named as the constraint's file.

Each has a function ``sample(problem, chance)``.
"""
