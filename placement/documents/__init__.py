"""The JSON form of a placement problem: what stands in it, how it becomes columns, and how columns become it again."""
