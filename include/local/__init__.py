"""The embedded stack and the shipped run: what make run starts and drives."""
