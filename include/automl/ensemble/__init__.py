"""From trials to one model: which of them to take, with what weight, and how their answers are calibrated."""
