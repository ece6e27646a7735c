"""Tier economics: what hosts, machines, pools and licences really cost, from figures with dates and sources."""
