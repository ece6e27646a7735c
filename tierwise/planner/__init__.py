"""The planner: estates, scenarios and what comes of them, from files to reports."""
