"""Models that were trained elsewhere, on their way into the registry."""
