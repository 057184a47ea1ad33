"""Fit one model on a table's training rows and score it: table_models.py MODEL FOLDER SET SEED

Each with its defaults, on one thread, prepared as its own documentation recommends: scikit-learn's MLP in the usual
pipeline; the trees with categories and missing values as they are, RealMLP with categories. Prints the loss (log-loss
or RMSE), the score (accuracy or R²) and the CPU seconds of the fit, as JSON.
https://scikit-learn.org/stable/modules/generated/sklearn.ensemble.HistGradientBoostingClassifier.html
https://lightgbm.readthedocs.io/en/stable/Python-API.html, https://catboost.ai/docs/en/concepts/python-quickstart,
https://github.com/dholzmueller/pytabkit
"""

# /// script
# dependencies = [
#   "scikit-learn==1.9.1", "lightgbm==4.7.0", "catboost==1.2.10", "pytabkit==1.8.0", "pandas==2.3.3", "numpy==2.4.6"
# ]
# ///

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

# ruff: noqa: PLC0415 - only the model that is measured is imported
os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore")


def read(folder: Path, name: str, target: str) -> tuple[Any, Any, Any, Any]:
    """Features and target of the training rows and of the test rows; text columns with the same categories."""
    parts = [
        pd.read_csv(folder / f"{name}.{part}.csv", keep_default_na=False, na_values=[""]) for part in ("train", "test")
    ]
    together = pd.concat(parts, keys=("train", "test"))
    for column in together.columns:
        if column != target and not pd.api.types.is_numeric_dtype(together[column]):
            values = together[column].astype(str).where(together[column].notna())
            known = sorted(values.loc["train"].dropna().unique())
            together[column] = pd.Categorical(values, known)
    train, test = together.loc["train"], together.loc["test"]
    return train.drop(columns=target), train[target], test.drop(columns=target), test[target]


def scikit_learn_mlp(classifies: bool, seed: int, inputs: Any) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    texts = [column for column in inputs.columns if isinstance(inputs[column].dtype, pd.CategoricalDtype)]
    numbers = [column for column in inputs.columns if column not in texts]
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), texts),
    )
    return make_pipeline(prepare, (MLPClassifier if classifies else MLPRegressor)(random_state=seed))


def hist_gradient_boosting(classifies: bool, seed: int, _: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return (HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor)(random_state=seed)


def lightgbm(classifies: bool, seed: int, _: Any) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if classifies else LGBMRegressor)(random_state=seed, n_jobs=1, verbose=-1)


def catboost(classifies: bool, seed: int, inputs: Any) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    texts = [column for column in inputs.columns if isinstance(inputs[column].dtype, pd.CategoricalDtype)]
    chosen = CatBoostClassifier if classifies else CatBoostRegressor
    return chosen(random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False, cat_features=texts)


def realmlp(classifies: bool, seed: int, _: Any) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    chosen = RealMLP_TD_Classifier if classifies else RealMLP_TD_Regressor
    return chosen(device="cpu", n_threads=1, random_state=seed, verbosity=0)


MODELS = {
    "scikit-learn MLP": scikit_learn_mlp,
    "HistGradientBoosting": hist_gradient_boosting,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
    "RealMLP-TD": realmlp,
}


def with_texts(inputs: Any) -> Any:
    """CatBoost wants texts instead of missing categories."""
    texts = inputs.select_dtypes("category").columns
    return inputs.assign(**{column: inputs[column].astype(object).fillna("missing").astype(str) for column in texts})


def with_numbers(inputs: Any, known: Any) -> Any:
    """RealMLP takes no missing numbers: they become the median of the training rows."""
    numbers = inputs.select_dtypes("number").columns
    return inputs.assign(**{column: inputs[column].fillna(known[column].median()) for column in numbers})


def main() -> None:
    model, folder, name, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    about = json.loads((folder / "sets.json").read_text())[name]
    classifies = about["task"] == "classification"
    train_inputs, train_target, test_inputs, test_target = read(folder, name, about["target"])
    if classifies:
        labels = LabelEncoder().fit(train_target.astype(str))
        train_target, test_target = (
            labels.transform(train_target.astype(str)),
            labels.transform(test_target.astype(str)),
        )
    fitted = MODELS[model](classifies, seed, train_inputs)
    if model == "CatBoost":
        train_inputs, test_inputs = with_texts(train_inputs), with_texts(test_inputs)
    if model == "RealMLP-TD":
        train_inputs, test_inputs = with_numbers(train_inputs, train_inputs), with_numbers(test_inputs, train_inputs)
    began_s = time.process_time()
    fitted.fit(train_inputs, train_target)
    cpu_s = time.process_time() - began_s
    if classifies:
        probabilities = np.asarray(fitted.predict_proba(test_inputs), np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        loss = log_loss(test_target, np.clip(probabilities, 1e-7, 1), labels=range(len(labels.classes_)))
        score = accuracy_score(test_target, probabilities.argmax(axis=1))
    else:
        values = np.asarray(fitted.predict(test_inputs)).ravel()
        loss, score = root_mean_squared_error(test_target, values), r2_score(test_target, values)
    print(json.dumps({"loss": float(loss), "score": float(score), "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
