"""Free text: held against scikit-learn's own TF-IDF, against leakage, and against what a category would tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from include.features.plan import FeaturePlan, View, build_plan
from include.features.texts import TextBlock, is_free_text
from include.inference.encoder import FEW, Encoder
from include.inference.encoding import Encoding, Text
from include.inference.frames import mixed_frame
from include.inference.texts import TextVectors, terms_of
from include.specs.training import Features, Task
from include.store.packages import Field, load_package, save_package
from tests.unit.inference.tables import manifest

WORDS = [
    "the",
    "parcel",
    "came",
    "late",
    "box",
    "was",
    "broken",
    "nice",
    "colour",
    "fast",
    "delivery",
    "refund",
    "asked",
    "twice",
    "number",
    "12",
    "and",
    "7",
]
FIELDS = (Field(name="note", type="string"), Field(name="fee", type="number"))


def notes(count: int = 400, seed: int = 0, signal: bool = True) -> tuple[list[tuple[str | None, float]], np.ndarray]:
    """Return rows of `FIELDS`; notes of class 1 speak of refunds more often."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    rows: list[tuple[str | None, float]] = []
    for label in y:
        words = list(rng.choice(WORDS, int(rng.integers(4, 15))))
        if signal and label and rng.random() < 0.8:
            words[0] = "unhappy"
        rows.append((None if rng.random() < 0.05 else " ".join(words), float(rng.normal())))
    return rows, y


def plan(view: View = "trees", task: Task = "binary") -> FeaturePlan:
    return build_plan(FIELDS, Features(), task, view)


def test_terms_are_words_numbers_and_pairs() -> None:
    assert terms_of("Große_Box: no-12 ÄB3") == [
        *("große", "box", "no", "12", "äb", "3"),
        *("große box", "box no", "no 12", "12 äb", "äb 3"),
    ]
    assert terms_of("?!") == []


def test_weights_are_those_of_scikit_learn() -> None:
    texts = [text or "" for text, _ in notes()[0]]
    reference = TfidfVectorizer(analyzer=terms_of, min_df=3, sublinear_tf=True).fit(texts)
    expected = reference.transform(texts).toarray()
    terms = list(reference.get_feature_names_out())
    vectors = TextVectors(terms, reference.idf_.tolist(), np.eye(len(terms)), np.zeros(len(terms) + 1), 0.0)
    found = np.array([vectors.of(text)[1:] for text in texts])
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("view", ["trees", "scaled"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_document_gives_the_same_bit_for_bit(task: Task, view: View) -> None:
    rows, y = notes()
    target = {"binary": y, "multiclass": np.arange(400) % 3, "regression": y * 2.5}[task]
    fitted = plan(view, task).fit(mixed_frame(rows, FIELDS), target)
    encoding = fitted.encoding([field.name for field in FIELDS])
    assert any(isinstance(part, Text) for part in encoding.parts)
    encoder = Encoder(Encoding.model_validate_json(encoding.model_dump_json()), FIELDS)
    asked = [*notes(100, seed=1)[0], ("", 0.0), (None, 0.0), ("unhappy " * 9000, 1.0), ("ünknown ☃\0", -1.0)]
    expected = fitted.transform(mixed_frame(asked, FIELDS))
    np.testing.assert_array_equal(encoder.encode(asked), expected)
    np.testing.assert_array_equal(np.vstack([encoder.encode_one(row) for row in asked]), expected)
    np.testing.assert_array_equal(encoder.encode(asked[-FEW:]), expected[-FEW:])
    assert np.isfinite(expected).all()
    assert len(fitted.get_feature_names_out()) == expected.shape[1]


def test_words_tell_what_a_category_of_distinct_texts_cannot() -> None:
    rows, y = notes(600)
    frame = mixed_frame(rows, FIELDS)
    model = make_pipeline(plan("scaled"), LogisticRegression(max_iter=500))
    assert cross_val_score(model, frame, y, scoring="roc_auc").mean() > 0.85
    names = list(model.fit(frame, y)[0].get_feature_names_out())
    assert names[1:3] == ["note (words)", "note (target by words)"]
    assert all(name.startswith("note about ") for name in names[3:-1])


def test_training_rows_do_not_see_their_own_target() -> None:
    rows, y = notes(400, signal=False)
    fitted = plan()
    cross = fitted.fit_transform(mixed_frame(rows, FIELDS), y)
    said = list(fitted.get_feature_names_out()).index("note (target by words)")
    own = fitted.transform(mixed_frame(rows, FIELDS))
    assert abs(roc_auc_score(y, cross[:, said]) - 0.5) < 0.1
    assert roc_auc_score(y, own[:, said]) > 0.65  # what leakage would look like: the test can fail


def test_texts_without_a_common_word_still_have_a_number_of_words() -> None:
    frame = pd.DataFrame({"note": [" ".join(f"w{row}x{place}" for place in "abc") for row in range(60)]})
    frame["note"] = [text.translate(str.maketrans("0123456789", "qrstuvwxyz")) for text in frame["note"]]
    found = TextBlock(("note",)).fit(frame, np.arange(60) % 2)
    assert found.vectors_[0].terms == 0
    assert found.names() == ["note (words)", "note (target by words)"]


def test_what_counts_as_free_text() -> None:
    prose = pd.Series([f"a remark with number {row}" for row in range(60)])
    assert is_free_text(prose, 60)
    assert not is_free_text(prose.head(20), 20)
    assert not is_free_text(pd.Series([f"code{row}" for row in range(60)]), 60)
    assert not is_free_text(pd.Series([f"a remark with number {row % 25}" for row in range(60)]), 25)


def test_a_package_keeps_words_without_pickle(tmp_path: Path) -> None:
    from sklearn.pipeline import Pipeline

    from include.store.packages import ModelPackage

    rows, y = notes()
    frame = mixed_frame(rows, FIELDS)
    pipeline = Pipeline([("features", plan()), ("model", LogisticRegression())]).fit(frame, y)
    save_package(tmp_path, ModelPackage(manifest("binary", FIELDS), pipeline))
    np.testing.assert_array_equal(load_package(tmp_path).probabilities(frame), pipeline.predict_proba(frame))
