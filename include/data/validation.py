"""Hold rows against expectations by Great Expectations; set failing rows aside; keep the result as a page."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from include.data.expectations import Rule, catalogue
from include.data.frames import kind_of
from include.specs import FactoryError

_BETWEEN = ("min_value", "max_value")
_EXTERNAL = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>|url\('https?://[^)]*\)", re.DOTALL
)
_STYLE = """<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0; width: 100% } td, th { border: 1px solid #ddd; padding: .3rem .6rem;
text-align: left; vertical-align: top }
.card, a[data-toggle], .navbar, .modal, .collapse, .ge-navigation, .cooltip .top, button { display: none }
.fa-check-circle::before { content: "✓"; color: #080 } .fa-times::before { content: "✗"; color: #c00 }
.fa-exclamation-triangle::before { content: "!"; color: #c60 } .alert { background: #f6f6f6; padding: .5rem 1rem }
</style>"""


@dataclass(frozen=True)
class Failure:
    """A rule that failed.

    Attributes:
        rule: the rule.
        rows: positions of the failing rows; empty where the table as a whole failed.
        detail: what was seen, for a person.
    """

    rule: Rule
    rows: tuple[int, ...]
    detail: str

    @property
    def rejects(self) -> bool:
        """Whether the run ends: the owner wants it, or there is no row that could be set aside."""
        return self.rule.consequence == "reject" or (self.rule.consequence == "quarantine" and not self.rows)

    def __str__(self) -> str:
        return f"{self.rule.title} ({self.detail})"


@dataclass(frozen=True)
class Validation:
    """What became of the rules: those that failed, and the page for a person."""

    failures: tuple[Failure, ...]
    page: str

    def quarantined(self, rows: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a mask over ``rows`` rows: True where a declared rule sets the row aside."""
        mask = np.zeros(rows, dtype=bool)
        for failure in self.failures:
            if failure.rule.consequence == "quarantine":
                mask[list(failure.rows)] = True
        return mask


def validate(frame: pd.DataFrame, rules: Sequence[Rule], name: str) -> Validation:
    """Hold the normalised ``frame`` against ``rules``; writes no file and calls no host.

    Raises:
        FactoryError: Great Expectations refuses a rule's arguments.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas(name).add_dataframe_asset("snapshot")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": _plain(frame)})
    expectations = [_expectation(rule, number, frame) for number, rule in enumerate(rules)]
    suite = gx.ExpectationSuite(name=name, expectations=expectations)
    result = batch.validate(suite, result_format={"result_format": "COMPLETE"})
    failed = {one.expectation_config.meta["rule"]: one for one in result.results if not one.success}
    return Validation(tuple(_failure(rules[number], failed[number]) for number in sorted(failed)), _page(result))


def _expectation(rule: Rule, number: int, frame: pd.DataFrame) -> Any:
    import great_expectations as gx

    severity = "warning" if rule.consequence == "warn" else "critical"
    kwargs = dict(rule.kwargs)
    column = kwargs.get("column")
    if column in frame.columns and kind_of(frame[column]) == "datetime":
        kwargs |= {key: _naive(kwargs[key]) for key in _BETWEEN if kwargs.get(key) is not None}
    meta = {"rule": number, "source": rule.source, "consequence": rule.consequence}
    try:
        return getattr(gx.expectations, catalogue()[rule.type].stem)(**{"severity": severity, **kwargs}, meta=meta)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise FactoryError(f"expectation {rule.title} cannot be used: {reason}; correct data.quality") from error


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame in types that Great Expectations compares: times without zone, booleans as objects."""
    plain = frame.copy(deep=False)
    for name in frame.columns:
        if kind_of(frame[name]) == "datetime":
            plain[name] = frame[name].dt.tz_convert(None)
        elif frame[name].dtype == "boolean":
            plain[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return plain


def _naive(moment: Any) -> Any:
    parsed = pd.to_datetime(moment, utc=True)
    return parsed.tz_convert(None).to_pydatetime()


def _failure(rule: Rule, result: Any) -> Failure:
    rows = tuple(int(row) for row in result.result.get("unexpected_index_list") or ())
    if rows:
        share = 100 * len(rows) / max(result.result.get("element_count", len(rows)), 1)
        values = list(dict.fromkeys(str(value) for value in result.result.get("partial_unexpected_list", ())))[:3]
        seen = f", such as {', '.join(values)}" if values and "null" not in rule.type else ""
        return Failure(rule, rows, f"{len(rows)} rows, {share:.1f} %{seen}")
    return Failure(rule, (), _exception(result.exception_info) or f"observed {result.result.get('observed_value')}")


def _exception(info: Any) -> str:
    """Return the message of an expectation that could not be computed, such as that of a missing column."""
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    return messages[0].removeprefix("Error: ") if messages else ""


def _page(result: Any) -> str:
    """Return the Data Docs page of the result as one file, without scripts and with nothing fetched from elsewhere."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    html: str = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))
    return _EXTERNAL.sub("", html).replace("</head>", f"{_STYLE}</head>", 1)
