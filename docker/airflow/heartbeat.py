"""Whether this container's Airflow component beats: exit code 0 or 1. ``heartbeat.py SchedulerJob``.

It asks the metadata database itself, which takes a tenth of a second; ``airflow jobs check`` takes five seconds.
"""

from __future__ import annotations

import os
import re
import socket
import sys

import psycopg

SECONDS = 60
BEATS = """
    SELECT count(*) FROM job
    WHERE job_type = %s AND hostname = %s AND state = 'running' AND latest_heartbeat > now() - make_interval(secs => %s)
"""


def beats(component: str) -> bool:
    """Return whether a job of this kind, on this host, left a heartbeat within the last minute."""
    uri = re.sub(r"^postgresql\+\w+:", "postgresql:", os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with psycopg.connect(uri, connect_timeout=5) as connection:
        found = connection.execute(BEATS, (component, socket.getfqdn(), SECONDS)).fetchone()
    return bool(found and found[0])


if __name__ == "__main__":
    try:
        sys.exit(0 if beats(sys.argv[1]) else f"{sys.argv[1]} on {socket.getfqdn()} left no heartbeat")
    except psycopg.Error as error:
        sys.exit(f"the metadata database does not answer: {type(error).__name__}")
