"""The routing table: which versions of a model answer, with which share of the traffic; durable, one row a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from include.specs.errors import FactoryError
from include.specs.platform import Platform
from include.store.database import METADATA, UtcDateTime, engine_of, upsert

ROUTES = sa.Table(
    "routes",
    METADATA,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("variants", sa.JSON, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True)
class Variant:
    """A version in a role: ``weight`` is its percentage of the traffic; a shadow gets copies and never answers."""

    name: str
    version: str
    weight: int
    shadow: bool = False


@dataclass(frozen=True)
class Route:
    """The variants of a model. The weights of those that answer add up to 100.

    Raises:
        FactoryError: they do not, or two variants share a name.
    """

    model: str
    variants: tuple[Variant, ...]
    revision: int = 0

    def __post_init__(self) -> None:
        total = sum(variant.weight for variant in self.variants if not variant.shadow)
        if total != 100 or any(variant.weight < 0 for variant in self.variants):
            raise FactoryError(f"route of '{self.model}': the weights add up to {total}, not 100; correct them")
        if len({variant.name for variant in self.variants}) != len(self.variants):
            raise FactoryError(f"route of '{self.model}': two variants share a name; rename one")

    def as_dict(self) -> dict[str, Any]:
        """Return the route as JSON-ready values."""
        return asdict(self) | {"variants": [asdict(variant) for variant in self.variants]}


class RouteStore:
    """The durable routing table."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def _engine(self) -> sa.Engine:
        return engine_of(self._platform)

    def all(self) -> dict[str, Route]:
        """Return every model's route; models that were taken out have none."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(ROUTES)).mappings().all()
        return {row["model"]: _route(row) for row in rows if row["variants"]}

    def get(self, model: str) -> Route | None:
        """Return the model's route, or None when it was never released."""
        return self.all().get(model)

    def put(self, route: Route) -> Route:
        """Replace the model's route in one statement, and return it with its new revision."""
        engine = self._engine
        values = {
            "variants": [asdict(variant) for variant in route.variants],
            "changed_at": datetime.now(UTC),
        }
        statement = (
            upsert(engine, ROUTES)
            .values(model=route.model, revision=1, **values)
            .on_conflict_do_update(index_elements=["model"], set_={**values, "revision": ROUTES.c.revision + 1})
            .returning(ROUTES.c.revision)
        )
        with engine.begin() as connection:
            return replace(route, revision=connection.execute(statement).scalar_one())

    def delete(self, model: str) -> bool:
        """Take the model's route away; tell whether there was one.

        Its row stays without variants, so that the revision of a later route is higher than any before.
        """
        if self.get(model) is None:
            return False
        statement = sa.update(ROUTES).where(ROUTES.c.model == model)
        values = {"variants": [], "revision": ROUTES.c.revision + 1, "changed_at": datetime.now(UTC)}
        with self._engine.begin() as connection:
            connection.execute(statement.values(**values))
        return True


def _route(row: Any) -> Route:
    return Route(row["model"], tuple(Variant(**variant) for variant in row["variants"]), row["revision"])
