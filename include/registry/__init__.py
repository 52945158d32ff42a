"""MLflow: tracking, versions, aliases, lineage, model card."""
