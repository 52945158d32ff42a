"""Rollout policies, and a client for each target."""
