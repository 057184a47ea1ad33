"""The slow tests, which `make test-fast` skips: they start servers, train networks or run other programs."""

from __future__ import annotations

from typing import Final

# Files below tests/, or a class or function in one of them.
SLOW: Final = (
    "deploy/test_manifests.py",
    "deploy/test_observed.py",
    "deploy/test_pod.py",
    "deploy/test_rules.py",
    "service/http/test_admission.py",
    "service/http/transport/test_connection.py",
    "service/http/transport/test_fast_path.py",
    "service/http/transport/test_lifetime.py::test_no_request_is_lost_when_connections_close",
    "service/inference/test_session_cuda.py",
    "service/metrics/test_drift.py::test_a_server_reports_the_drift_of_what_it_is_sent",
    "service/metrics/test_drift.py::test_drift_can_be_switched_off",
    "service/models/test_check.py::test_it_refuses_what_the_server_refuses",
    "service/models/test_rollback.py::test_a_server_serves_the_version_before",
    "service/models/test_rollback.py::test_of_several_at_once_one_succeeds",
    "service/models/test_run.py",
    "service/test_hung_workers.py",
    "service/test_main.py",
    "service/test_reload.py",
    "service/test_server.py",
    "service/test_withdrawal.py::test_a_kill_at_any_moment_leaves_whole_versions",
    "service/test_workers.py",
    "test_examples.py",
    "test_readme.py::test_the_estimator_snippet_trains_and_publishes",
    "test_shipped_model.py",
    "training/cli/test_interrupt.py",
    "training/cli/test_not_promoted.py",
    "training/data/test_fashion_mnist.py",
    "training/engine/test_subnormal.py",
    "training/estimators/test_mlp.py",
    "training/recipe/test_distillation.py",
    "training/release/importing/test_command.py",
    "training/release/test_onnx_export.py",
    "training/release/test_plots.py",
    "training/release/test_promotion.py",
    "training/release/test_quantize.py",
    "training/test_estimators_upstream.py",
    "training/test_exact_numbers.py",
    "training/test_learn_tables.py",
    "training/test_main.py",
    "training/test_table_to_service.py",
)
