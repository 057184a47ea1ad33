#!/usr/bin/env bash
# Call the service with curl.
set -euo pipefail
cd "$(dirname "$0")/.."
url=${1:-http://localhost:8000}
example=models/fashion-mnist/1/example.json

echo "What is served:"
curl --silent --fail "$url/models"

echo -e "\n\nThe best two labels, without all probabilities:"
curl --silent --fail "$url/predict?top_k=2&probabilities=false" -d @$example

echo -e "\n\nA compressed request to one version of a named model:"
gzip --stdout $example | curl --silent --fail "$url/models/fashion-mnist/versions/1/predict?probabilities=false" \
  --header 'content-type: application/json' --header 'content-encoding: gzip' --data-binary @-

echo -e "\n\nTwo image files:"
curl --silent --fail "$url/predict?probabilities=false" --form image=@examples/boot.png --form image=@examples/boot.png

echo -e "\n\nAn error says what to change:"
curl --silent "$url/predict" -d '{"inputs": [[1, 2, 3]]}'
