"""A fitted model made fast: converters, runtimes, and the choice between them."""
