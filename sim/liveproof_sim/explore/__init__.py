"""Searching the orders: strategies, the explorer, verdicts."""
