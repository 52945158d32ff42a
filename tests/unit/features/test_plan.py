"""The feature plan, held against scikit-learn's own transformers, and against leakage by simulation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler, TargetEncoder

from include.features.categories import LONGEST, RARE_ROWS
from include.features.plan import FeaturePlan, FeaturePlanError, build_plan
from include.inference.dates import DATE_PARTS, date_parts
from include.inference.squashing import squashed
from include.specs.training import Features
from include.store.packages import Field, Manifest, ModelPackage, load_package, save_package, typed

FIELDS = (
    Field(name="fee", type="number"),
    Field(name="calls", type="number"),
    Field(name="active", type="boolean"),
    Field(name="plan", type="string"),
    Field(name="shop", type="string"),
    Field(name="seen", type="datetime"),
)


def rows(count: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    shop = rng.integers(0, 40, count)
    frame = pd.DataFrame(
        {
            "fee": np.where(rng.random(count) < 0.1, np.nan, rng.normal(10, 3, count) + y),
            "calls": rng.poisson(3, count).astype(float),
            "active": np.where(rng.random(count) < 0.1, np.nan, rng.integers(0, 2, count)),
            "plan": np.where(rng.random(count) < 0.1, None, rng.choice(["basic", "pro", "max"], count)),
            "shop": [f"s{value + 20 * label}" for value, label in zip(shop, y, strict=True)],
            "seen": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9000, count), unit="h"),
        }
    )
    frame.loc[:3, "plan"] = "gold"
    frame.loc[5:9, "seen"] = pd.NaT
    return typed(frame, FIELDS), y


def plan(scale: bool = False, **features: object) -> FeaturePlan:
    return build_plan(
        FIELDS, Features.model_validate({"max_onehot": 20, **features}), "binary", "scaled" if scale else "trees"
    )


def test_numbers_and_categories_agree_with_scikit_learns_transformers() -> None:
    train, y = rows()
    test, _ = rows(seed=1)
    test.loc[0, "plan"], test.loc[1, "shop"] = "never seen", "never seen either, and far longer than any known shop"
    reference = ColumnTransformer(
        [
            ("n", SimpleImputer(strategy="median", add_indicator=True), ["fee", "calls"]),
            ("b", SimpleImputer(strategy="most_frequent", add_indicator=True), ["active"]),
            (
                "o",
                OneHotEncoder(min_frequency=RARE_ROWS, handle_unknown="infrequent_if_exist", sparse_output=False),
                ["plan"],
            ),
            (
                "t",
                TargetEncoder(target_type="binary", cv=StratifiedKFold(5, shuffle=True, random_state=0)),
                ["shop"],
            ),
        ]
    )

    def filled(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(plan=frame["plan"].fillna("(missing)"), shop=frame["shop"])

    ours = build_plan(FIELDS[:-1], Features(max_onehot=20), "binary", "trees")
    found = ours.fit_transform(train, y)
    np.testing.assert_allclose(found[:, :-1], reference.fit_transform(filled(train), y), rtol=1e-6)
    np.testing.assert_array_equal(found[:, -1], train.groupby("shop")["shop"].transform("size"))
    np.testing.assert_allclose(ours.transform(test)[:, :-1], reference.transform(filled(test)), rtol=1e-6)
    assert ours.transform(test)[1, -1] == 0  # rows of a shop that was never seen
    assert list(ours.get_feature_names_out()) == [
        "fee",
        "calls",
        "fee is missing",
        "active",
        "active is missing",
        "plan=(missing)",
        "plan=basic",
        "plan=max",
        "plan=pro",
        "plan=(rare)",
        "shop (target mean)",
        "shop (rows)",
    ]


def test_scaling_is_asked_for_and_leaves_yes_or_no_alone() -> None:
    train, y = rows()
    plain, scaled = plan().fit(train, y), plan(scale=True).fit(train, y)
    names = list(plain.get_feature_names_out())
    before, after = plain.transform(train), scaled.transform(train)
    fee = names.index("fee")
    robust = RobustScaler(unit_variance=True).fit(train[["fee"]].dropna())
    drawn = squashed(robust.transform(before[:, [fee]].astype(float)))
    np.testing.assert_allclose(after[:, [fee]], StandardScaler().fit_transform(drawn), atol=1e-4)
    for name in ("plan=basic", "fee is missing", "seen is missing"):
        assert set(np.unique(after[:, names.index(name)])) == {0.0, 1.0}


def test_a_far_value_does_not_drown_the_others() -> None:
    train = pd.DataFrame({"fee": [*np.linspace(0, 1, 99), 1e30]})
    found = FeaturePlan(numeric=("fee",), scale=True).fit_transform(train)[:, 0]
    assert np.ptp(found[:99]) > 2  # a plain scaler would leave a millionth of a millionth
    assert found[99] < 10
    assert np.isfinite(FeaturePlan(numeric=("fee",), scale=True).fit(train[:1]).transform(train)).all()


def test_date_parts_agree_with_pandas() -> None:
    times = pd.Series(pd.to_datetime(["2026-02-28T23:59:59Z", "1969-12-31T01:00:00Z", None, "2024-02-29T00:00:00Z"]))
    parts = pd.DataFrame(date_parts(times.to_numpy("datetime64[ns]")), columns=DATE_PARTS)
    for name in ("month", "day", "weekday", "hour"):
        np.testing.assert_array_equal(parts[name], getattr(times.dt, name))
    np.testing.assert_allclose(parts["days"], (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1))
    np.testing.assert_allclose(parts["year_sin"], np.sin(2 * np.pi * (times.dt.dayofyear - 1) / 365.2425))


def test_rows_that_training_never_saw_are_welcome() -> None:
    train, y = rows()
    fitted = plan(scale=True).fit(train, y)
    nothing = typed(pd.DataFrame([{field.name: None for field in FIELDS}]), FIELDS)
    odd = typed(
        pd.DataFrame(
            [
                {
                    "fee": np.inf,
                    "calls": 1e300,
                    "active": 1,
                    "plan": "é" * 5000,
                    "shop": "",
                    "seen": datetime(1950, 1, 1, tzinfo=UTC),
                }
            ]
        ),
        FIELDS,
    )
    for strange in (nothing, odd):
        output = fitted.transform(strange)
        assert output.shape == (1, fitted.transform(train).shape[1])
        assert output.dtype == np.float32
        assert np.isfinite(output).all()
    assert fitted.transform(train.head(0)).shape[0] == 0
    with pytest.raises(FeaturePlanError, match="missing columns: fee, seen"):
        fitted.transform(train.drop(columns=["fee", "seen"]))


def test_a_longer_value_is_not_taken_for_the_level_that_it_begins_with() -> None:
    train = pd.DataFrame({"plan": ["basic", "pro", "max"] * 50})
    fitted = FeaturePlan(categorical=("plan",)).fit(train, np.tile([0, 1, 0], 50))
    assert fitted.transform(pd.DataFrame({"plan": ["basic", "basics", "bas", "proa"]})).tolist() == [
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_two_levels_are_one_yes_or_no() -> None:
    train = pd.DataFrame({"plan": ["basic", "pro"] * 50, "tariff": ["a"] * 95 + ["b", "c", "d", "e", "f"]})
    fitted = FeaturePlan(categorical=("plan", "tariff")).fit(train)
    assert list(fitted.get_feature_names_out()) == ["plan=pro", "tariff=(rare)"]
    found = fitted.transform(pd.DataFrame({"plan": ["basic", "pro", "new"], "tariff": ["a", "c", "new"]}))
    assert found.tolist() == [[0, 0], [1, 1], [0, 1]]


def test_long_texts_are_told_apart_by_their_beginning_alone() -> None:
    long = "x" * 119
    train = pd.DataFrame({"note": [long + "a" * 5000, long + "b", "short"] * 20})
    fitted = FeaturePlan(categorical=("note",)).fit(train)
    assert fitted.blocks_[0].levels_[0].dtype.itemsize <= 4 * LONGEST
    asked = pd.DataFrame({"note": [long + "a", long + "ab", long + "b" * 9, long, "shorter", "short"]})
    table = fitted.transform(asked).argmax(axis=1).tolist()
    assert table == [1, 1, 2, 0, 0, 0]
    assert fitted.transform(asked)[3:5].sum() == 0  # neither is known


def test_columns_without_any_value_and_numbers_as_categories() -> None:
    train, y = rows()
    train["fee"] = np.nan
    train["plan"] = None
    fitted = plan(categorical=["calls"]).fit(train, y)
    assert np.isfinite(fitted.transform(train)).all()
    names = list(fitted.get_feature_names_out())
    assert "plan=(missing)" in names
    assert "calls=3" in names  # 3.0 and 3 are the same level


def test_it_works_as_scikit_learn_expects() -> None:
    train, y = rows()
    unfitted = plan(scale=True)
    copy = clone(unfitted)
    assert copy.get_params() == unfitted.get_params()
    scores = cross_val_score(Pipeline([("plan", copy), ("model", LogisticRegression(max_iter=500))]), train, y, cv=3)
    assert scores.min() > 0.6
    copy.set_params(max_onehot=60).fit(train, y)
    assert any(name.startswith("shop=") for name in copy.get_feature_names_out())
    assert copy.n_features_in_ == 6


@pytest.mark.parametrize(("task", "width"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
def test_target_encoding_by_task(task: str, width: int) -> None:
    train, _ = rows()
    number = train["shop"].str[1:].astype(int).to_numpy()
    y = {"binary": number % 2, "multiclass": number % 3, "regression": np.sqrt(number)}[task]
    fitted = FeaturePlan(categorical=("shop",), task=task).fit(train, y)
    assert fitted.transform(train).shape == (600, width + 1)
    np.testing.assert_allclose(
        fitted.transform(pd.DataFrame({"shop": ["new"]}))[0],
        [*([y.mean()] if width == 1 else np.bincount(y) / 600), 0],
        rtol=1e-5,
    )
    assert fitted.get_feature_names_out()[0].startswith("shop (")
    assert FeaturePlan(categorical=("shop",), task=task, scale=True).fit_transform(train, y).shape == (600, width)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_trees_get_no_means_that_say_nothing(task: str) -> None:
    train, _ = rows()
    rng = np.random.default_rng(3)
    y = {"binary": rng.integers(0, 2, 600), "multiclass": rng.integers(0, 3, 600), "regression": rng.normal(size=600)}
    fitted = FeaturePlan(categorical=("shop",), task=task).fit(train, y[task])
    assert list(fitted.get_feature_names_out()) == ["shop (rows)"]


def test_views_encode_few_levels_each_in_its_way() -> None:
    train, y = rows()
    trees, scaled = (build_plan(FIELDS, Features(), "binary", view).fit(train, y) for view in ("trees", "scaled"))
    names = [name for name in trees.get_feature_names_out() if name.startswith("plan")]
    assert names == ["plan (rows)"]  # five levels that say nothing of the target
    assert sum(name.startswith("plan=") for name in scaled.get_feature_names_out()) == 5


def test_noise_with_many_levels_stays_noise_inside_cross_validation() -> None:
    """A target encoding that saw the validation fold, or its own row, would make these columns look predictive."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(11)
    count = 3000
    noise = pd.DataFrame({f"c{i}": rng.integers(0, 700, count).astype(str) for i in range(3)})
    y = rng.integers(0, 2, count)
    model = make_pipeline(FeaturePlan(categorical=tuple(noise.columns), scale=True), LogisticRegression())
    honest = cross_val_predict(model, noise, y, cv=StratifiedKFold(5), method="predict_proba")[:, 1]
    assert abs(roc_auc_score(y, honest) - 0.5) < 0.04  # standard error of an AUC here: 0.0105
    fitted = FeaturePlan(categorical=("c0",), scale=True)
    cross_fitted = fitted.fit_transform(noise, y)[:, 0]
    assert abs(roc_auc_score(y, cross_fitted) - 0.5) < 0.05
    own_row = fitted.transform(noise)[:, 0]
    assert roc_auc_score(y, own_row) > 0.6  # what leakage would look like: the test can fail


