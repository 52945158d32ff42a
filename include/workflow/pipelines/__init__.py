"""One module per kind of pipeline; each function builds the DAG of one model."""
