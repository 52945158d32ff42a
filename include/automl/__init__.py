"""Search, ensembling, calibration: from training rows to a candidate."""
