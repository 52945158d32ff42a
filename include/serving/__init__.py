"""The model server; of the house it imports specs, store and registry alone."""
