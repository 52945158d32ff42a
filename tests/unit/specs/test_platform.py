"""Platform settings: the file, the environment above it, and no typing error that passes silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.specs import Platform, SpecError, load_platform


@pytest.fixture
def settings_file(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "platform.yaml"
    monkeypatch.setenv("FACTORY_PLATFORM_FILE", str(path))
    load_platform.cache_clear()
    return path


def test_the_environment_wins_over_the_file(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file.write_text("mlflow_uri: http://file:1\nserving_url: http://file:2\nkubernetes: {namespace: ns}\n")
    monkeypatch.setenv("FACTORY_MLFLOW_URI", "http://env:1")
    monkeypatch.setenv("FACTORY_KUBERNETES__IMAGE", "ml:7")
    platform = load_platform()
    assert platform.mlflow_uri == "http://env:1"
    assert platform.serving_url == "http://file:2"
    assert (platform.kubernetes.namespace, platform.kubernetes.image) == ("ns", "ml:7")


def test_defaults_need_nothing_but_a_folder(platform: Platform) -> None:
    assert platform.artifacts_uri == (platform.home / "artifacts").as_uri()
    assert platform.database_uri.get_secret_value() == f"sqlite:///{platform.home / 'factory.db'}"


def test_a_misspelt_setting_is_answered_with_the_right_one(settings_file: Path) -> None:
    settings_file.write_text("runtme: process\n")
    with pytest.raises(SpecError, match=r"unknown setting 'runtme' → did you mean 'runtime'\?"):
        load_platform()


def test_a_wrong_value_names_the_setting(settings_file: Path) -> None:
    settings_file.write_text("runtime: podman\n")
    with pytest.raises(SpecError, match="FACTORY_RUNTIME: Input should be"):
        load_platform()


def test_secrets_do_not_show(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_DATABASE_URI", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("FACTORY_SERVING_KEY", "hunter2")
    assert "hunter2" not in repr(load_platform())
