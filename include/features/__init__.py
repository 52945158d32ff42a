"""Feature engineering and the feature store adapter."""
