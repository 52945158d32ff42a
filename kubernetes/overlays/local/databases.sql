-- Run once, by the image's entry point, as the user that POSTGRES_USER names.
CREATE DATABASE factory;
CREATE DATABASE optuna;
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_auth;
CREATE DATABASE feast;
CREATE DATABASE airflow;
