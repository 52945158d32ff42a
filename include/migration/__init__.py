"""The move of an embedded factory to the stores that it is to live on: ``python -m include.migration --to FILE``."""
