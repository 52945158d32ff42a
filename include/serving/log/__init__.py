"""The prediction log: spool, writer, feedback, and the way back from Kafka."""
