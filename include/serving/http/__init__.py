"""What arrives over HTTP: the front, the paths of the data plane, and FastAPI for everything else."""
