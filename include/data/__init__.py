"""Sources, snapshots, expectations."""
