"""One function per step, and the entry point that a process or a pod starts."""
