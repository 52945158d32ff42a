"""Metrics with intervals, explanations, fairness, gates."""
