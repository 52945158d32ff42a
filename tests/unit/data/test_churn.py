from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn.linear_model import LogisticRegression

from benchmarks.churn_shift import auc
from include.data.churn import AFTER, BEFORE, EPOCH, SHIFT_WEEK, simulate, week_start

NUMBERS = (
    "tenure_months",
    "monthly_fee",
    "discount",
    "support_tickets_30d",
    "logins_30d",
    "minutes_30d",
    "days_since_login",
)
CLASSES = ("plan", "payment_method", "region", "auto_renew", "churned", "devices")


def p_values(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, float]:
    found = {name: stats.ks_2samp(one[name].dropna(), other[name].dropna()).pvalue for name in NUMBERS}
    for name in CLASSES:
        table = pd.concat([one[name].value_counts(), other[name].value_counts()], axis=1).fillna(0)
        found[name] = stats.chi2_contingency(table).pvalue
    return found


def test_a_week_is_the_same_whatever_the_call_starts_with() -> None:
    whole = simulate(58, 4, 50)
    pd.testing.assert_frame_equal(whole[100:150].reset_index(drop=True), simulate(60, 1, 50))


def test_seeds_and_weeks_differ() -> None:
    assert not simulate(3, 1, 50)["monthly_fee"].equals(simulate(4, 1, 50)["monthly_fee"])
    assert not simulate(3, 1, 50)["monthly_fee"].equals(simulate(3, 1, 50, seed=1)["monthly_fee"])


def test_rows_are_of_their_week_in_the_order_of_time_and_unique() -> None:
    rows = simulate(59, 3, 200)
    weeks = (rows["observed_at"] - EPOCH) // timedelta(weeks=1)
    assert weeks.tolist() == [59] * 200 + [60] * 200 + [61] * 200
    assert rows["observed_at"].is_monotonic_increasing
    assert rows["customer_id"].is_unique
    assert week_start(0).weekday() == 0


def test_the_weeks_before_the_shift_are_alike() -> None:
    # 26 comparisons at 0.01 / 26: a false alarm in a hundred; the seed is fixed
    first, second = simulate(30, 15, 500), simulate(45, 15, 500)
    assert min(p_values(first, second).values()) > 0.01 / 26
    rates = simulate(0, SHIFT_WEEK, 500).groupby(lambda row: row // 500)["churned"].mean()
    # variance over weeks as that of independent draws: no week is special
    expected = rates.mean() * (1 - rates.mean()) / 500
    assert stats.chi2.sf((len(rates) - 1) * rates.var() / expected, len(rates) - 1) > 0.01


def test_price_payment_and_usage_move_and_the_rest_does_not() -> None:
    moved = {name for name, p in p_values(simulate(50, 10, 500), simulate(60, 10, 500)).items() if p < 1e-4}
    assert moved == {"monthly_fee", "payment_method", "logins_30d", "minutes_30d", "days_since_login"}


@pytest.mark.parametrize(("start", "low", "high"), [(30, 0.22, 0.26), (60, 0.22, 0.27)])
def test_the_churn_rate(start: int, low: float, high: float) -> None:
    assert low < simulate(start, 10, 1000)["churned"].mean() < high


def test_a_stale_model_loses_and_a_retrained_one_recovers() -> None:
    before, after = simulate(56, 4, 1250), simulate(64, 4, 1250)
    history, recent = simulate(30, 26), simulate(59, 3, 400)
    model = LogisticRegression(max_iter=500)
    assert auc(history, before, model) > 0.8
    assert auc(history, after, model) < 0.7
    assert auc(recent, after, model) > 0.82


def test_missing_values_are_as_documented() -> None:
    shares = simulate(0, 20, 1000).isna().mean()
    assert shares[shares > 0].round(2).to_dict() == {"region": 0.02, "minutes_30d": 0.06, "satisfaction": 0.45}


def test_the_documented_coefficients_are_those_of_the_code() -> None:
    """A logistic regression on the documented terms finds the documented coefficients again."""
    for start, regime in ((0, BEFORE), (SHIFT_WEEK, AFTER)):
        rows = simulate(start, 60, 1000).dropna()
        wallet, debit = (rows["payment_method"] == name for name in ("wallet", "direct_debit"))
        terms = np.column_stack(
            [
                (np.log1p(rows["tenure_months"]) - 2.6) / 0.8,
                (np.log1p(rows["minutes_30d"]) - 4.4) / 1.2,
                np.log1p(rows["days_since_login"]),
                np.minimum(rows["support_tickets_30d"], 4),
                (rows["monthly_fee"] - 25) / 10,
                rows["discount"] / 10,
                rows["auto_renew"],
                wallet,
                debit,
                (rows["plan"] == "basic") & (rows["tenure_months"] <= 6),
            ]
        )
        terms = sm.add_constant(np.column_stack([terms, rows["satisfaction"] - 3.6]).astype(float))
        fitted = sm.Logit(rows["churned"].to_numpy(), terms).fit(disp=0)
        documented = [
            *(regime.intercept, regime.tenure, regime.usage, regime.idle, regime.tickets, regime.price_felt),
            *(regime.discount, regime.auto_renew, regime.wallet, regime.direct_debit, regime.young_basic, -0.35),
        ]
        assert np.abs((fitted.params - documented) / fitted.bse).max() < 4
