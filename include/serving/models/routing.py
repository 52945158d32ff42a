"""The routing table in memory: immutable, replaced whole, so that a request sees one revision from start to end."""

from __future__ import annotations

import random
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import msgspec

from include.serving.errors import ServingError
from include.serving.models.batching import Batcher
from include.serving.models.loaded import LoadedModel
from include.serving.models.typed_rows import TypedReader
from include.serving.observability.statistics import VariantStatistics
from include.store.routes import Route, Variant


@dataclass(frozen=True, eq=False)
class ActiveVariant:
    """A variant of the current revision: its model, the queue in front of it, and what it did so far."""

    name: str
    weight: int
    model: LoadedModel
    batcher: Batcher
    statistics: VariantStatistics

    @cached_property
    def answer_head(self) -> bytes:
        """What stands between the id and the output of every answer, as JSON."""
        head = {"model": self.model.model, "version": self.model.version, "variant": self.name}
        return msgspec.json.encode(head)[1:-1] + b","


@dataclass(frozen=True, eq=False)
class Served:
    """One model as it is served now.

    Attributes:
        variants: those that answer, in the route's order.
        shadows: those that get copies.
    """

    route: Route
    variants: tuple[ActiveVariant, ...]
    shadows: tuple[ActiveVariant, ...] = ()

    @property
    def everyone(self) -> tuple[ActiveVariant, ...]:
        """Those that answer, and the shadows."""
        return (*self.variants, *self.shadows)

    @cached_property
    def known(self) -> frozenset[str]:
        """Columns that some variant uses or ignores: a caller cannot know which variant will answer."""
        return frozenset().union(*(variant.model.reader.known for variant in self.everyone))

    @cached_property
    def _typed_readers(self) -> dict[ActiveVariant, TypedReader]:
        cheap = [variant for variant in self.variants if variant.model.at_once]
        return {variant: TypedReader(variant.model.reader, self.known) for variant in cheap}

    def typed_reader(self, variant: ActiveVariant) -> TypedReader | None:
        """Return the reader of single rows for ``variant``; None for a model that gains by predicting rows together."""
        return self._typed_readers.get(variant)

    @cached_property
    def _bounds(self) -> tuple[tuple[float, ActiveVariant], ...]:
        """Upper bounds of the variants' shares of [0, 1); one that is not loaded leaves its share to the others."""
        total = sum(variant.weight for variant in self.variants)
        bounds, reached = [], 0
        for variant in self.variants:
            if variant.weight:
                reached += variant.weight
                bounds.append((reached / total, variant))
        return tuple(bounds) or ((1.0, self.variants[0]),)

    def choose(self, key: str | None) -> ActiveVariant:
        """Return the variant for a request: by hash of ``key``, so that it stays; at random without one.

        A key keeps its place in [0, 1), so while a challenger's share grows, whoever met it goes on meeting it.
        """
        bounds = self._bounds
        if len(bounds) == 1:
            return bounds[0][1]
        point = random.random() if key is None else _place(self.route.model, key)
        return next(variant for bound, variant in bounds if point < bound)

    def named(self, name: str) -> ActiveVariant:
        """Return the variant called ``name``.

        Raises:
            ServingError: 404, no variant of that name answers.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        names = ", ".join(variant.name for variant in self.variants)
        raise ServingError(
            404, "unknown_variant", f"no variant '{name[:64]}' of '{self.route.model}' answers; use {names}"
        )


def _place(model: str, key: str) -> float:
    digest = blake2b(f"{model}\0{key}".encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest) / (1 << 56)


def activate(
    route: Route, models: Mapping[str, LoadedModel], pool: Executor, shadow_pool: Executor, capacity: int
) -> Served:
    """Return ``route`` with its loaded models, by version; a variant whose model is absent is left out."""

    def active(variant: Variant) -> ActiveVariant:
        model = models[variant.version]
        batcher = Batcher(model, shadow_pool if variant.shadow else pool, capacity, inline=not variant.shadow)
        statistics = VariantStatistics(route.model, variant.version, variant.name, model.manifest)
        return ActiveVariant(variant.name, variant.weight, model, batcher, statistics)

    there = [variant for variant in route.variants if variant.version in models]
    return Served(
        route,
        tuple(active(variant) for variant in there if not variant.shadow),
        tuple(active(variant) for variant in there if variant.shadow),
    )
