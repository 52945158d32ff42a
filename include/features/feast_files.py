"""The files behind the shipped feature views: ``python -m include.features.feast_files``.

The simulated subscription business (`include.data.churn`) as its systems would write it. Of each customer there are
several records over time, the last of them *after* the moment at which the model has to decide:

=================== ======================= ===========================================================
file                record                  content
=================== ======================= ===========================================================
subscription        20 days before          last month's contract
                    1 day before            the contract
                    30 days after           next month's contract
usage               8 days before           the week before: more logins
                    1 hour before           what the customer did
                    28 days after           no login by those who left: knowing it would be cheating
churn_entities      the moment itself       customer, time, and whether the customer left within four weeks
=================== ======================= ===========================================================
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from include.data.churn import HISTORY_START_WEEK, HISTORY_WEEKS, PER_WEEK, SEED, simulate

if TYPE_CHECKING:
    import pandas as pd

SUBSCRIPTION = (
    "tenure_months",
    "plan",
    "monthly_fee",
    "discount",
    "auto_renew",
    "payment_method",
    "region",
    "referred",
)
USAGE = ("logins_30d", "minutes_30d", "days_since_login", "support_tickets_30d", "devices", "satisfaction")
ENTITIES = "churn_entities"


def write_feature_files(
    folder: Path,
    start_week: int = HISTORY_START_WEEK,
    weeks: int = HISTORY_WEEKS,
    per_week: int = PER_WEEK,
    seed: int = SEED,
) -> list[Path]:
    """Write the three Parquet files into ``folder`` and return their paths; the arguments are those of `simulate`."""
    tables = feature_tables(start_week, weeks, per_week, seed)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(table, folder / f"{name}.parquet") for name, table in tables.items()]


def feature_tables(start_week: int, weeks: int, per_week: int, seed: int = SEED) -> dict[str, pd.DataFrame]:
    """Return the records of each view, and the entities, by name; the arguments are those of `simulate`."""
    rows = simulate(start_week, weeks, per_week, seed)
    return {
        "subscription": _subscription(rows),
        "usage": _usage(rows),
        ENTITIES: rows[["customer_id", "observed_at", "churned"]],
    }


def _subscription(rows: pd.DataFrame) -> pd.DataFrame:
    month = rows["tenure_months"]
    return _records(
        rows,
        SUBSCRIPTION,
        {
            -timedelta(days=20): {"tenure_months": (month - 1).clip(lower=0)},
            -timedelta(days=1): {},
            timedelta(days=30): {"tenure_months": month + 1},
        },
    )


def _usage(rows: pd.DataFrame) -> pd.DataFrame:
    stayed = 1 - rows["churned"]
    logins, idle = rows["logins_30d"], rows["days_since_login"]
    return _records(
        rows,
        USAGE,
        {
            -timedelta(days=8): {"logins_30d": logins + 2, "days_since_login": idle // 2},
            -timedelta(hours=1): {},
            timedelta(days=28): {
                "logins_30d": logins * stayed,
                "minutes_30d": rows["minutes_30d"] * stayed,
                "days_since_login": idle.where(stayed == 1, 30),
            },
        },
    )


def _records(
    rows: pd.DataFrame, columns: tuple[str, ...], changes: dict[timedelta, dict[str, pd.Series]]
) -> pd.DataFrame:
    """Return one record of each customer for each offset from the observation, with the changes of that offset."""
    import pandas as pd

    records = [
        rows[["customer_id", *columns]].assign(event_timestamp=rows["observed_at"] + offset, **changed)
        for offset, changed in changes.items()
    ]
    table = pd.concat(records, ignore_index=True)
    table = table.sort_values(["event_timestamp", "customer_id"], ignore_index=True)
    return table.assign(created=table["event_timestamp"])


def _write(table: pd.DataFrame, path: Path) -> Path:
    # microseconds: DuckDB, through which Feast reads, has no time zones in nanoseconds
    table.to_parquet(path, index=False, coerce_timestamps="us", allow_truncated_timestamps=True)
    return path


def main() -> None:
    """Write the files into the platform's folder of feature data, and the tables where its offline store has such."""
    from include.features.feast_tables import offline_database, write_tables
    from include.specs import load_platform
    from include.store.feature_store import data_folder

    parser = argparse.ArgumentParser(prog="python -m include.features.feast_files", description=__doc__.split("\n")[0])
    parser.add_argument("--start-week", type=int, default=HISTORY_START_WEEK)
    parser.add_argument("--weeks", type=int, default=HISTORY_WEEKS)
    parser.add_argument("--per-week", type=int, default=PER_WEEK)
    options = parser.parse_args()
    platform = load_platform()
    if (database := offline_database(platform)) is not None:
        for name in write_tables(database, feature_tables(options.start_week, options.weeks, options.per_week)):
            print(f"table {name}")
    folder = Path(data_folder(platform))
    for path in write_feature_files(folder, options.start_week, options.weeks, options.per_week):
        print(path)


if __name__ == "__main__":
    main()
