"""ONNX Runtime sessions: built on the requested provider, checked, run. The only importer of onnxruntime."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import ModelRefused, ProviderUnavailable
from service.inference.onnx_wire import NotOnnxError, defines_functions, has_external_data

# From 1.29 on, ONNX Runtime sends telemetry about hardware and models as soon as it is imported. Turn it off.
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

_log = logging.getLogger(__name__)

# ONNX Runtime would write coloured lines to stderr between ours. It also raises its errors.
_FATAL: Final = 4
ort.set_default_logger_severity(_FATAL)

# The remedy if a graph, or a file published with it, is at fault.
AGAIN: Final = "publish the model again"

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"
# TensorFloat-32 keeps 10 bits of each factor, which would move probabilities by 1e-3.
_CUDA_OPTIONS: Final = {"use_tf32": "0"}
_INPUT: Final = "inputs"
_CPUINFO: Final = Path("/proc/cpuinfo")
_VNNI: Final = re.compile(r"^flags\b.*\bavx(?:512)?_vnni\b", re.MULTILINE)
_TENSORS: Final = {"float32": "tensor(float)", "float64": "tensor(double)"}
_NO_ROWS: Final = np.empty(0, np.intp)


class Outputs(NamedTuple):
    """The network's outputs for a batch: probabilities float32 (rows, classes) and prediction int64 (rows,).

    A regression has no probabilities, and its prediction is float32 or float64 (rows, targets).
    """

    probabilities: NDArray[np.float32] | None
    prediction: NDArray[Any]

    def rows(self, first: int, end: int) -> Outputs:
        """The rows from ``first`` up to ``end``, as views."""
        return Outputs(
            None if self.probabilities is None else self.probabilities[first:end], self.prediction[first:end]
        )

    def without(self, rows: NDArray[np.intp]) -> Outputs:
        """All rows but these."""
        return Outputs(
            None if self.probabilities is None else np.delete(self.probabilities, rows, axis=0),
            np.delete(self.prediction, rows, axis=0),
        )

    def overflowed(self) -> NDArray[np.intp]:
        """Indices of the rows with outputs that are not finite: their values exceeded what float32 holds on the way."""
        finite = np.isfinite(self.prediction if self.probabilities is None else self.probabilities)
        return _NO_ROWS if finite.all() else np.flatnonzero(~finite.all(axis=1))

    @classmethod
    def joined(cls, parts: Sequence[Outputs]) -> Outputs:
        """The rows of all parts, concatenated."""
        probabilities = [part.probabilities for part in parts if part.probabilities is not None]
        return cls(
            np.concatenate(probabilities) if probabilities else None,
            np.concatenate([part.prediction for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """A network that is ready to run. ``provider`` is where it actually runs, ``cpu`` or ``cuda``."""

    provider: str
    _runtime: ort.InferenceSession
    _outputs: tuple[str, ...]

    def run(self, inputs: NDArray[Any], options: ort.RunOptions | None = None) -> Outputs:
        """Run ``inputs`` (rows, features), in the dtype of the graph, through the network."""
        *probabilities, prediction = self._runtime.run(self._outputs, {_INPUT: inputs}, options)
        return Outputs(probabilities[0] if probabilities else None, prediction)


class StoppableRun:
    """`Session.run` for a thread whose run another thread may have to end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._options = ort.RunOptions()

    def __call__(self, inputs: NDArray[Any]) -> Outputs:
        """Run ``inputs`` through the network. Raises an error of ONNX Runtime if `stop` is called meanwhile."""
        if self._options.terminate:
            self._options = ort.RunOptions()
        return self._session.run(inputs, self._options)

    def stop(self) -> None:
        """End the run before its next operator."""
        self._options.terminate = True


