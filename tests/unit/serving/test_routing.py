"""Which variant answers: the shares are kept, a key stays where it is, and a growing challenger keeps its callers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from scipy.stats import chisquare

from include.serving.errors import ServingError
from include.serving.models.loaded import LoadedModel, load_model
from include.serving.models.routing import Served, activate
from include.store.routes import Route, Variant
from tests.model_packages import churn, put


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    home = tmp_path_factory.mktemp("home")
    return {str(n): load_model("churn", str(n), put(home, "churn", n, churn(n))) for n in (1, 2, 3)}


def served(models: dict[str, LoadedModel], *weights: int, shadow: str | None = None) -> Served:
    names = ("champion", "challenger", "third")
    variants = [Variant(names[i], str(i + 1), weight) for i, weight in enumerate(weights)]
    if shadow:
        variants.append(Variant("shadow", shadow, 0, shadow=True))
    pool = ThreadPoolExecutor(1)
    return activate(Route("churn", tuple(variants), 1), models, pool, pool, 100)


def test_shares_of_keys_follow_the_weights(models: dict[str, LoadedModel]) -> None:
    table = served(models, 60, 30, 10)
    counts = Counter(table.choose(f"customer-{i}").name for i in range(10_000))
    assert chisquare([counts["champion"], counts["challenger"], counts["third"]], [6000, 3000, 1000]).pvalue > 1e-4


def test_shares_without_a_key_follow_the_weights(models: dict[str, LoadedModel]) -> None:
    counts = Counter(served(models, 90, 10).choose(None).name for _ in range(10_000))
    assert chisquare([counts["champion"], counts["challenger"]], [9000, 1000]).pvalue > 1e-4


def test_a_key_stays_and_whoever_met_the_challenger_goes_on_meeting_it(models: dict[str, LoadedModel]) -> None:
    met: set[str] = set()
    for share in (0, 10, 50, 100):
        table = served(models, 100 - share, share)
        now = {key for key in map(str, range(500)) if table.choose(key).name == "challenger"}
        assert now == {key for key in map(str, range(500)) if table.choose(key).name == "challenger"}
        assert met <= now
        met = now
    assert len(met) == 500


def test_a_variant_with_no_weight_answers_only_by_name(models: dict[str, LoadedModel]) -> None:
    table = served(models, 100, 0)
    assert {table.choose(str(i)).name for i in range(200)} == {"champion"}
    assert table.named("challenger").model.version == "2"


def test_shadows_and_strangers_cannot_be_chosen(models: dict[str, LoadedModel]) -> None:
    table = served(models, 100, shadow="3")
    for name in ("shadow", "stranger", ""):
        with pytest.raises(ServingError, match="use champion") as raised:
            table.named(name)
        assert raised.value.status == 404


def test_a_variant_that_is_not_loaded_leaves_its_share_to_the_others(models: dict[str, LoadedModel]) -> None:
    table = served({"2": models["2"]}, 90, 10)
    assert {table.choose(str(i)).name for i in range(200)} == {"challenger"}
