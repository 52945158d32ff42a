"""Where bytes live: artifacts (fsspec URI), tables (SQL), the prediction log, signals, routes."""
