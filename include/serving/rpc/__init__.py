"""The Open Inference Protocol over gRPC; imported only by a server whose settings name a port for it."""
