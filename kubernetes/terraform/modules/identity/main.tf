# A role for each service account of kubernetes/base that needs AWS, by the cluster's OpenID Connect: pods hold no keys,
# and a role does only what its policy says.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.90" }
  }
}

variable "name" {
  description = "Prefix of the roles' names."
  type        = string
}

variable "namespace" {
  type    = string
  default = "model-factory"
}

variable "oidc_provider_arn" {
  description = "The cluster's OpenID Connect provider in IAM."
  type        = string
}

variable "oidc_issuer" {
  description = "The same provider's issuer, without https://."
  type        = string
}

variable "bucket_arn" {
  type = string
}

variable "secret_arns" {
  description = "Secrets that the External Secrets operator may read."
  type        = list(string)
}

locals {
  # service account → what of the bucket it may read and write; the model server has its packages from MLflow
  accounts = {
    factory-step    = ["artifacts/*"]
    factory-release = ["artifacts/*"]
    factory-mlflow  = ["mlflow/*"]
    factory-airflow = ["artifacts/*", "airflow-logs/*"]
  }
  readers = toset(concat(keys(local.accounts), ["factory-external-secrets"]))
}

data "aws_iam_policy_document" "trust" {
  for_each = local.readers
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:sub"
      values   = ["system:serviceaccount:${var.namespace}:${each.key}"]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each           = local.readers
  name               = "${var.name}-${trimprefix(each.key, "factory-")}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.accounts
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = each.value
    }
  }
  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = [for prefix in each.value : "${var.bucket_arn}/${prefix}"]
  }
}

resource "aws_iam_role_policy" "bucket" {
  for_each = local.accounts
  name     = "bucket"
  role     = aws_iam_role.this[each.key].id
  policy   = data.aws_iam_policy_document.bucket[each.key].json
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    resources = var.secret_arns
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.this["factory-external-secrets"].id
  policy = data.aws_iam_policy_document.secrets.json
}

output "role_arns" {
  description = "Service account → role; the annotation eks.amazonaws.com/role-arn of each."
  value       = { for account, role in aws_iam_role.this : account => role.arn }
}
