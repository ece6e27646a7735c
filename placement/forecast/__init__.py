"""What is to come: demand, lifetimes, growth and failures by chance, and when pools are full.

Values that a document can hold, fits of them from data, and a simulation whose answer hangs on its seed alone.
"""
