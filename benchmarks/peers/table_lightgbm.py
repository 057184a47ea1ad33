"""What one would write for a table: FastAPI, a pydantic model of a row, a pandas frame with categories, LightGBM.

table_lightgbm.py fit CSV TARGET MODEL trains a model; table_lightgbm.py PORT MODEL serves it.
"""

# /// script
# dependencies = [
#   "fastapi==0.165.0", "uvicorn[standard]==0.54.0", "lightgbm==4.7.0", "pandas==2.3.3", "scikit-learn==1.9.1",
# ]
# ///

import pickle
import sys
from pathlib import Path

import pandas as pd
import uvicorn
from fastapi import FastAPI
from lightgbm import LGBMClassifier
from pydantic import BaseModel, create_model


def fit(file, target, model):
    table = pd.read_csv(file)
    answers = table.pop(target)
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    types = {name: pd.CategoricalDtype(sorted(table[name].unique())) for name in texts}
    fitted = LGBMClassifier(n_jobs=1, verbose=-1).fit(table.astype(types), answers)
    Path(model).write_bytes(pickle.dumps((fitted, types, {name: str if name in types else float for name in table})))


def application(model):
    fitted, types, columns = pickle.loads(Path(model).read_bytes())  # noqa: S301 - written by this program
    row = create_model("Row", **{name: (kind, ...) for name, kind in columns.items()})

    class Inputs(BaseModel):
        inputs: list[row]

    app = FastAPI()

    @app.post("/predict")
    def predict(body: Inputs):
        frame = pd.DataFrame([each.model_dump() for each in body.inputs]).astype(types)
        probabilities = fitted.predict_proba(frame)
        classes = fitted.classes_[probabilities.argmax(axis=1)]
        return {"probabilities": probabilities.tolist(), "classes": classes.tolist()}

    return app


if __name__ == "__main__":
    if sys.argv[1] == "fit":
        fit(*sys.argv[2:])
    else:
        uvicorn.run(application(sys.argv[2]), port=int(sys.argv[1]), access_log=False, log_level="warning")
