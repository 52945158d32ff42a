# PostgreSQL for the factory's tables, Optuna, MLflow, Feast and Airflow. RDS makes and keeps the password itself, in
# Secrets Manager, so that Terraform's state never holds it.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.90" }
  }
}

variable "name" {
  description = "Name of the instance."
  type        = string
}

variable "vpc_id" {
  description = "Network of the cluster."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Name private subnets in two zones at least: a database that fails over needs both."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of the cluster's nodes; nobody else reaches the port."
  type        = list(string)
}

variable "instance_class" {
  type    = string
  default = "db.t4g.medium"
}

variable "storage_gb" {
  type    = number
  default = 50
}

variable "multi_az" {
  description = "Keep a second instance in another zone."
  type        = bool
  default     = true
}

variable "protected" {
  description = "Refuse to delete the instance, and keep a last snapshot of it."
  type        = bool
  default     = true
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-postgres"
  description = "PostgreSQL of the model factory"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each                     = toset(var.client_security_group_ids)
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_parameter_group" "this" {
  name   = var.name
  family = "postgres17"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

resource "aws_db_instance" "this" {
  identifier                   = var.name
  engine                       = "postgres"
  engine_version               = "17"
  instance_class               = var.instance_class
  allocated_storage            = var.storage_gb
  max_allocated_storage        = var.storage_gb * 4
  storage_type                 = "gp3"
  storage_encrypted            = true
  db_name                      = "factory"
  username                     = "factory"
  manage_master_user_password  = true
  parameter_group_name         = aws_db_parameter_group.this.name
  db_subnet_group_name         = aws_db_subnet_group.this.name
  vpc_security_group_ids       = [aws_security_group.this.id]
  publicly_accessible          = false
  multi_az                     = var.multi_az
  backup_retention_period      = 14
  copy_tags_to_snapshot        = true
  performance_insights_enabled = true
  auto_minor_version_upgrade   = true
  deletion_protection          = var.protected
  skip_final_snapshot          = !var.protected
  final_snapshot_identifier    = var.protected ? "${var.name}-last" : null
}

output "address" {
  value = aws_db_instance.this.address
}

output "port" {
  value = aws_db_instance.this.port
}

output "password_secret_arn" {
  description = "Secret that RDS keeps the master user's password in."
  value       = try(aws_db_instance.this.master_user_secret[0].secret_arn, null)
}
