"""Free text: what its words say of the target, and what they have in common."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.blocks import Block, spread
from include.features.categories import MOST_CLASSES
from include.features.encodings import folds_of, targets_of
from include.inference.encoding import Part, Text
from include.inference.texts import TextVectors, terms_of
from include.specs.training import Task

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

FEW = 20
"""Columns with up to this many distinct values are no free text."""
FREE_TEXT_WORDS = 3.0
"""Mean number of words from which mostly distinct text counts as free text."""
MOST_TERMS = 1000
"""Terms of a vocabulary: the ones in most texts."""
LEAST_TEXTS = 3
"""Texts that a term must occur in."""
TOPICS = 12
"""Directions in which texts differ most (latent semantic analysis)."""
MOST_ROWS = 30_000
"""Rows that vocabulary and weights are learnt from; more of them change little and take long."""


def is_free_text(known: pd.Series, distinct: int) -> bool:
    """Tell whether a column of text, without gaps and with ``distinct`` values, is prose rather than a category."""
    if distinct <= max(FEW, len(known) / 2):
        return False
    looked_at = known.iloc[: MOST_ROWS // 10]
    return bool(looked_at.str.split().str.len().mean() >= FREE_TEXT_WORDS)


class TextBlock(Block):
    """Free text: for each column the number of words, what they say of the target, and its topics.

    What they say is a ridge regression of the target (a class's 0 or 1) on the TF-IDF weights, cross-fitted on training
    rows; the topics are a truncated singular value decomposition of them (Deerwester et al. 1990, "Indexing by latent
    semantic analysis").
    """

    def __init__(self, columns: tuple[str, ...], task: Task = "binary", scale: bool = False) -> None:
        super().__init__(columns, scale)
        self.task = task

    def fit(self, rows: pd.DataFrame, y: Array | None) -> TextBlock:
        """Learn vocabularies, weights and topics."""
        if y is None:
            raise ValueError("what words say is learnt from the target: fit needs y")
        self.vectors_: list[TextVectors] = []
        self.names_: list[list[str]] = []
        self.scales_: list[Array] = []  # mean and deviation of each output, shape (2, outputs)
        targets = np.column_stack(_said(y, self.task))
        for column in self.columns:
            texts, places = _distinct(rows[column])
            chosen = _some(len(y))
            terms, idf = _vocabulary([texts[place] for place in places[chosen]])
            weights, words = _weights(TextVectors(terms, idf, np.empty((len(terms), 0)), np.zeros(1), 0.0), texts)
            weights, words = weights[places[chosen]], words[places[chosen]]
            coefficients, intercepts = _ridge(weights, targets[chosen])
            topics = _topics(weights)
            matrix = np.hstack([coefficients, topics])
            offset = np.concatenate([[0.0], intercepts, np.zeros(topics.shape[1])])
            scale = _scale_of(words, weights @ matrix + offset[1:]) if self.scale else _no_scale(len(offset))
            mean, deviation = scale
            self.vectors_.append(
                TextVectors(
                    terms, idf, _short(matrix / deviation[1:]), _short((offset - mean) / deviation), 1.0 / deviation[0]
                )
            )
            self.scales_.append(scale)
            self.names_.append(_names(column, terms, topics, self.task, targets.shape[1]))
        return self

    def write(self, rows: pd.DataFrame, out: Array) -> None:
        """Write the outputs of each text; each distinct one is looked at once."""
        start = 0
        for column, vectors in zip(self.columns, self.vectors_, strict=True):
            texts, places = _distinct(rows[column])
            table = np.array([vectors.of(text) for text in texts], dtype=np.float32)
            out[:, start : start + vectors.width] = table.reshape(len(texts), vectors.width)[places]
            start += vectors.width

    def write_training(self, rows: pd.DataFrame, y: Array | None, out: Array) -> None:
        """Write the rows that it was fitted on: what words say is learnt from rows of other folds."""
        self.write(rows, out)
        if y is None:
            return
        targets, chosen = np.column_stack(_said(y, self.task)), np.zeros(len(y), dtype=bool)
        chosen[_some(len(y))] = True
        start = 1  # after the number of words
        for column, vectors, (mean, deviation) in zip(self.columns, self.vectors_, self.scales_, strict=True):
            texts, places = _distinct(rows[column])
            weights = _weights(vectors, texts)[0]
            said = slice(1, 1 + targets.shape[1])
            for fit, held in folds_of(y, self.task):
                learnt = fit[chosen[fit]]
                coefficients, intercepts = _ridge(weights[places[learnt]], targets[learnt])
                found = weights[places[held]] @ coefficients + intercepts
                out[held, start : start + targets.shape[1]] = (found - mean[said]) / deviation[said]
            start += vectors.width

    def parts(self) -> list[Part]:
        """Return one part a column."""
        pairs = zip(self.columns, self.vectors_, strict=True)
        return [Text(column=column, **vectors.document()) for column, vectors in pairs]

    def names(self) -> list[str]:
        """Return ``column (words)``, ``column (target by words)`` or one a class, and ``column about …`` a topic."""
        return [name for names in self.names_ for name in names]


def _said(y: Array, task: Task) -> list[Array]:
    """Return what is regressed on words: the target, or a column a class where those are few."""
    targets = targets_of(y, task)
    return targets if len(targets) <= MOST_CLASSES else [np.asarray(y, dtype=np.float64)]


def _distinct(column: pd.Series) -> tuple[list[str | None], Array]:
    """Return the distinct texts, and for each row the place of its text."""
    import pandas as pd

    places, texts = pd.factorize(column.to_numpy(), use_na_sentinel=True)
    return [*map(str, texts), None], np.where(places < 0, len(texts), places)


def _some(rows: int) -> Array:
    if rows <= MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))


def _vocabulary(texts: list[str | None]) -> tuple[list[str], list[float]]:
    """Return the terms of most texts, sorted, and their smoothed inverse document frequencies."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(set(terms_of(text or "")))
    common = [(term, count) for term, count in found.most_common(MOST_TERMS) if count >= LEAST_TEXTS]
    terms = sorted(common)
    return [term for term, _ in terms], [float(np.log((1 + len(texts)) / (1 + count)) + 1) for _, count in terms]


def _weights(vectors: TextVectors, texts: list[str | None]) -> tuple[Any, Array]:
    """Return the weights of terms, sparse, shape (texts, terms), and the square roots of the numbers of words."""
    from scipy.sparse import csr_matrix

    found = [vectors.weights(text) for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(places) for places, _, _ in found])])
    places = np.array([place for row, _, _ in found for place in row], dtype=np.int64)
    values = np.array([weight for _, row, _ in found for weight in row], dtype=np.float64)
    words = np.sqrt([count for _, _, count in found])
    return csr_matrix((values, places, starts), shape=(len(texts), vectors.terms)), words


