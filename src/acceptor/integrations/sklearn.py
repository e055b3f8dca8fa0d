"""`AcceptorClassifier`: training and judging as a scikit-learn classifier."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from acceptor.config import DEFAULT_ENCODER, TrainConfig
from acceptor.data.labels import KNOWN_SPELLINGS
from acceptor.data.load import load_data
from acceptor.errors import RunError, UsageError
from acceptor.integrations.sklearn_input import (
    InputError,
    ParameterError,
    as_input_error,
    as_sklearn_errors,
    columns_of,
    in_parameters,
    labelled,
    read_labels,
    refuse_lone,
    training_log,
)
from acceptor.judging.load import load
from acceptor.runs.folder import check_judge, manifest_bytes, read_manifest
from acceptor.storage.files import user_path
from acceptor.storage.manifest import MANIFEST
from acceptor.training.train import train

__all__ = ["EXPECTED_FAILED_CHECKS", "AcceptorClassifier", "InputError", "ParameterError"]

logger = logging.getLogger(__name__)


class AcceptorClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fine-tunes an encoder on labelled sentences or pairs, and classifies others; in Pipeline, GridSearchCV and so on.

    X is N sentences: a list, a numpy array, a pandas or polars Series of str, or a DataFrame (a 2-d array) of one such
    column; or N pairs: a DataFrame (a 2-d array, a list of tuples) of two. y is N labels of any kind that scikit-learn
    accepts as classes: strings, ints, bools.

    `fit` calls `acceptor.train`, which needs validation rows: by default a stratified ``validation_share`` of the rows,
    which are not trained on. Their scores are in `report_`. They are also used to detect a collapse, and by
    ``select="best"`` and ``calibrate``. To train on all of X, give ``fit`` other rows as X_val and y_val.

    The fitted model is a run folder: ``run_folder``, or a temporary one that is removed with the classifier. A pickle
    (joblib, `copy.deepcopy`) contains the files of that folder; unpickling writes them to a new temporary folder and
    checks them against the manifest. `acceptor.load` and every command accept the folder.

    All parameters are fields of `TrainConfig`, with the same names and defaults, except these:

    Args:
        random_state: The ``seed`` of `TrainConfig`. An int is the seed; a RandomState draws a seed at each fit; None
            draws it from numpy's global state. ``run.json`` has the seed.
        run_folder: The run folder to write. It must not exist. In a search, all clones would write to it: leave it
            None and copy `run_folder_` of the best estimator.
        verbose: Show a progress bar (on a terminal) and training's log, on stderr.

    Attributes:
        classes_: The labels, sorted, shape (classes,).
        n_features_in_: 1 for sentences, 2 for pairs.
        feature_names_in_: The column names, if X is a DataFrame.
        judge_: The `Judge`. Its labels are `classes_` as text, or unacceptable and acceptable if `load_data` maps them.
        report_: The scores on the validation rows: `Report.to_dict`.
        run_folder_: The run folder.

    Bad X or y is an `InputError`, a bad parameter a `ParameterError`; both are also `ValueError`s.
    `sklearn.utils.estimator_checks.check_estimator` passes with ``expected_failed_checks=EXPECTED_FAILED_CHECKS``: the
    others use matrices of numbers, which are refused.
    """

    def __init__(
        self,
        *,
        encoder: str | Path = DEFAULT_ENCODER,
        keep_head: bool = False,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float | None = None,
        warmup: float = 0.1,
        weight_decay: float = 0.01,
        adam_beta2: float | None = None,
        dropout: float | Literal["encoder"] | None = None,
        reinit_layers: int | None = None,
        max_grad_norm: float = 1.0,
        max_length: int = 128,
        random_state: int | np.random.RandomState | None = 2018,
        order_seed: int | None = None,
        class_weights: Literal["balanced"] | None = None,
        validation_share: float = 0.1,
        order: Literal["bucketed", "random"] = "bucketed",
        metric: Literal["mcc", "accuracy", "f1"] = "mcc",
        select: Literal["last", "best"] = "last",
        calibrate: bool | None = None,
        on_nan: Literal["stop", "skip"] = "stop",
        on_collapse: Literal["stop", "restart", "go-on"] = "stop",
        device: Literal["cuda", "mps", "cpu"] | None = None,
        precision: Literal["fp32", "bf16"] | None = None,
        compile: bool | None = None,
        run_folder: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.encoder = encoder
        self.keep_head = keep_head
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup = warmup
        self.weight_decay = weight_decay
        self.adam_beta2 = adam_beta2
        self.dropout = dropout
        self.reinit_layers = reinit_layers
        self.max_grad_norm = max_grad_norm
        self.max_length = max_length
        self.random_state = random_state
        self.order_seed = order_seed
        self.class_weights = class_weights
        self.validation_share = validation_share
        self.order = order
        self.metric = metric
        self.select = select
        self.calibrate = calibrate
        self.on_nan = on_nan
        self.on_collapse = on_collapse
        self.device = device
        self.precision = precision
        self.compile = compile
        self.run_folder = run_folder
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> AcceptorClassifier:
        """Trains from the pre-trained encoder.

        Args:
            X: Sentences or pairs, see the class.
            y: Their labels, shape (N,).
            X_val: Sentences or pairs to validate on. If given, all of X is trained on.
            y_val: Their labels. All of them must occur in y.

        Raises:
            InputError: X or y is invalid; there is only one class; or there are too few rows for a validation split.
            ParameterError: A parameter is out of range, or ``run_folder`` exists.
            AcceptorError: Any other error of `acceptor.train`.
        """
        with as_sklearn_errors():
            refuse_lone(X_val, y_val)
            config = self._config("stratified" if X_val is None else "given")
            labels = read_labels(y)
            classes = np.unique(labels)
            names = [str(label) for label in classes.tolist()]
            if len(names) < 2:
                raise InputError(
                    "there is only one class",
                    expected="rows of at least two classes",
                    found=str(names),
                    code="E-DATA-LABELS",
                )
            # The run's labels are those of load_data for the same rows; their order may differ from classes_.
            spelling = next((known for known in KNOWN_SPELLINGS if set(known) == set(names)), tuple(names))
            rows = labelled(self._read(X, reset=True), labels)
            validation = None
            if X_val is not None:
                validation = labelled(self._read(X_val, reset=False), read_labels(y_val, "y_val"))
            data = load_data(rows, validation=validation, labels=spelling)
            scratch = _TemporaryFolder()
            with training_log(verbose=self.verbose):
                run = train(data, out=self._free_folder() or scratch.folder / "run", config=config)
        if run.advice:
            logger.warning("%s", in_parameters(run.advice))
        self.classes_ = classes
        self._label_ids = np.array([spelling.index(name) for name in names])  # by position in classes_
        self.report_ = run.report.to_dict()
        self._temporary_folder = scratch
        self._load_run(run.folder)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predicted labels, shape (N,): the verdicts of ``acceptor.load(run_folder_)(X)``.

        Raises:
            NotFittedError: `fit` comes first.
            InputError: X cannot be used.
        """
        logits = self._logits(X)
        positions = np.argsort(self._label_ids)  # by label id, in classes_
        return np.asarray(self.classes_[positions[self.judge_.decision.label_ids(logits)]])

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probabilities: float64, shape (N, classes), in the order of `classes_`; rows sum to 1.

        If ``calibrate`` has fitted a threshold, `predict` may differ from the most probable class.

        Raises:
            NotFittedError: `fit` comes first.
            InputError: X cannot be used.
        """
        logits = self._logits(X)
        return self.judge_.decision.probabilities(logits)[:, self._label_ids]

    def decision_function(self, X: Any) -> npt.NDArray[np.float32]:
        """Scores in logits, float32.

        For two classes, shape (N,): the distance from the decision boundary; above 0 the verdict is ``classes_[1]``.
        For more classes, the logits: shape (N, classes), in the order of `classes_`.

        Raises:
            NotFittedError: `fit` comes first.
            InputError: X cannot be used.
        """
        logits = self._logits(X)
        if len(self.classes_) > 2:
            return logits[:, self._label_ids]
        decision = self.judge_.decision
        margins = decision.margins(logits)
        return np.where(decision.label_ids(logits) == self._label_ids[1], margins, -margins)

    def __sklearn_tags__(self) -> Any:
        """Tags: input is text, in one dimension or in one or two columns."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        return tags

    def __getstate__(self) -> dict[str, object]:
        state = dict(super().__getstate__())
        if "judge_" in state:
            del state["judge_"], state["_temporary_folder"], state["run_folder_"]
            state["_files"] = self._files()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        files = state.pop("_files", None)
        super().__setstate__(state)
        if files is not None:
            self._temporary_folder = _TemporaryFolder()
            folder = self._temporary_folder.folder / "run"
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._load_run(folder)

    def _files(self) -> dict[str, bytes]:
        """The run folder's files, by their paths in it.

        Raises:
            RunError: The files of the folder have changed since `fit`.
        """
        folder: Path = self.run_folder_
        check_judge(folder)
        if manifest_bytes(folder) != self._manifest:
            raise RunError(
                "the run folder is no longer the one that was fitted",
                where=str(folder),
                next="fit again",
                code="E-RUN-FILE",
            )
        names = [*read_manifest(folder).files, MANIFEST]
        return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}

    def _load_run(self, folder: Path) -> None:
        """Loads the judge of a finished run, after a training and after unpickling."""
        precision = "fp32" if self.precision == "fp32" else None  # None: bf16, with close calls in fp32
        self.run_folder_, self._manifest = folder, manifest_bytes(folder)
        try:
            self.judge_ = load(folder, device=self.device, precision=precision)
        except UsageError:  # fitted on a device that is not available here
            logger.warning("device %s is not available here; another one is used", self.device)
            self.judge_ = load(folder, precision=precision)

    def _config(self, split: Literal["given", "stratified"]) -> TrainConfig:
        given = {name: value for name, value in self.get_params(deep=False).items() if name in TrainConfig.model_fields}
        if isinstance(self.encoder, Path):
            given["encoder"] = str(self.encoder)
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            try:
                seed = check_random_state(seed).randint(2**31 - 1)
            except ValueError as error:
                raise ParameterError(f"random_state = {seed!r}", cause=str(error), code="E-USAGE-OPTION") from error
        return TrainConfig(**given, seed=int(seed), split=split)

    def _free_folder(self) -> Path | None:
        """The run folder that the user has chosen, if any."""
        if self.run_folder is None:
            return None
        folder = user_path(self.run_folder)
        if folder.exists():
            raise ParameterError(
                f"run_folder {folder} exists",
                expected="a path that does not exist",
                cause="fitted before, or cloned by a search or cross-validation, whose fits would all write to it",
                next="choose another one; or leave it None and copy run_folder_ of the classifier that you keep",
                code="E-USAGE-OUTPUT",
            )
        return folder

    def _logits(self, X: Any) -> npt.NDArray[np.float32]:
        check_is_fitted(self, "judge_")
        with as_sklearn_errors():
            return self.judge_.logits(*self._read(X, reset=False))

    def _read(self, X: Any, *, reset: bool) -> list[list[str]]:
        """X as one or two columns of text. Stores their number and names if ``reset``, else compares them."""
        if isinstance(X, str):
            raise InputError(
                "X is a single string",
                expected="N sentences",
                next="put it in a list: [sentence]",
                code="E-DATA-TYPE",
            )
        with as_input_error("X"):
            cells = validate_data(self, X, reset=reset, dtype=object, ensure_2d=False, ensure_all_finite=False)
        columns = columns_of(cells)
        if reset:
            self.n_features_in_ = len(columns)
        elif len(columns) != self.n_features_in_:
            raise InputError(
                f"X has {len(columns)} features, but {type(self).__name__} is expecting {self.n_features_in_} features"
                " as input",
                cause="sentences were given to a classifier of pairs, or pairs to one of sentences",
                code="E-DATA-PAIRS",
            )
        return columns


class _TemporaryFolder:
    """A temporary folder that is removed when this object is deleted."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="acceptor-"))
        weakref.finalize(self, _remove, self.folder, os.getpid())


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has the same object
        shutil.rmtree(folder, ignore_errors=True)


# fmt: off
EXPECTED_FAILED_CHECKS: dict[str, str] = {
    **dict.fromkeys(
        (
            "check_classifier_data_not_an_array", "check_classifiers_classes", "check_classifiers_train",
            "check_decision_proba_consistency", "check_dtype_object", "check_estimators_dtypes",
            "check_estimators_fit_returns_self", "check_estimators_nan_inf", "check_estimators_overwrite_params",
            "check_estimators_pickle", "check_fit_check_is_fitted", "check_fit_idempotent", "check_fit_score_takes_y",
            "check_n_features_in", "check_n_features_in_after_fitting", "check_pipeline_consistency",
            "check_positive_only_tag_during_fit", "check_readonly_memmap_input", "check_supervised_y_2d",
        ),
        "fits on numbers, which are not sentences",
    ),
    **dict.fromkeys(
        (
            "check_dict_unchanged", "check_dont_overwrite_parameters", "check_estimator_sparse_array",
            "check_f_contiguous_array_estimator", "check_fit2d_1feature", "check_fit2d_1sample",
            "check_fit2d_predict1d", "check_methods_sample_order_invariance", "check_methods_subset_invariance",
        ),
        "makes its numbers one-dimensional, as the tag allows, and then needs their second dimension",
    ),
}
"""Checks that text input cannot pass, with reasons, for ``check_estimator(..., expected_failed_checks=)``."""
# fmt: on
