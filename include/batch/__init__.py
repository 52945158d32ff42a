"""Batch predictions: a released version over many rows, with the same answers as the model server's."""