def _ridge(weights: Any, targets: Array) -> tuple[Array, Array]:
    """Return coefficients, shape (terms, targets), and intercepts."""
    from sklearn.linear_model import Ridge

    if not weights.shape[1]:
        return np.empty((0, targets.shape[1])), targets.mean(axis=0)
    model = Ridge(alpha=1.0, solver="sparse_cg", max_iter=100, tol=1e-3).fit(weights, targets)
    return np.atleast_2d(model.coef_).T.reshape(weights.shape[1], -1), np.atleast_1d(model.intercept_)


def _topics(weights: Any) -> Array:
    """Return the directions in which texts differ most, shape (terms, topics)."""
    from sklearn.decomposition import TruncatedSVD

    count = min(TOPICS, weights.shape[0] - 1, weights.shape[1] - 1)
    if count < 1:
        return np.empty((weights.shape[1], 0))
    topics: Array = TruncatedSVD(count, random_state=0).fit(weights).components_.T
    return topics


def _scale_of(words: Array, outputs: Array) -> Array:
    return np.array([spread(words), *(spread(column) for column in outputs.T)]).T


def _no_scale(outputs: int) -> Array:
    return np.array([np.zeros(outputs), np.ones(outputs)])


def _short(values: Array) -> Array:
    """Return ``values`` with six digits each: enough for float32, and half as long as a document."""
    return np.array([float(f"{value:.6g}") for value in values.ravel()]).reshape(values.shape)


def _names(column: str, terms: list[str], topics: Array, task: Task, said: int) -> list[str]:
    by_words = (
        [f"{column} (target by words)"]
        if task != "multiclass" or said == 1
        else [f"{column} (class {code} by words)" for code in range(said)]
    )
    about = [", ".join(terms[place] for place in np.argsort(-np.abs(topic), kind="stable")[:3]) for topic in topics.T]
    return [f"{column} (words)", *by_words, *(f"{column} about {words}" for words in about)]
