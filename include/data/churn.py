"""A simulated subscription business: the history that trains the shipped model, and the traffic that it meets later.

It is a simulation and is named so wherever it appears. docs/churn.md gives its equations, the shift that begins in week
`SHIFT_WEEK`, and what models lose by it. Each week is drawn from its own random stream, so that a week holds the same
rows whatever the week that a call starts with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

EPOCH = datetime(2025, 1, 6, tzinfo=UTC)
"""Monday on which week 0 begins."""
SHIFT_WEEK = 60
"""First week of the shift."""
HISTORY_START_WEEK, HISTORY_WEEKS = 30, 26
"""The history that ships as the data set ``churn_simulated``: weeks 30 to 55."""
PER_WEEK, SEED = 500, 20250106

_PLANS, _FEES = ("basic", "standard", "premium"), np.array([15.0, 29.0, 49.0])
_PAYMENTS = ("card", "direct_debit", "wallet", "invoice")
_REGIONS = ("north", "south", "east", "west")


@dataclass(frozen=True)
class Regime:
    """The parameters that the shift moves: of the customers (first part) and of why they leave (second part)."""

    price: float
    """Factor on every list price."""
    payments: tuple[float, ...]
    """Share of each payment method, in the order card, direct debit, wallet, invoice."""
    logins: float
    """Mean number of logins in 30 days."""

    intercept: float
    tenure: float
    """Per standardised logarithm of the months of tenure."""
    usage: float
    """Per standardised logarithm of the minutes used in 30 days."""
    idle: float
    """Per logarithm of the days since the last login."""
    tickets: float
    """Per support ticket, up to four."""
    price_felt: float
    """Per 10 currency units of the monthly fee above 25."""
    discount: float
    """Per 10 percentage points of discount."""
    auto_renew: float
    wallet: float
    direct_debit: float
    young_basic: float
    """Basic plan within the first half year."""


BEFORE = Regime(
    price=1.0,
    payments=(0.46, 0.28, 0.16, 0.10),
    logins=14.0,
    intercept=-1.2,
    tenure=-1.0,
    usage=-0.75,
    idle=0.35,
    tickets=0.6,
    price_felt=0.15,
    discount=-0.35,
    auto_renew=-1.2,
    wallet=-0.3,
    direct_debit=-0.7,
    young_basic=0.7,
)
AFTER = Regime(
    price=1.3,
    payments=(0.36, 0.18, 0.38, 0.08),
    logins=10.0,
    intercept=-2.75,
    tenure=0.2,
    usage=0.2,
    idle=0.35,
    tickets=0.75,
    price_felt=0.8,
    discount=-0.35,
    auto_renew=-1.2,
    wallet=1.7,
    direct_debit=-0.7,
    young_basic=0.0,
)


def week_start(week: int) -> datetime:
    """Return the Monday, 00:00 UTC, on which ``week`` begins."""
    return EPOCH + timedelta(weeks=week)


def simulate(start_week: int, weeks: int, per_week: int = PER_WEEK, seed: int = SEED) -> pd.DataFrame:
    """Return customers as they were observed in ``weeks`` weeks from ``start_week`` on, in the order of time.

    Args:
        start_week: 0 begins on `EPOCH`; the shift begins with `SHIFT_WEEK`.
        weeks: number of weeks, at least 1.
        per_week: customers observed in each week, at least 1; every row is another customer.
        seed: seed of every random choice.

    Returns:
        One row a customer: ``customer_id``, ``observed_at`` (UTC), 14 features, and ``churned`` (1: the customer left
        within the four weeks after ``observed_at``).
    """
    drawn = [_week(week, per_week, seed) for week in range(start_week, start_week + weeks)]
    return pd.concat(drawn, ignore_index=True)


def _week(week: int, rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, week])
    regime = AFTER if week >= SHIFT_WEEK else BEFORE
    seconds = np.sort(rng.integers(0, 7 * 24 * 3600, rows))
    customers = _customers(rng, regime, rows)
    probability = 1 / (1 + np.exp(-_logit(customers, regime)))
    churned = (rng.random(rows) < probability).astype("int64")
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{week:03d}-{number:05d}" for number in range(rows)],
            "observed_at": pd.Timestamp(week_start(week)) + pd.to_timedelta(seconds, unit="s"),
            **customers,
        }
    )
    return _with_gaps(frame, rng).assign(churned=churned)


def _customers(rng: np.random.Generator, regime: Regime, rows: int) -> dict[str, Any]:
    plan = rng.choice(3, rows, p=(0.45, 0.37, 0.18))
    discount = rng.choice((0, 10, 20, 30), rows, p=(0.6, 0.2, 0.12, 0.08))
    fee = _FEES[plan] * regime.price * (1 - discount / 100) * rng.lognormal(0, 0.05, rows)
    logins = rng.poisson(rng.gamma(1.6, regime.logins / 1.6, rows))
    idle = np.minimum(np.floor(rng.exponential(30 / (1 + logins))), 30).astype("int64")
    return {
        "tenure_months": np.minimum(np.ceil(rng.gamma(1.3, 15, rows)), 84).astype("int64"),
        "plan": np.array(_PLANS, dtype=object)[plan],
        "monthly_fee": fee.round(2),
        "discount": discount.astype("int64"),
        "auto_renew": rng.random(rows) < 0.62,
        "payment_method": np.array(_PAYMENTS, dtype=object)[rng.choice(4, rows, p=regime.payments)],
        "region": rng.choice(np.array(_REGIONS, dtype=object), rows, p=(0.3, 0.3, 0.22, 0.18)),
        "support_tickets_30d": rng.poisson(rng.gamma(0.9, 0.8 / 0.9, rows)),
        "logins_30d": logins,
        "minutes_30d": (logins * rng.lognormal(2.3, 0.5, rows)).round(1),
        "days_since_login": idle,
        "devices": 1 + rng.binomial(4, 0.25, rows),
        "satisfaction": np.clip(np.round(rng.normal(3.6, 1.0, rows)), 1, 5),
        "referred": rng.random(rows) < 0.2,
    }


def _logit(c: dict[str, Any], r: Regime) -> Any:
    """Return the log-odds that each customer leaves; docs/churn.md has the equation."""
    return (
        r.intercept
        + r.tenure * (np.log1p(c["tenure_months"]) - 2.6) / 0.8
        + r.usage * (np.log1p(c["minutes_30d"]) - 4.4) / 1.2
        + r.idle * np.log1p(c["days_since_login"])
        + r.tickets * np.minimum(c["support_tickets_30d"], 4)
        + r.price_felt * (c["monthly_fee"] - 25) / 10
        + r.discount * c["discount"] / 10
        + r.auto_renew * c["auto_renew"]
        + r.wallet * (c["payment_method"] == "wallet")
        + r.direct_debit * (c["payment_method"] == "direct_debit")
        + r.young_basic * ((c["plan"] == "basic") & (c["tenure_months"] <= 6))
        - 0.35 * (c["satisfaction"] - 3.6)
    )


def _with_gaps(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Blank what such a business does not know: few answer the survey, some devices report no minutes."""
    for column, share in (("satisfaction", 0.45), ("minutes_30d", 0.06), ("region", 0.02)):
        frame[column] = frame[column].mask(rng.random(len(frame)) < share)
    return frame
