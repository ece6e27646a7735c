"""Large batches of requests on pools that cost something to open and to license, solved with a proven gap.

`instance` is the problem as columns, `solve` its door. Counts of classes are what is searched; requests
get their pools at the end, because no cost here depends on the application a request belongs to.
"""
