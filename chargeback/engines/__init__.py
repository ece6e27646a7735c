"""Engines that rating's queries run on: DuckDB inside the process, or any that Ibis reaches."""