def test_validation_rows_do_not_change_what_is_learnt() -> None:
    train, y = rows()
    test, _ = rows(seed=5)
    before = plan(scale=True).fit(train, y).transform(test)
    fitted = plan(scale=True).fit(train, y)
    fitted.transform(test.assign(fee=1e6, plan="other"))
    np.testing.assert_array_equal(fitted.transform(test), before)


def test_a_package_keeps_plan_and_model_without_pickle(tmp_path: Path) -> None:
    from xgboost import XGBClassifier

    train, y = rows()
    sent = {"fee": 9.5, "calls": 2, "active": True, "plan": "pro", "shop": "s3", "seen": "2026-03-01T08:00:00Z"}
    for model in (LogisticRegression(max_iter=500), XGBClassifier(n_estimators=5, max_depth=3)):
        pipeline = Pipeline([("plan", plan(scale=True)), ("model", model)]).fit(train, y)
        manifest = Manifest(
            model="demo",
            task="binary",
            target="y",
            features=FIELDS,
            classes=("no", "yes"),
            algorithm=type(model).__name__,
            run="r",
            trained_at=datetime.now(UTC),
        )
        folder = tmp_path / type(model).__name__
        save_package(folder, ModelPackage(manifest, pipeline))
        loaded = load_package(folder)
        np.testing.assert_allclose(loaded.probabilities(train), pipeline.predict_proba(train), rtol=1e-6)
        assert loaded.predict(loaded.frame([sent]))[0]["label"] in ("no", "yes")
        names = loaded.estimator.named_steps["plan"].get_feature_names_out()
        assert list(names) == list(pipeline.named_steps["plan"].get_feature_names_out())
