"""`mlflow models serve` of a Python model: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally

mlflow_pyfunc.py save GRAPH MODEL saves the model; mlflow_pyfunc.py PORT MODEL serves it.
"""

# /// script
# dependencies = ["mlflow==3.17.2", "onnxruntime==1.32.0", "numpy==2.4.6"]
# ///

import os
import sys
from pathlib import Path

import mlflow
import numpy as np
import onnxruntime as ort


class Network(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(context.artifacts["graph"], options, providers=["CPUExecutionProvider"])

    def predict(self, context, model_input):
        rows = np.asarray(model_input, np.float32)
        probabilities, classes = self.session.run(["probabilities", "prediction"], {"inputs": rows})
        return {"probabilities": probabilities.tolist(), "classes": classes.tolist()}


if __name__ == "__main__":
    if sys.argv[1] == "save":
        _, _, graph, model = sys.argv
        mlflow.pyfunc.save_model(model, python_model=Network(), artifacts={"graph": graph}, pip_requirements=[])
    else:
        _, port, model = sys.argv
        program = Path(sys.executable).parent / "mlflow"
        options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
        os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
        os.execv(program, [program, "models", "serve", "--model-uri", model, *options])
