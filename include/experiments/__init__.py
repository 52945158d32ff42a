"""Statistics only: design, sequential analysis, bandits; imports nothing of the house."""
