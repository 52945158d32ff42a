"""Make what the compose stack stores things in: databases, their owners, and the bucket. What is there is left alone.

It runs in the image of the steps. PostgreSQL's administrator is named by PG* variables, S3 by AWS_* ones.
"""

from __future__ import annotations

import os

import boto3
import psycopg
from botocore.exceptions import ClientError
from psycopg.sql import SQL, Identifier, Literal

OWNERS = {"airflow": ["airflow"], "mlflow": ["mlflow", "mlflow_auth"], "factory": ["factory", "optuna", "feast"]}
"""User → databases; a user's password is in <USER>_DB_PASSWORD."""


def prepare_databases() -> None:
    """Make users with the passwords of the environment, and databases that nobody but their owner may enter."""
    with psycopg.connect(dbname="postgres", autocommit=True) as connection:
        users = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        databases = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for user, owned in OWNERS.items():
            verb = SQL("ALTER" if user in users else "CREATE")
            password = Literal(os.environ[f"{user.upper()}_DB_PASSWORD"])
            connection.execute(SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, Identifier(user), password))
            for database in owned:
                if database not in databases:
                    connection.execute(
                        SQL("CREATE DATABASE {} OWNER {}").format(Identifier(database), Identifier(user))
                    )
                connection.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(database)))
                print(f"database {database} of {user}")


def prepare_bucket() -> None:
    """Make the bucket."""
    bucket = os.environ["S3_BUCKET"]
    s3 = boto3.client("s3")
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        s3.create_bucket(Bucket=bucket)
    print(f"bucket {bucket}")


if __name__ == "__main__":
    prepare_databases()
    prepare_bucket()
