"""The application around the engine: command line, database, durable jobs, use cases."""