class LimitedSession:
    """A session whose runs have to end: ``limit_s`` after it was entered, they raise `TimeoutError`.

    It ends a run before its next operator, also within a loop of the graph.
    """

    def __init__(self, session: Session, limit_s: float) -> None:
        self._session = session
        self._limit_s = limit_s
        self._options = ort.RunOptions()
        self._timer = threading.Timer(limit_s, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()

    def run(self, inputs: NDArray[Any]) -> Outputs:
        """As `Session.run`."""
        try:
            return self._session.run(inputs, self._options)
        except Exception as error:
            if self._options.terminate:
                raise TimeoutError(f"its checks took {self._limit_s:g} s and had not ended") from error
            raise

    def _stop(self) -> None:
        self._options.terminate = True


def build(
    model: bytes,
    provider: str,
    *,
    features: int,
    classes: int,
    targets: int = 1,
    input_dtype: str = "float32",
    output_dtype: str = "float32",
) -> Session:
    """A session for the graph in ``model`` on ``provider``: ``cpu``, ``cuda``, or ``auto``, a GPU if one works.

    ``classes`` is 0 for a regression, whose ``targets`` are predicted in ``output_dtype``. Raises `ProviderUnavailable`
    if ``cuda`` is requested and cannot run, and `ModelRefused` if ``model`` is not a graph, needs other files, or does
    not map ``inputs`` of ``input_dtype`` (rows, ``features``) to `Outputs`.
    """
    outputs: dict[str, Any] = {"prediction": (_TENSORS[output_dtype], [targets])}
    if classes:
        outputs = {"probabilities": ("tensor(float)", [classes]), "prediction": ("tensor(int64)", [])}
    _check_self_contained(model)
    runs_on, runtime = _start(model, provider)
    _check_graph(runtime, features, input_dtype, outputs)
    return Session(runs_on, runtime, tuple(outputs))


def _check_self_contained(model: bytes) -> None:
    """Reject graphs that refer to other files: ONNX Runtime would open them, and no hash covers them.

    And those with functions of their own: it puts a copy in the place of each call, and a few of them that call each
    other make a graph without end.
    """
    try:
        external, functions = has_external_data(model), defines_functions(model)
    except NotOnnxError as error:
        raise ModelRefused(f"the graph does not load: it is no ONNX file, as {error}; {AGAIN}") from error
    if external:
        raise ModelRefused(f"the graph keeps numbers in other files, expected all of them inside; {AGAIN}")
    if functions:
        raise ModelRefused(f"the graph defines functions, expected ONNX's operators alone; {AGAIN}")


def means_cpu(provider: str) -> bool:
    """Whether ``provider`` can only be the CPU: it is ``cpu``, or ``auto`` and this ONNX Runtime has no CUDA."""
    without_cuda = provider == "auto" and _CUDA not in ort.get_available_providers()
    if without_cuda:
        _log_once(_no_cuda())
    return without_cuda or provider == "cpu"


def _start(model: bytes, provider: str) -> tuple[str, ort.InferenceSession]:
    if provider != "cpu":
        try:
            return "cuda", _on_cuda(model)
        except ProviderUnavailable as reason:
            if provider == "cuda":
                raise
            _log_once(str(reason))
    return "cpu", _on_cpu(model)


@cache
def _log_once(reason: str) -> None:
    """Every version that is loaded would say the same."""
    _log.info("running on the CPU: %s", reason)


def _options() -> ort.SessionOptions:
    # One thread: ONNX Runtime sizes its pool from the host, not from the container's quota, and lets it spin between
    # runs. Parallelism comes from worker processes.
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Not the runtime's own format, which it would detect by its first bytes, and which `onnx_wire` does not check.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if saturates():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = _FATAL
    return options


@cache
def saturates(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether this processor's products with 8-bit weights saturate at 16 bits, and need a slower, exact kernel.

    That is so on x86 without VNNI. True if unknown. Training publishes 7-bit weights, which ONNX Runtime leaves in the
    fast kernel; versions before that have 8.
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    try:
        return _VNNI.search(cpuinfo.read_text()) is None
    except OSError:
        return True


def _on_cpu(model: bytes) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(model, _options(), providers=[_CPU])
    except Exception as error:
        raise ModelRefused(f"the graph does not load: {_first_line(error)}; {AGAIN}") from error


def _on_cuda(model: bytes) -> ort.InferenceSession:
    """Run on CUDA or raise: ONNX Runtime itself would log the failure and fall back to the CPU."""
    if _CUDA not in ort.get_available_providers():
        raise ProviderUnavailable(_no_cuda())
    # The CUDA libraries that pip installed with onnxruntime-gpu. It prints missing ones; the error below names them.
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls(directory="")
    options = _options()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    remedy = (
        "check that nvidia-smi lists a GPU here, that its driver supports CUDA 13 and that mlp-serving[gpu] brought "
        "the CUDA and cuDNN libraries, or start with --provider cpu"
    )
    try:
        runtime = ort.InferenceSession(model, options, providers=[(_CUDA, _CUDA_OPTIONS)], enable_fallback=0)
    except Exception as error:
        raise ProviderUnavailable(
            f"CUDA does not start: {_missing_library() or _first_line(error)}; {remedy}"
        ) from error
    if _CUDA not in runtime.get_providers():
        raise ProviderUnavailable(
            f"CUDA does not start: ONNX Runtime {ort.__version__} gave {_names(runtime.get_providers())}; {remedy}"
        )
    return runtime


def _no_cuda() -> str:
    return (
        f"CUDA is not in this build of ONNX Runtime {ort.__version__} ({_names(ort.get_available_providers())}); "
        "install mlp-serving[gpu] instead of mlp-serving[cpu], or start with --provider cpu"
    )


def _missing_library() -> str | None:
    """Why ONNX Runtime's CUDA library does not load: it only logs that, and raises a consequence of it."""
    folder = Path(ort.__file__).parent / "capi"
    try:
        # The second needs symbols of the first, but is not linked to it.
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
    except OSError as error:
        return str(error)
    return None


def _check_graph(runtime: ort.InferenceSession, features: int, dtype: str, expected: dict[str, Any]) -> None:
    inputs = [(node.name, node.type, node.shape[1:]) for node in runtime.get_inputs()]
    if inputs != [(_INPUT, _TENSORS[dtype], [features])]:
        wanted = f"one {dtype} input 'inputs' (rows, {features})"
        raise ModelRefused(f"the graph takes {inputs}, expected {wanted}; {AGAIN}")
    outputs = {node.name: (node.type, node.shape[1:]) for node in runtime.get_outputs()}
    if outputs != expected:
        raise ModelRefused(f"the graph gives {outputs}, expected {expected}; {AGAIN}")


def _names(providers: list[str]) -> str:
    return ", ".join(name.removesuffix("ExecutionProvider") for name in providers)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
