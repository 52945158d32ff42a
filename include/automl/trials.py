"""The trials of a search in Optuna's storage: what to try next, what was found, what was spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from include.automl.bench import Configuration
from include.automl.columns import ColumnChoice
from include.automl.families import Family, Params, find_family
from include.automl.record import FoldDone, Record, Running, State, record_of
from include.automl.sampling import STARTUP, Prefixed, flat, next_family, sampler, taken
from include.automl.storage import StorageError, exclusive, may_be_shared, open_storage
from include.features.objective import Objective
from include.specs.training import Task

if TYPE_CHECKING:
    import optuna

_SEEDS_APART = 100_003
"""Between the sampler's seeds of two places: places that drew the same would do the same work twice."""


class Trials:
    """The trials of one search; another process that opens the same storage and name goes on with them.

    Processes at different places may have them open at the same time: each goes on with what itself left, and sees
    what all have found.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        task: Task,
        families: Sequence[str],
        objective: Objective,
        seed: int,
        place: int | None = None,
        costs: Sequence[str] = (),
    ) -> None:
        """Open the study ``name``, or make it.

        Args:
            storage: path of a journal file, or a SQLAlchemy URI.
            name: of the study; the same name is the same search.
            task: what is learnt.
            families: names of the algorithm families to search over.
            objective: what is optimised.
            seed: of the sampler.
            place: which of several processes this is, from 1; None when it is the only one that is left.
            costs: names of the objectives beside the metric. TPE takes several (Ozaki et al. 2022, "Multiobjective
                tree-structured Parzen estimator", JAIR 73), each family having parameters of its own; NSGA-II draws
                such parameters at random, and needs more generations than a budget has trials.

        Raises:
            StorageError: there are several places, and the storage cannot be shared.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if place is not None and not may_be_shared(storage):
            raise StorageError(
                "only PostgreSQL, or on one machine a journal file, can be shared by several search steps; "
                "name one by FACTORY_OPTUNA_URI, or leave search.workers out of the spec"
            )
        self._storage, self._name, self._place = storage, name, place
        self._task = task
        self._families = {family: find_family(family) for family in families}
        self._sign = 1.0 if objective.greater_is_better else -1.0
        self._costs = tuple(costs)
        directions = ["maximize", *["minimize"] * len(self._costs)]
        self._study = optuna.create_study(
            storage=open_storage(storage), study_name=name, directions=directions, load_if_exists=True
        )
        earlier = len(self._study.get_trials(deepcopy=False))
        # a search that goes on must not draw again what it drew before
        self._seed = seed + earlier + _SEEDS_APART * (place or 0)
        self._study.sampler = sampler(self._seed)
        self._study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_min_trials=4)
        self._running: dict[int, Running] = {}
        self._later: list[Configuration] = []
        self._columns: ColumnChoice | None = None

    @property
    def shared(self) -> bool:
        """Whether several places take, or took, part."""
        return "opened" in self._study.user_attrs

    @property
    def spent(self) -> float:
        """Seconds of the budget that are used up: by earlier processes too, or since the first place began."""
        attributes = self._study.user_attrs
        if "opened" in attributes:
            return max(0.0, time.time() - float(attributes["opened"]))
        return float(attributes.get("spent", 0.0))

    def spend(self, total: float) -> None:
        """Write down that ``total`` seconds are used up; where several search, the clock alone says so."""
        if not self.shared:
            self._study.set_user_attr("spent", total)

    def begin(self, first: Sequence[Configuration], in_turns: bool = False) -> None:
        """Queue the configurations that are tried first, and again, once, those that a killed search was running.

        At a place of several, those that were running at the same place, or had none yet; they have one deadline,
        which the first one to begin sets going.

        Args:
            first: tried in this order, before TPE draws others.
            in_turns: whether that holds for the first one of each family alone, and others wait for its turn.
        """
        import optuna

        with exclusive(self._storage, self._name):
            if self._place is not None and not self.shared:
                self._study.set_user_attr("opened", time.time())
            for frozen in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                # one without a place: who asked for it was killed in `ask`, under this lock
                if self._place is not None and frozen.user_attrs.get("place") not in (None, self._place):
                    continue
                self._study.tell(frozen.number, state=optuna.trial.TrialState.FAIL)
                queued = frozen.system_attrs.get("fixed_params", {}) | frozen.params
                if not frozen.user_attrs.get("again") and "family" in queued:
                    self._study.enqueue_trial(queued, user_attrs={"again": True})
            seen: set[str] = set()
            for configuration in first:
                whole = configuration.family not in seen
                seen.add(configuration.family)
                if in_turns and not whole:
                    self._later.append(configuration)
                    continue
                attributes: dict[str, Any] = {"whole": whole}
                if configuration.generated or configuration.left_out:
                    attributes["columns"] = {
                        "generated": configuration.generated,
                        "left_out": configuration.left_out,
                    }
                self._study.enqueue_trial(flat(configuration), user_attrs=attributes, skip_if_exists=True)

    def ask(self, most: int) -> tuple[int, Configuration] | Record | None:
        """Return the number and the configuration of the next trial; its record where it fails at once.

        A queued configuration may lie outside of its family's space: one of an older version of the code does.

        Args:
            most: trials of all places, those apart that were interrupted; None is returned when there are as many.
        """
        with exclusive(self._storage, self._name):
            if self._tried() >= most:
                return None
            self._queue_next()
            trial = self._study.ask()
            if self._place is not None:
                trial.set_user_attr("place", self._place)
        family = self._families[trial.suggest_categorical("family", tuple(self._families))]
        try:
            params = family.sample(Prefixed(trial, family.name), self._task)
            configuration = self._with_columns(trial, family, params)
        except Exception as error:
            self._running[trial.number] = Running(trial, Configuration(family.name, {}))
            return self.end(trial.number, "failed", f"{type(error).__name__}: {error}")
        self._running[trial.number] = Running(trial, configuration)
        return trial.number, configuration

    def _queue_next(self) -> None:
        """Where nothing is queued: queue what comes next of the family whose turn it is, or its name alone, for TPE.

        Where there are several objectives TPE draws the family as well.
        """
        trials = self._study.get_trials(deepcopy=False)
        if self._costs or any(trial.state.name == "WAITING" for trial in trials):
            return
        queued = [trial.system_attrs.get("fixed_params") for trial in trials]
        self._later = [one for one in self._later if flat(one) not in queued]
        untried = {one.family: flat(one) for one in reversed(self._later)}
        if family := next_family(self.best(), taken(trials), untried):
            self._study.enqueue_trial(untried.get(family, {"family": family}))

    def _with_columns(self, trial: optuna.Trial, family: Family, params: Params) -> Configuration:
        """Return a configuration with the columns that it was queued with, or those that were found to pay."""
        if (queued := trial.user_attrs.get("columns")) is not None:
            return Configuration.of({"family": family.name, "params": params, **queued})
        made = self.columns.generated.get(family.view, ())
        return Configuration(family.name, params, made, tuple(self.columns.left_out))

    @property
    def columns(self) -> ColumnChoice:
        """What further trials make of the columns."""
        if self._columns is None:
            found = self._study.user_attrs.get("columns")
            self._columns = ColumnChoice.of(found) if found else ColumnChoice()
        return self._columns

    @columns.setter
    def columns(self, found: ColumnChoice) -> None:
        self._columns = found
        self._study.set_user_attr("columns", asdict(found))

    @property
    def looked(self) -> bool:
        """Whether it was found out already which columns pay."""
        return "columns" in self._study.user_attrs

    def _tried(self) -> int:
        """Return how many trials have ended, or are under way, at any place."""
        from optuna.trial import TrialState

        return sum(
            trial.state == TrialState.RUNNING or (trial.state.is_finished() and "record" in trial.user_attrs)
            for trial in self._study.get_trials(deepcopy=False)
        )

    def report(self, number: int, fold: FoldDone) -> bool:
        """Keep what a trial's next fold gave; return whether the trial should be pruned.

        The first configuration of each family never is: a weak model of another kind may help an ensemble most. Nor is
        any where there are several objectives: a trial that is worse by the metric may be the best by another.
        """
        running = self._running[number]
        running.folds.append(fold)
        if self._costs:
            return False
        running.trial.report(self._sign * running.mean, len(running.folds))
        return not running.trial.user_attrs.get("whole") and bool(running.trial.should_prune())

    def end(self, number: int, state: State, reason: str = "") -> Record:
        """End a trial and return its record."""
        import optuna

        running = self._running.pop(number)
        record = running.record(state, reason, self._place)
        running.trial.set_user_attr("record", asdict(record))
        states = {"done": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED}
        values = None
        if record.mean is not None and state == "done":
            values = [self._sign * record.mean, *(record.costs[name] for name in self._costs)]
        self._study.tell(running.trial, values, states.get(state, optuna.trial.TrialState.FAIL))
        return record

    def furthest(self) -> int | None:
        """Return the running trial with the most folds scored, the better one of equals; None where none has any."""
        scored = {number: running for number, running in self._running.items() if running.folds}
        return max(scored, key=lambda one: (len(scored[one].folds), self._sign * scored[one].mean), default=None)

    def reckoned(self) -> float:
        """Return the seconds that a fit of the `furthest` trial on all rows is reckoned to take; 0 of none."""
        number = self.furthest()
        return 0.0 if number is None else self._running[number].refit_seconds

    @property
    def running(self) -> list[int]:
        """Numbers of the trials under way."""
        return list(self._running)

    def records(self) -> list[Record]:
        """Return every trial that ended, in order of their numbers."""
        ended = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return [record_of(trial, next(iter(self._families))) for trial in ended]

    def best(self) -> list[Record]:
        """Return the trials that are done, the best first."""
        done = [record for record in self.records() if record.state == "done" and record.mean is not None]
        return sorted(done, key=lambda record: -self._sign * (record.mean or 0.0))
