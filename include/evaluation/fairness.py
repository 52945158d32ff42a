"""How differently a model treats the groups of a column, by fairlearn's definitions.

fairlearn's `demographic_parity_difference` is the largest difference of the selection rate between two groups, and
`MetricFrame.difference` that of any metric; both are differences "between groups" (Weerts et al. 2023, "Fairlearn:
Assessing and improving fairness of AI systems", JMLR 24).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.evaluation.metrics import DEFAULT_THRESHOLD, Array, best_threshold, labels, metric


@dataclass(frozen=True)
class BetweenGroups:
    """The largest difference between two groups.

    Attributes:
        difference: ``demographic_parity_difference``, that of the share of rows that are answered with the positive
            class, or ``metric_difference``, that of ``metric``.
        metric: the model's metric; for labels the threshold is tuned by it where none is given.
    """

    difference: str
    metric: str

    def __call__(
        self,
        target: Array,
        outputs: Array,
        groups: Array,
        weights: Array | None = None,
        threshold: float | None = None,
    ) -> float:
        """Return the difference; NaN where fewer than two groups have a figure.

        Args:
            target: codes or values, shape (rows,).
            outputs: shaped as `include.evaluation.metrics.Metric.values` takes them.
            groups: group of each row, shape (rows,). One in which a metric is not defined does not count.
            weights: how much each row counts, shape (rows,); the same when None.
            threshold: binary: probability from which the positive class is answered; tuned when None.
        """
        outputs, counts = np.asarray(outputs), np.ones(len(target)) if weights is None else np.asarray(weights)
        if threshold is None:
            binary = outputs.ndim == 1 and metric(self.metric).takes == "label"
            threshold = best_threshold(self.metric, target, outputs, weights) if binary else DEFAULT_THRESHOLD
        found = []
        for group in np.unique(groups):
            mine = groups == group
            if self.difference == "demographic_parity_difference":
                answered = labels(outputs[mine], threshold)
                found.append(float(np.average(answered, weights=counts[mine])))
            else:
                found.append(metric(self.metric).score(target[mine], outputs[mine], threshold, counts[mine]))
        defined = np.array(found)[np.isfinite(found)]
        return float(np.ptp(defined)) if len(defined) > 1 else float("nan")
