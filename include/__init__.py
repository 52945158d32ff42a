"""The library of the model factory; a package imports only packages above it in docs/architecture.md's list."""
