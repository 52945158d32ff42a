"""What is to be seen of the server: metrics, statistics, logs, traces."""
