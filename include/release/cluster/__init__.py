"""Targets on Kubernetes: a compiler from a placement to a manifest for each, and the client that they share."""
