"""Free text as numbers: weighted words of a small vocabulary, for training and in the same way for a single row."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LOOKED_AT = 10_000
"""Characters of a text that are looked at."""
_WORDS = re.compile(r"[^\W\d_]+|\d+")


def terms_of(text: str) -> list[str]:
    """Return the words of ``text`` in lower case (runs of letters, runs of digits), then its pairs of neighbours."""
    words = _WORDS.findall(text[:LOOKED_AT].lower())
    return words + [f"{first} {second}" for first, second in pairwise(words)]


class TextVectors:
    """Texts to vectors: TF-IDF weights of the known terms, times a matrix, plus an offset.

    The weight of a term is (1 + ln(times in the text)) idf; the weights of a text have length 1 (Salton and Buckley
    1988, "Term-weighting approaches in automatic text retrieval").

    Args:
        terms: the vocabulary.
        idf: inverse document frequency of each term.
        matrix: shape (terms, outputs - 1).
        offset: shape (outputs,); the first one is of the number of words.
        per_word: what the square root of the number of words is multiplied by.
    """

    def __init__(
        self, terms: Sequence[str], idf: Sequence[float], matrix: Array, offset: Array, per_word: float
    ) -> None:
        self._places = {term: place for place, term in enumerate(terms)}
        self._idf = list(idf)
        self._offset = np.asarray(offset, dtype=np.float64)
        self._matrix = np.asarray(matrix, dtype=np.float64).reshape(len(self._idf), len(self._offset) - 1)
        self._per_word = per_word
        self.terms, self.width = len(self._idf), len(self._offset)

    def document(self) -> dict[str, Any]:
        """Return what it was made of, as lists and numbers."""
        return {
            "terms": tuple(self._places),
            "idf": tuple(self._idf),
            "matrix": tuple(map(tuple, self._matrix.tolist())),
            "offset": tuple(self._offset.tolist()),
            "per_word": self._per_word,
        }

    def weights(self, text: str | None) -> tuple[list[int], list[float], int]:
        """Return the places of the known terms of ``text``, their weights, and the number of words."""
        terms = terms_of(text) if text else []
        places = [place for term in terms if (place := self._places.get(term)) is not None]
        counts = sorted(Counter(places).items())
        raw = [(1.0 + math.log(count)) * self._idf[place] for place, count in counts]
        length = math.sqrt(sum(weight * weight for weight in raw)) or 1.0
        return [place for place, _ in counts], [weight / length for weight in raw], (len(terms) + 1) // 2

    def of(self, text: str | None) -> Array:
        """Return the outputs of one text, float64, shape (outputs,): a missing one has no words."""
        places, weights, words = self.weights(text)
        outputs = self._offset.copy()
        outputs[0] += math.sqrt(words) * self._per_word
        if places:
            outputs[1:] += (self._matrix[places] * np.array(weights)[:, None]).sum(axis=0)
        return outputs
