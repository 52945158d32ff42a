# One environment: copy this folder, fill in terraform.tfvars, and keep its state in a bucket with a lock.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.90" }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project     = "model-factory"
      environment = var.environment
    }
  }
}

locals {
  name = "model-factory-${var.environment}"
}

module "bucket" {
  source = "../../modules/bucket"
  name   = var.bucket == "" ? local.name : var.bucket
}

module "database" {
  source                    = "../../modules/database"
  name                      = local.name
  vpc_id                    = var.vpc_id
  subnet_ids                = var.subnet_ids
  client_security_group_ids = var.node_security_group_ids
  protected                 = var.protected
}

module "cache" {
  source                    = "../../modules/cache"
  name                      = local.name
  vpc_id                    = var.vpc_id
  subnet_ids                = var.subnet_ids
  client_security_group_ids = var.node_security_group_ids
}

module "secrets" {
  source        = "../../modules/secrets"
  recovery_days = var.protected ? 30 : 0
}

module "identity" {
  source            = "../../modules/identity"
  name              = local.name
  oidc_provider_arn = var.oidc_provider_arn
  oidc_issuer       = var.oidc_issuer
  bucket_arn        = module.bucket.arn
  secret_arns       = module.secrets.arns
}
