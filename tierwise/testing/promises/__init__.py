"""The promises of the connector contract, grouped by what they are about."""
