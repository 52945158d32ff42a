"""The Open Inference Protocol over REST; `rpc` speaks it over gRPC."""
