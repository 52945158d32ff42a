"""The tests and effect sizes that the monitors rest on: of two samples without missing values, the reference first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
BINS = 10
_LEAST_EXPECTED = 5


def ks_p_value(reference: Array, current: Array) -> float:
    """Return the p-value of the two-sample Kolmogorov-Smirnov test; with ties it errs on the side of no drift."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(reference, current).pvalue)


def homogeneity_p_value(reference: pd.Series, current: pd.Series) -> float:
    """Return the p-value of Pearson's chi-squared test that both samples have the same mix of categories.

    This is the test of homogeneity of two samples. A goodness-of-fit test that takes the reference shares for known
    (such as Evidently's ``chisquare``) leaves out the noise of the reference, and takes one unseen category for certain
    drift. Categories with fewer than 5 expected in the smaller sample are pooled (Cochran 1954); the choice rests on
    the margins alone, which say nothing about a difference.
    """
    return homogeneity_of_counts(reference.value_counts(), current.value_counts())


def homogeneity_of_counts(reference: Mapping[Any, int], current: Mapping[Any, int]) -> float:
    """Return the same of two mappings category → rows."""
    from scipy.stats import chi2_contingency

    table = table_of_counts(reference, current)
    if table.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def category_table(reference: pd.Series, current: pd.Series) -> Array:
    """Return the table of counts of two samples; see `table_of_counts`."""
    return table_of_counts(reference.value_counts(), current.value_counts())


def table_of_counts(reference: Mapping[Any, int], current: Mapping[Any, int]) -> Array:
    """Return counts by sample and category, shape (2, cells); rare categories share a cell with others as rare.

    Ties are broken by name: an order that depended on the sample would be a difference between the samples.
    """
    import pandas as pd

    both = pd.concat([pd.Series(dict(side), dtype=float) for side in (reference, current)], axis=1).fillna(0)
    counts: Array = both.sort_index(key=lambda names: names.map(str)).to_numpy(dtype=float).T
    counts = counts[:, np.argsort(counts.sum(axis=0), kind="stable")]
    sizes = counts.sum(axis=1)
    least = _LEAST_EXPECTED * sizes.sum() / sizes.min()
    starts, filled = [], least
    for position, total in enumerate(counts.sum(axis=0)):
        if filled >= least:
            starts.append(position)
            filled = 0.0
        filled += total
    if filled < least and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(counts, starts, axis=1)


def numeric_psi(reference: Array, current: Array) -> float:
    """Return the population stability index over the deciles of the reference; 0.1 is small, 0.25 is large."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    cells = len(edges) + 1
    counts = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=cells) for values in (reference, current)
    ]
    return psi_of_counts(np.array(counts, dtype=float))


def categorical_psi(reference: pd.Series, current: pd.Series) -> float:
    """Return the population stability index over the categories, rare ones pooled."""
    return psi_of_categories(reference.value_counts(), current.value_counts())


def psi_of_categories(reference: Mapping[Any, int], current: Mapping[Any, int]) -> float:
    """Return the same of two mappings category → rows."""
    return psi_of_counts(table_of_counts(reference, current))


def psi_of_counts(counts: Array) -> float:
    """Return sum((q - p) ln(q / p)) of two rows of counts; half a count more in each cell keeps empty ones finite."""
    shares = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 0.5 * counts.shape[1])
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def rise_p_value(reference_hits: int, reference_rows: int, hits: int, rows: int) -> float:
    """Return the p-value of "the share of hits has not risen": Fisher's exact test, one-sided."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, reference_rows + rows, reference_hits + hits, rows))
