"""Why a model answered what it did: SHAP values of a caller's features, summed over the columns that each became.

What a column is credited with that was made of two features (a ratio, a product) is shared by them in equal halves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from include.inference.scorer import Row
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

Space = Literal["logit", "probability", "value", "margin"]
"""What base value and contributions add up to: the score before the sigmoid or the softmax, a probability, a
regression's value, or that value before its link."""


class NotExplainableError(FactoryError):
    """There is no exact and quick explanation of this kind of model."""


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some rows.

    Attributes:
        space: what they add up to.
        base: the model's mean output, shape (outputs,): one for a regression, one for the positive of two classes,
            one a class for more.
        contributions: shape (rows, features, outputs), features in the manifest's order.
    """

    space: Space
    base: Array
    contributions: Array


@dataclass(frozen=True)
class Columns:
    """The way from rows to what the estimator takes.

    Attributes:
        encode: rows to a matrix, shape (rows, columns).
        origins: for each column the indices of the features that it is made of.
        mean: the mean of the training rows in these columns, where it is known.
    """

    encode: Callable[[Sequence[Row]], Array]
    origins: Sequence[Sequence[int]]
    mean: Array | None = None


Contributions = Callable[["Array"], tuple["Array", "Array"]]
"""A matrix to base (outputs,) and contributions (rows, columns, outputs)."""


class Explainer:
    """Explains one version of a model. Threads may share it."""

    def __init__(self, manifest: Manifest, columns: Columns, space: Space, contributions: Contributions) -> None:
        self._features, self._columns = len(manifest.features), columns
        self._space, self._contributions = space, contributions

    def explain(self, rows: Sequence[Row]) -> Explanation:
        """Return the SHAP values of ``rows``, at least one."""
        import numpy as np

        base, parts = self._contributions(self._columns.encode(rows))
        membership = np.zeros((parts.shape[1], self._features))
        for column, origins in enumerate(self._columns.origins):
            for feature in origins:  # what is made of two features is credited to both, half each
                membership[column, feature] += 1 / len(origins)
        return Explanation(self._space, base, np.einsum("rco,cf->rfo", parts, membership))
