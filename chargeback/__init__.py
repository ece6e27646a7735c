"""Usage -> charges -> statements. No float in money, no clock: both are arguments."""
