"""`train_table`: what the command line does with a table, as a function on a DataFrame."""

from __future__ import annotations

import difflib
import inspect
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, get_type_hints

from training.config import DEFAULT, RECIPES, Config
from training.data.dataset import Dataset
from training.data.tables import frames, table_file
from training.data.tables.options import OPTIONS, TableOptions
from training.engine import subnormal
from training.engine.trainer import Epoch
from training.errors import NotPromoted, OptionError, TrainingError
from training.release import pipeline
from training.run import fit, preparation, progress
from training.run.interrupt import Interrupts
from training.run.keywords import in_python
from training.run.observers import Epochs, Observer
from training.run.trained_table import TrainedTable

_TABLE: Final = "the table"
_LISTS: Final = ("target", *(each.name for each in OPTIONS if each.nargs is not None and each.name != "targets"))
_PARTS: Final = ("test", "validation")  # files, or tables
_TABLE_OPTIONS: Final = {each.name: each for each in OPTIONS if each.name != "targets"}
_TRAINING_OPTIONS: Final = {each.name: each for each in fields(Config)}


def train_table(  # noqa: PLR0913 - one keyword for each option
    df: Any,
    target: str | Sequence[str],
    *,
    recipe: str = DEFAULT,
    name: str = "table",
    models: str | os.PathLike[str] | None = None,
    breaking: bool = False,
    force: bool = False,
    on_epoch: Callable[[Epoch], bool | None] | None = None,
    verbose: bool = True,
    **options: Any,
) -> TrainedTable:
    """Train a network to predict columns of a table, as ``mlp-train`` does with a file.

    Types of columns are those of the DataFrame; strings are categories. Missing values,
    categories and scaling are handled inside the network. Rows are split at random for
    training, validation (early stopping and calibration) and test scores.

    Parameters
    ----------
    df : DataFrame
        A DataFrame of pandas, polars or another library with the Arrow C stream
        interface, an Arrow table, or a mapping from names to columns. The index of
        pandas is left out.
    target : str or sequence of str
        The column to predict; several if they are numeric.
    recipe : str, default='default'
        Preset of options, as ``--recipe``.
    name : str, default='table'
        Name of the model.
    models : str or path-like, default=None
        Folder to publish the network in, as the next version of the model. None trains
        only; the result can be published later.
    breaking : bool, default=False
        Publish even if clients of the newest version have to change.
    force : bool, default=False
        Publish even if it is worse than the newest version.
    on_epoch : callable, default=None
        Function called with an `Epoch` after each epoch. Training stops when it returns
        True, and keeps the best weights so far.
    verbose : bool, default=True
        Whether to print the columns, notes and scores to stderr, with a progress bar at a
        terminal.
    **options
        Options of the command line, in Python's spelling: ``drop=["id"]`` is
        ``--drop id``. See Other Parameters.

    Returns
    -------
    trained : TrainedTable
        Scores, history, `predict`, `predict_proba`, `publish` and `summary`.

    Raises
    ------
    DataError
        If the table cannot be trained on; the message lists each problem with its fix.
    OptionError
        If an option is unknown, or has an invalid value.
    NotPromoted
        If the version would break clients of the newest one, or is worse.
    Diverged
        If the loss is not finite.
    TrainingError
        The base class of the errors above; also if the name or the folder cannot be used.

    See Also
    --------
    TableClassifier : The same network with scikit-learn's interface.
    TableRegressor : Likewise for numbers.

    Examples
    --------
    >>> from training import train_table
    >>> flowers = {
    ...     "petals": [4, 5, 6] * 40,
    ...     "colour": ["white", "red", None] * 40,
    ...     "kind": ["poppy", "rose", "lily"] * 40,
    ... }
    >>> trained = train_table(flowers, target="kind", epochs=30, verbose=False)
    >>> trained.classes
    ('lily', 'poppy', 'rose')
    >>> trained.predict({"petals": [5, 6], "colour": ["red", None]})
    array(['rose', 'lily'], dtype='<U5')
    >>> trained.scores["accuracy"]
    1.0
    """
    console = progress.console(quiet=not verbose)
    if on_epoch is not None and not callable(on_epoch):
        raise OptionError(f"on_epoch is {on_epoch!r:.100}, expected a function, or None")
    with _python_messages(), subnormal.flushed():
        dataset, config = _loaded(df, _targets(target), name, recipe, options)
        if models is not None:
            preparation.check(dataset, Path(models), name)
        dataset, parts = preparation.prepare(dataset, config)
        dataset = replace(dataset, notes=tuple(in_python(each, _LISTS) for each in dataset.notes))
        preparation.show(dataset, parts, console)
        if models is not None:
            preparation.check_clients(dataset, parts, Path(models), name, console, breaking=breaking)
        command = f"train_table() in Python {platform.python_version()}"
        observer = Epochs(on_epoch) if on_epoch else Observer()
        run = fit.train(name, command, dataset, parts, config, console, Interrupts(), observer)
        folder = None
        if models is not None:
            folder = fit.publish(run, Path(models), console, Interrupts(), breaking=breaking, force=force).folder
    return TrainedTable(
        scores=pipeline.test_scores(run, pipeline.test_outputs(run)[0]),
        history=tuple(run.history),
        classes=dataset.labels,
        features=tuple(column.name for column in dataset.columns),
        targets=dataset.target_names,
        notes=dataset.notes,
        folder=folder,
        run=run,
    )


