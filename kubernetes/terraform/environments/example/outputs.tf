output "artifacts_uri" {
  description = "FACTORY_ARTIFACTS_URI"
  value       = "s3://${module.bucket.name}/artifacts"
}

output "database_address" {
  value = "${module.database.address}:${module.database.port}"
}

output "database_password_secret" {
  value = module.database.password_secret_arn
}

output "redis_address" {
  value = module.cache.address
}

output "role_arns" {
  description = "Service account → role, for its annotation eks.amazonaws.com/role-arn."
  value       = module.identity.role_arns
}
