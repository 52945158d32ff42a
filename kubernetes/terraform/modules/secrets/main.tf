# The secrets that kubernetes/components/external-secrets reads, empty: a person or a pipeline puts the values in, so
# that neither git nor Terraform's state ever holds one.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.90" }
  }
}

variable "names" {
  description = "Secret → what its JSON object holds."
  type        = map(string)
  default = {
    "model-factory/factory-secrets" = "FACTORY_DATABASE_URI, FACTORY_OPTUNA_URI, FACTORY_SERVING_KEY, FACTORY_FEAST__REGISTRY, FACTORY_FEAST__ONLINE_STORE, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD"
    "model-factory/factory-mlflow"  = "MLFLOW_BACKEND_STORE_URI, MLFLOW_AUTH_DATABASE_URI, MLFLOW_AUTH_ADMIN_USERNAME, MLFLOW_AUTH_ADMIN_PASSWORD, MLFLOW_FLASK_SERVER_SECRET_KEY"
    "model-factory/factory-airflow" = "connection, fernet-key, api-secret-key, jwt-secret, admin-password"
  }
}

variable "recovery_days" {
  description = "Days that a deleted secret can be brought back; 0 deletes at once."
  type        = number
  default     = 30
}

resource "aws_secretsmanager_secret" "this" {
  for_each                = var.names
  name                    = each.key
  description             = each.value
  recovery_window_in_days = var.recovery_days
}

output "arns" {
  value = [for secret in aws_secretsmanager_secret.this : secret.arn]
}
