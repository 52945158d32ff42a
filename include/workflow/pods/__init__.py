"""The pod runtime: a step in a pod of its own; imported only where the runtime is kubernetes."""
