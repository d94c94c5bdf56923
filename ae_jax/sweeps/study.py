"""Keep the study of a search as Optuna's journal, and prune trials by it."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ae_jax.core import compat, errors
from ae_jax.core.errors import UserError

# The file of the study in the sweep's directory. Its lines are JSON: reading them runs no code.
_FILE = "search.journal"


def report(result: Mapping[str, Any] | None, metric: str) -> dict[str, Any]:
    """Return the arguments by which `study.tell` learns of a run with this result."""
    from optuna.trial import TrialState

    # A run whose files were deleted meanwhile has no result.
    if result is None:
        return {"state": TrialState.FAIL}
    if result["status"] == "pruned":
        return {"state": TrialState.PRUNED}
    # The metric may never have been finite.
    if result["status"] == "failed" or metric not in result["best"]:
        return {"state": TrialState.FAIL}
    return {"state": TrialState.COMPLETE, "values": result["best"][metric]}


@dataclasses.dataclass(frozen=True)
class MedianJudge:
    """Prunes trials by the median, in whatever process they are trained.

    Attributes:
      path: the file of the study.
      metric: the metric of the search.
      numbers: {name of a run: number of its trial}.
    """

    path: str
    metric: str
    numbers: dict[str, int]

    def __call__(self, step: int, scores: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
        """Report scores to the study, and return {name: reason} of the runs to prune.

        Args:
          step: the step at which the runs were evaluated.
          scores: {name of a run: its scores}.
        """
        # A judge is sent to other processes, so it keeps the path and opens the study for each call.
        study, pruned = open_study(self.path), {}
        # The trials are only read. By default Optuna would copy all of them at every evaluation.
        trials = study.get_trials(deepcopy=False)
        for name, score in scores.items():
            value = score.get(self.metric, math.nan)
            if name in self.numbers and math.isfinite(value):
                trial = compat.optuna_trial(study, trials[self.numbers[name]])
                trial.report(value, step)
                if trial.should_prune():
                    pruned[name] = f"{self.metric} {value:.5g} at step {step} is worse than the median"
        return pruned


def path_of(workdir: str) -> pathlib.Path:
    """Return the file of the study in a sweep's directory."""
    return pathlib.Path(workdir).absolute() / _FILE


def open_study(path: str | pathlib.Path, direction: str = "", facts: Mapping[str, Any] | None = None) -> Any:
    """Open the study in a file.

    Args:
      path: the file.
      direction: "max" or "min", to make the study if there is none; "" to open one that exists.
      facts: the facts by which the study recognizes its search.
    """
    import optuna
    from optuna.storages import JournalStorage, journal
    from optuna.study import StudyDirection

    if os.path.islink(path):
        raise UserError(f"{path} is a link, which is not followed\nremove it, or use another --workdir")
    storage = JournalStorage(journal.JournalFileBackend(str(path)))
    options = {"sampler": sampler(0), "pruner": optuna.pruners.MedianPruner(), "study_name": "sweep"}
    if not direction:
        return optuna.load_study(storage=storage, **options)
    goal = StudyDirection.MAXIMIZE if direction == "max" else StudyDirection.MINIMIZE
    study = optuna.create_study(storage=storage, **options, direction=goal, load_if_exists=True)
    for key, value in (facts or {}).items():
        study.set_user_attr(key, value)
    return study


def sampler(seed: int) -> Any:
    """Return a sampler by tree-structured Parzen estimators."""
    import optuna

    # Trials under way count as bad ones, so that those of one round differ.
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def stored_facts(path: pathlib.Path) -> dict[str, Any]:
    """Return the facts of the search in a file; a part, if it was killed as it began.

    Raises:
      UserError: the file is damaged.
    """
    if not os.path.exists(path):
        return {}
    try:
        return open_study(path).user_attrs
    except KeyError:  # the file has no study yet
        return {}
    except UserError:
        raise
    except Exception as error:  # Optuna replays whatever the file says, and raises many types
        why = errors.first_line(error)
        raise UserError(f"{path} cannot be read: {why}\nuse another --workdir, or delete this search") from None
