"""MLflow's scoring-server client. Arguments: the server's host, its port, a file of expectations."""
# /// script
# dependencies = ["mlflow-skinny==3.17.2", "pandas<3", "requests", "scipy"]
# ///

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

host, port = sys.argv[1], int(sys.argv[2])
expected = json.loads(Path(sys.argv[3]).read_text())
client = ScoringServerClient(host, port)
client.wait_server_ready()
assert client.get_version() == expected["version"]

frame = pd.DataFrame(expected["rows"])
as_text = frame.to_csv(index=False)
for data in (
    frame,
    frame.to_dict(orient="records"),
    frame[["job", "height", "member", "country", "age"]],
    json.dumps({"dataframe_records": expected["rows"]}),
):
    answer = client.invoke(data, params={"unknown": 1} if isinstance(data, pd.DataFrame) else None)
    assert answer.get_predictions()[0].tolist() == expected["predictions"], data
    assert answer.get_predictions("ndarray").tolist() == expected["predictions"]
    assert answer["probabilities"] == expected["probabilities"]

text = requests.post(f"http://{host}:{port}/invocations", as_text, headers={"Content-Type": "text/csv"}, timeout=60)
assert text.json()["predictions"] == expected["predictions"]

try:
    client.invoke(frame.assign(height="tall"))
except Exception as error:  # noqa: BLE001 - it raises no narrower one
    assert "error code 422" in str(error), error
    assert "height" in str(error), error
else:
    raise AssertionError("a string in a numeric column was accepted")
