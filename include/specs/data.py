"""The data part of a model spec: where rows come from, and what they must satisfy."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from include.specs.base import Duration, Spec


class FileSource(Spec):
    """A CSV or Parquet file, local or at any fsspec URI."""

    type: Literal["csv", "parquet"]
    path: str
    """File path relative to the project, or a URI such as s3://bucket/key.parquet."""


class SqlSource(Spec):
    """A table or a query of SQLite or PostgreSQL."""

    type: Literal["sql"]
    uri: str | None = None
    """SQLAlchemy URI without a password, such as sqlite:///data/shop.db."""
    uri_env: str | None = None
    """Name of the environment variable that holds the URI; use this when the URI has a password."""
    table: str | None = None
    """Table to read whole (schema.table is accepted)."""
    query: str | None = None
    """SELECT statement to read instead of a table."""

    @model_validator(mode="after")
    def _one_of_each(self) -> SqlSource:
        if (self.uri is None) == (self.uri_env is None):
            raise ValueError("give exactly one of 'uri' and 'uri_env'")
        if self.uri is not None and urlsplit(self.uri).password is not None:
            raise ValueError("'uri' holds a password: put the URI into an environment variable, named by 'uri_env'")
        if (self.table is None) == (self.query is None):
            raise ValueError("give exactly one of 'table' and 'query'")
        return self


class FeastSource(Spec):
    """A Feast feature service, joined point in time onto a file of entities, labels and times."""

    type: Literal["feast"]
    service: str
    """Name of the feature service in the feature repository."""
    entities: str
    """CSV or Parquet file with the entity keys, the event time and the target."""
    repo: str = "feast/feature_repo"
    """Folder of the Feast feature repository."""


class SparkSource(Spec):
    """Files that Spark reads, and what it makes of them; for data too large for one machine."""

    type: Literal["spark"]
    path: str
    """File, folder or pattern relative to the project, or a URI that Spark's workers reach."""
    format: Literal["parquet", "csv"] = "parquet"
    """How the files are written; CSV with a header."""
    query: str | None = None
    """Spark SQL over the view 'rows', such as SELECT customer, count(*) AS calls FROM rows GROUP BY customer."""


class DatasetSource(Spec):
    """A data set that comes with the factory: simulated (and named so) or shipped by a dependency."""

    type: Literal["dataset"]
    name: str
    """churn_simulated, breast_cancer or diabetes."""


Source = Annotated[FileSource | SqlSource | FeastSource | SparkSource | DatasetSource, Field(discriminator="type")]


class Expectation(Spec):
    """One Great Expectations expectation, by its published name."""

    type: str
    """Name in snake case, such as expect_column_values_to_be_between."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the expectation, such as {column: age, min_value: 0}."""


class Quality(Spec):
    """What the data must satisfy before anything is trained on it."""

    expectations: tuple[Expectation, ...] = ()
    """Expectations declared by the owner, on top of the proposed ones."""
    propose: bool = True
    """Propose a suite from the model's first snapshot and hold later snapshots against it."""
    on_failure: Literal["quarantine", "reject"] = "quarantine"
    """quarantine: set failing rows aside and go on; reject: end the run."""
    max_quarantined: float = Field(default=0.05, ge=0, le=1)
    """Largest share of rows that may be set aside; above it the run is rejected."""


class Data(Spec):
    """Where a model's rows come from and what they must satisfy."""

    source: Source
    id: str | None = None
    """Column that identifies a row or its entity; never used as a feature."""
    time: str | None = None
    """Column with the event time; splits then respect time, and windows can be cut."""
    group: str | None = None
    """Column whose rows must stay on one side of every split (customer, patient)."""
    window: Duration | None = None
    """Use only the most recent rows by event time; all rows when absent."""
    min_rows: int = Field(default=50, ge=10)
    """Fewer rows than this end the run before anything is trained."""
    quality: Quality = Quality()

    @model_validator(mode="before")
    @classmethod
    def _source_type_from_path(cls, value: Any) -> Any:
        """Let ``source: {path: x.csv}`` stand for ``source: {type: csv, path: x.csv}``."""
        if not (isinstance(value, dict) and isinstance(value.get("source"), dict)):
            return value
        source = value["source"]
        path = str(source.get("path", "")).lower()
        for suffix, kind in ((".csv", "csv"), (".csv.gz", "csv"), (".parquet", "parquet"), (".pq", "parquet")):
            if "type" not in source and path.endswith(suffix):
                return {**value, "source": {"type": kind, **source}}
        return value

    @model_validator(mode="after")
    def _window_needs_time(self) -> Data:
        if self.window is not None and self.time is None:
            raise ValueError("'window' needs 'time': name the column with the event time")
        return self
