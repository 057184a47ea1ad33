"""The Open Inference Protocol over gRPC, an extra: nothing here is imported unless `--grpc-port` is set."""
