"""The model as a BentoML service, the way its documentation writes one; runs in BentoML's own environment."""

import os

import bentoml
import numpy as np


@bentoml.service(workers=1)
class Bench:
    """Probabilities of the benchmark's model."""

    def __init__(self) -> None:
        from xgboost import XGBClassifier

        self.model = XGBClassifier()
        self.model.load_model(os.environ["BENCH_UBJ"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return class probabilities, shape (rows, 2)."""
        return self.model.predict_proba(rows)
