"""Snapshots: immutable copies of the data that runs used, addressed by the digest of their content."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.data.frames import kind_of
from include.data.profile import profile, schema
from include.store.artifacts import ArtifactStore

DATA, SCHEMA, PROFILE = "data.parquet", "schema.json", "profile.json"


@dataclass(frozen=True)
class Snapshot:
    """A stored snapshot.

    Attributes:
        digest: SHA-256 of names, types, values and row order, in hex; the same whatever wrote or compressed the file.
        path: store path of its Parquet file.
    """

    digest: str
    path: str
    rows: int
    columns: int


def take(store: ArtifactStore, model: str, frame: pd.DataFrame) -> Snapshot:
    """Keep the normalised ``frame``, with its schema and profile beside it; a snapshot that exists is left alone."""
    found = digest(frame)
    folder = f"snapshots/{model}/{found}"
    snapshot = Snapshot(found, f"{folder}/{DATA}", len(frame), len(frame.columns))
    if not store.exists(snapshot.path):
        store.write_bytes(f"{folder}/{SCHEMA}", _json(schema(frame)))
        store.write_bytes(f"{folder}/{PROFILE}", _json(profile(frame)))
        store.write_bytes(snapshot.path, to_parquet(frame))  # last: where it is, the snapshot is whole
    return snapshot


def digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the frame's content; it depends on the order of rows and of columns."""
    total = hashlib.sha256(f"{len(frame)} rows".encode())
    for name in frame.columns:
        values = frame[name]
        head = json.dumps([str(name), kind_of(values), _storage(values)])
        total.update(hashlib.sha256(head.encode() + b"\0" + _content(values)).digest())
    return total.hexdigest()


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return the frame as Parquet; the same frame gives the same bytes with the same version of pyarrow."""
    buffer = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, buffer, compression="zstd", version="2.6")
    return buffer.getvalue()


def _storage(values: pd.Series) -> str:
    """Return what tells columns of one kind apart: whole numbers are not the same content as decimal ones."""
    return str(values.dtype) if kind_of(values) == "number" else ""


def _content(values: pd.Series) -> bytes:
    """Return the values as bytes in which missing values, zeros and text lengths have one form only."""
    missing = values.isna().to_numpy()
    kind = kind_of(values)
    if kind == "string":
        texts = [text.encode() for text in values[~missing]]
        body: bytes = np.array(list(map(len, texts)), dtype="<i8").tobytes() + b"".join(texts)
    elif kind == "datetime":
        body = values.to_numpy(dtype="datetime64[ns]").astype("<i8").tobytes()
    elif kind == "boolean":
        body = values.astype("boolean").fillna(False).to_numpy(dtype=bool).tobytes()
    elif values.dtype == np.int64:
        body = values.to_numpy().astype("<i8").tobytes()
    else:
        body = (np.where(missing, 0.0, values.to_numpy(dtype="float64")) + 0.0).astype("<f8").tobytes()
    return np.packbits(missing).tobytes() + body


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
