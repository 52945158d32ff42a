"""The records behind the shipped feature views as tables, where Feast's offline store is PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
import yaml

from include.specs import FactoryError, Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_ROWS_AT_ONCE = 1000


def offline_database(platform: Platform) -> sa.URL | None:
    """Return the database of Feast's offline store, or None where that is not PostgreSQL.

    Raises:
        FactoryError: the setting names no host, database or user.
    """
    wanted = yaml.safe_load(platform.feast.offline_store.get_secret_value())
    if wanted.get("type") != "postgres":
        return None
    if missing := [name for name in ("host", "database", "user", "password") if not wanted.get(name)]:
        raise FactoryError(f"FACTORY_FEAST__OFFLINE_STORE: {', '.join(missing)} is missing; add it")
    return sa.URL.create(
        "postgresql+psycopg",
        username=wanted["user"],
        password=str(wanted["password"]),
        host=wanted["host"],
        port=wanted.get("port", 5432),
        database=wanted["database"],
        query={"sslmode": wanted.get("sslmode", "require"), "options": f"-csearch_path={_schema(wanted)}"},
    )


def write_tables(database: sa.URL, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Write each frame as a table, in the place of what was there, all or none; return their names.

    Raises:
        FactoryError: the database does not answer, or refuses.
    """
    engine = sa.create_engine(database, poolclass=sa.NullPool, hide_parameters=True)
    try:
        with engine.begin() as connection:
            for name, table in tables.items():
                table.to_sql(
                    name, connection, if_exists="replace", index=False, chunksize=_ROWS_AT_ONCE, method="multi"
                )
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        shown = database.render_as_string(hide_password=True).partition("?")[0]
        raise FactoryError(
            f"cannot write the features into {shown}: {reason}; correct FACTORY_FEAST__OFFLINE_STORE or its rights"
        ) from error
    return list(tables)


def _schema(wanted: Mapping[str, str]) -> str:
    return str(wanted.get("db_schema", "public"))