def _targets(target: Any) -> tuple[str, ...]:
    names = (target,) if isinstance(target, str) else tuple(target) if isinstance(target, Sequence) else ()
    if not names or not all(isinstance(each, str) for each in names):
        raise OptionError(f"target is {target!r:.100}, expected the name of a column, or a list of names")
    return names


def _loaded(
    df: Any, targets: tuple[str, ...], name: str, recipe: str, options: Mapping[str, Any]
) -> tuple[Dataset, Config]:
    """The data set of ``df``, and the options of its training. Raises `TrainingError`."""
    for each in options:
        if each not in _TABLE_OPTIONS | _TRAINING_OPTIONS:
            raise OptionError(f"unknown option {each!r}; {_suggestion(each)}")
    if recipe not in RECIPES or "table" not in RECIPES[recipe]:
        known = ", ".join(repr(each) for each, kinds in RECIPES.items() if "table" in kinds)
        raise OptionError(f"recipe is {recipe!r}, expected one of {known}")
    given = {each: _listed(value) for each, value in options.items()}
    config = Config(**RECIPES[recipe]["table"] | {each: given[each] for each in given if each in _TRAINING_OPTIONS})
    own = {each: _checked(each, given[each]) for each in given if each in _TABLE_OPTIONS and given[each] is not None}
    frame = frames.frame_of(df, _TABLE)
    table_options = TableOptions(targets, **own)
    not_typed = {*targets, *table_options.left_out, *table_options.categorical}
    typed = (each for each in frame.categorical if each not in not_typed)
    dataset = table_file.load(frame, replace(table_options, categorical=(*table_options.categorical, *typed)))
    source = {**dataset.source, "name": name, "from": "a DataFrame given to train_table()"}
    return replace(dataset, name=name, source=source), config


def _listed(value: Any) -> Any:
    """A list, an array or an index of pandas as a tuple; other values as they are."""
    items = value.tolist() if getattr(value, "ndim", 0) == 1 else value
    return tuple(items) if isinstance(items, list) else items


def _checked(name: str, value: Any) -> Any:
    """The value of a table's option as the command line gives it."""
    option = _TABLE_OPTIONS[name]
    if name in _PARTS:
        return Path(value) if isinstance(value, (str, Path)) else frames.frame_of(value, f"the {name} table")
    if option.nargs is not None and isinstance(value, str):
        return (value,)
    if option.nargs is not None and not isinstance(value, tuple):
        raise OptionError(f"{name} is {value!r}, expected a list of strings")
    if option.choices and value not in option.choices:
        raise OptionError(f"{name} is {value!r}, expected one of {', '.join(map(repr, option.choices))}")
    return value


def _suggestion(name: str) -> str:
    known = [*_TABLE_OPTIONS, *_TRAINING_OPTIONS]
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(known)}"


@contextmanager
def _python_messages() -> Iterator[None]:
    """Name keywords instead of command-line options in errors."""
    try:
        yield
    except NotPromoted:
        raise  # names both
    except TrainingError as error:
        raise type(error)(in_python(str(error), _LISTS)) from error


def _other_parameters() -> str:
    """The section of the docstring that lists the options."""
    lines = ["Other Parameters", "----------------"]
    for option in _TABLE_OPTIONS.values():
        kind = "path or DataFrame" if option.name in _PARTS else "str" if option.nargs is None else "sequence of str"
        lines += [f"{option.name} : {kind}, default={option.default!r}", f"    {_sentence(option.help)}"]
    types = get_type_hints(Config)
    defaults = RECIPES[DEFAULT]["table"]
    for each in _TRAINING_OPTIONS.values():
        if each.metadata["help"].startswith("images:"):
            continue
        kind = "sequence of int" if each.name == "hidden" else types[each.name].__name__
        lines += [
            f"{each.name} : {kind}, default={defaults.get(each.name, each.default)!r}",
            f"    {_sentence(each.metadata['help'])}",
        ]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return f"{in_python(text[0].upper() + text[1:], _LISTS)}."


if train_table.__doc__ is not None:  # python -OO
    _docstring = inspect.cleandoc(train_table.__doc__)
    train_table.__doc__ = _docstring.replace("Raises\n------", f"{_other_parameters()}\n\nRaises\n------", 1) + "\n"
