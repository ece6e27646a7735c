"""FOCUS, the FinOps Open Cost and Usage Specification: export in 1.2 and 1.4, a checker, and import of bills."""
