"""What models lose by the documented shift of the simulated business, and win back by retraining (docs/churn.md).

Run with ``python -m benchmarks.churn_shift``; about half a minute.
"""

from __future__ import annotations

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from include.data.churn import HISTORY_START_WEEK, HISTORY_WEEKS, SHIFT_WEEK, simulate

TEST_ROWS = 5000


def features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the feature columns, booleans as numbers."""
    kept = frame.drop(columns=["customer_id", "observed_at", "churned"])
    return kept.astype({name: "float64" for name in kept if kept[name].dtype == "bool"})


def pipeline(estimator: object) -> Pipeline:
    """Return ``estimator`` behind imputation, scaling and one-hot encoding."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(
        make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object)),
        ),
        estimator,
    )


def auc(train: pd.DataFrame, test: pd.DataFrame, estimator: object) -> float:
    """Return the ROC AUC on ``test`` of a model trained on ``train``."""
    model = pipeline(estimator).fit(features(train), train["churned"])
    return float(roc_auc_score(test["churned"], model.predict_proba(features(test))[:, 1]))


def main() -> None:
    """Print the table of docs/churn.md."""
    from xgboost import XGBClassifier

    before, after = simulate(56, 4, TEST_ROWS // 4), simulate(SHIFT_WEEK + 4, 4, TEST_ROWS // 4)
    history = simulate(HISTORY_START_WEEK, HISTORY_WEEKS)
    trained = {
        "history, tested before the shift": (history, before),
        "history, tested after the shift": (history, after),
        "weeks 60-61, 400 rows each": (simulate(60, 2, 400), after),
        "weeks 60-62, 400 rows each": (simulate(60, 3, 400), after),
        "weeks 59-61, 400 rows each": (simulate(59, 3, 400), after),
        "weeks 59-61, 1500 rows each": (simulate(59, 3, 1500), after),
    }
    print(f"churn rate: {before['churned'].mean():.3f} before, {after['churned'].mean():.3f} after\n")
    print("| trained on | rows | logistic regression | random forest | XGBoost |\n| --- | --- | --- | --- | --- |")
    for title, (train, test) in trained.items():
        estimators = (
            LogisticRegression(max_iter=500),
            RandomForestClassifier(200, min_samples_leaf=5, n_jobs=2, random_state=0),
            XGBClassifier(n_estimators=150, max_depth=3, learning_rate=0.08, n_jobs=2),
        )
        scores = " | ".join(f"{auc(train, test, estimator):.3f}" for estimator in estimators)
        print(f"| {title} | {len(train)} | {scores} |")


if __name__ == "__main__":
    main()
