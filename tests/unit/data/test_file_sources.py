from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow.parquet as pq
import pytest

from include.data import files
from include.data.sources import open_source
from include.specs import Platform, SpecError
from tests.unit.data.source_contract import START, SourceContract, frame, spec_of


class FileContract(SourceContract):
    kind: str
    folder: str

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = str(tmp_path)

    def store(self, rows: pd.DataFrame) -> dict[str, Any]:
        path = f"{self.folder}/subscribers.{self.kind}"
        with fsspec.open(path, "wb") as file:
            rows.to_csv(file, index=False) if self.kind == "csv" else rows.to_parquet(file)
        return {"type": self.kind, "path": path}

    def missing(self) -> tuple[dict[str, Any], str]:
        return {"path": f"{self.folder}/subscriber.{self.kind}"}, f"subscribers.{self.kind}"


class TestCsv(FileContract):
    kind = "csv"


class TestParquet(FileContract):
    kind = "parquet"


class TestCsvAtUri(FileContract):
    kind = "csv"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = f"memory://{tmp_path}"


class TestParquetAtUri(FileContract):
    kind = "parquet"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = f"memory://{tmp_path}"


def read(path: Path, platform: Platform, **options: Any) -> pd.DataFrame:
    return open_source(spec_of({"path": str(path)}, **options), platform).read()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_header_tells_the_separator(separator: str, tmp_path: Path, platform: Platform) -> None:
    frame().to_csv(tmp_path / "x.csv", index=False, sep=separator)
    pd.testing.assert_frame_equal(read(tmp_path / "x.csv", platform), frame())


def test_a_compressed_csv_with_a_byte_order_mark(tmp_path: Path, platform: Platform) -> None:
    frame().to_csv(tmp_path / "x.csv.gz", index=False, encoding="utf-8-sig")
    pd.testing.assert_frame_equal(read(tmp_path / "x.csv.gz", platform), frame())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""),
        ("x.csv", b"a,b\n1,2\n1,2,3,4\n"),
        ("x.csv", b"\xff\xfe\x00a,b\n\x80\x81\n"),
        ("x.csv.gz", b"not gzip"),
        ("x.parquet", b""),
        ("x.parquet", b"PAR1 and then nothing"),
    ],
)
def test_an_unreadable_file(name: str, content: bytes, tmp_path: Path, platform: Platform) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=r"demo.yaml: data.source.path: file .* cannot be read: .+ → give a"):
        read(tmp_path / name, platform, time=None)


def test_a_header_without_rows(tmp_path: Path, platform: Platform) -> None:
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(SpecError, match=r"holds no rows"):
        read(tmp_path / "x.csv", platform, time=None)


def test_a_column_name_that_occurs_twice_is_refused_rather_than_renamed(tmp_path: Path, platform: Platform) -> None:
    (tmp_path / "x.csv").write_text('a,"b",b\n1,2,3\n')
    with pytest.raises(SpecError, match=r"column 'b' more than once"):
        read(tmp_path / "x.csv", platform, time=None)


def test_a_folder_and_an_unknown_protocol(tmp_path: Path, platform: Platform) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SpecError, match=r"is a folder"):
        read(tmp_path / "folder.csv", platform)
    with pytest.raises(SpecError, match=r"fsspec"):
        open_source(spec_of({"type": "csv", "path": "nowhere://x.csv"}), platform).read()


def test_an_index_that_pandas_kept_is_a_column_only_when_it_has_a_name(tmp_path: Path, platform: Platform) -> None:
    rows = frame()
    rows.set_index("happened").to_parquet(tmp_path / "named.parquet")
    rows.set_index(rows.index[::-1]).to_parquet(tmp_path / "unnamed.parquet")
    assert set(read(tmp_path / "named.parquet", platform)) == set(rows)
    assert list(read(tmp_path / "unnamed.parquet", platform)) == list(rows)


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_parquet_times_of_any_zone_and_unit(zone: str | None, unit: str, tmp_path: Path, platform: Platform) -> None:
    times = frame()["happened"].dt.tz_convert(zone).astype(f"datetime64[{unit}{', ' + zone if zone else ''}]")
    frame().assign(happened=times).to_parquet(tmp_path / "x.parquet")
    source = open_source(spec_of({"path": str(tmp_path / "x.parquet")}), platform)
    assert source.read(start=START + pd.Timedelta(hours=58))["happened"].tolist() == [
        START + pd.Timedelta(hours=58),
        START + pd.Timedelta(hours=59),
    ]


def test_of_a_window_only_the_row_groups_that_hold_it_are_read(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame(1000).to_parquet(tmp_path / "x.parquet", row_group_size=100)
    loaded = []
    read_table = pq.read_table

    def watch(*arguments: Any, **options: Any) -> Any:
        loaded.append(read_table(*arguments, **options))
        return loaded[-1]

    monkeypatch.setattr(files.pq, "read_table", watch)
    source = open_source(spec_of({"path": str(tmp_path / "x.parquet")}), platform)
    assert len(source.read(start=START + pd.Timedelta(hours=990))) == 10
    assert loaded[-1].num_rows < 20
