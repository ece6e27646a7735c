"""The planner's what-if: an estate and a document of questions -> what each would cost, move and make impossible.

`document` is what a planner writes, `changes` what a scenario may change, `prepare` an estate ready to be asked about,
`run` the asking, `result` the answer, and `diff` several answers beside each other.
"""
