# The server and its models, and nothing that only builds them:  make image
#
# Build arguments: RUNTIME is cpu or gpu; BASE_IMAGE any image with the same python3 ≥ 3.11 at the same path in both
# stages, pinned by make image-digest; EXTRAS may be "remote", to pull models from object stores, or "tracing", to send
# spans; VERSION and REVISION go into the labels.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG RUNTIME=cpu
ARG EXTRAS=
WORKDIR /build
COPY deploy/image/requirements-*.txt ./
# Wheels only, each checked against the hash in the lock; an image cannot be built from a file that was exchanged.
# The environment gets no pip: nothing is installed in a running container.
RUN python3 -m venv tools \
 && tools/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements-build.txt \
 && python3 -m venv --without-pip /opt/mlp-serving \
 && tools/bin/pip --python /opt/mlp-serving/bin/python install --quiet --no-cache-dir --require-hashes \
      --only-binary :all: -r "requirements-${RUNTIME}.txt" ${EXTRAS:+-r "requirements-${EXTRAS}.txt"}
# Without training/ here the wheel holds the service alone, and its command to train would find nothing. Its reader of
# JSON is compiled.
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY service service
COPY deploy/audit/debian_packages.py ./
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
 && tools/bin/pip --python /opt/mlp-serving/bin/python install --quiet --no-cache-dir --no-deps dist/*.whl \
 && rm /opt/mlp-serving/bin/mlp-train \
 && tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
      --output-file /opt/mlp-serving/sbom.cdx.json /opt/mlp-serving/bin/python \
 && python3 debian_packages.py / /opt/mlp-serving/debian.cdx.json

FROM ${BASE_IMAGE}
ARG BASE_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mlp-serving" \
      org.opencontainers.image.description="A small neural network that answers over HTTP, in ONNX Runtime" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"
COPY --from=build /opt/mlp-serving /opt/mlp-serving
ENV PATH=/opt/mlp-serving/bin:$PATH
# Python's own images have no bytecode of the standard library, and a container cannot write it. This does.
RUN ["python", "-m", "service", "--help"]
COPY models /models
# The port and the folder of models are the defaults, 8000 and /models. Setting them here would overrule a cloud platform.
ENV PYTHONDONTWRITEBYTECODE=1 \
    MLP_HOST=0.0.0.0 \
    MLP_LOG_FORMAT=json
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
WORKDIR /
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
  "import os, urllib.request as u; e = os.environ.get; \
   port = e('MLP_ADMIN_PORT', '').strip('0') and e('MLP_ADMIN_PORT') or e('MLP_PORT') or e('AIP_HTTP_PORT') or e('SAGEMAKER_BIND_TO_PORT') or e('PORT'); \
   port = port or ('8080' if '\\0serve\\0' in open('/proc/1/cmdline').read() else '8000'); \
   u.urlopen(f'http://127.0.0.1:{port}/health/ready', timeout=2)"]
# No shell between: the server is process 1 and gets SIGTERM itself.
ENTRYPOINT ["python", "-m", "service"]
