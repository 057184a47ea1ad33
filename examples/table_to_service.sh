#!/usr/bin/env bash
# From a CSV file to a prediction over HTTP.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
port=${PORT:-8000}
models=$(mktemp -d)

# Train, and publish $models/flats/1. `zip` looks like a number, but is a category.
$python -m training examples/flats.csv --target price --categorical zip --hidden 32 --epochs 60 --models "$models"

# Serve it.
$python -m service --models "$models" --port "$port" &
server=$!
trap 'kill $server; wait $server || true; rm -r "$models"' EXIT
until curl --silent --fail --output /dev/null "localhost:$port/health/ready"; do
  kill -0 $server
  sleep 0.1
done

# Predict two prices. The second flat's year is unknown.
curl --silent --fail "localhost:$port/predict" -d '{"inputs": [
  {"area_m2": 72.5, "rooms": 3, "zip": "10785", "balcony": true, "year": 1998},
  {"area_m2": 40, "rooms": 1, "zip": "13347", "balcony": false, "year": null}
]}'
