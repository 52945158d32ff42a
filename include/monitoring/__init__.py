"""Drift, performance, quality: from windows of the prediction log to signals."""
