"""The large table is the same again, has what real ones have, and can be learnt from, though not perfectly."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.automl.simulated import LEVELS, NUMBERS, simulated


def test_it_can_be_learnt_but_not_perfectly() -> None:
    frame = simulated(20_000)
    assert frame.equals(simulated(20_000))
    assert frame.shape == (20_000, NUMBERS + len(LEVELS) + 1)
    assert 0.1 < frame["y"].mean() < 0.4
    assert 0.02 < frame["n00"].isna().mean() < 0.04 and not frame["n01"].isna().any()
    assert 5000 < frame["c11"].nunique() < 10_000
    known = frame[["n00", "n04"]].fillna(0).assign(n01=np.log(frame["n01"]))
    model = LogisticRegression().fit(known[:10_000], frame["y"][:10_000])
    assert 0.6 < roc_auc_score(frame["y"][10_000:], model.predict_proba(known[10_000:])[:, 1]) < 0.85
