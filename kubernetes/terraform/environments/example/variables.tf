variable "region" {
  type    = string
  default = "us-east-1"
}

variable "environment" {
  description = "Such as staging or production."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket, where model-factory-<environment> is taken: buckets share one name space."
  type        = string
  default     = ""
}

variable "vpc_id" {
  description = "Network of the Kubernetes cluster."
  type        = string
}

variable "subnet_ids" {
  description = "Its private subnets, in two zones at least."
  type        = list(string)
}

variable "node_security_group_ids" {
  description = "Security groups of the cluster's nodes."
  type        = list(string)
}

variable "oidc_provider_arn" {
  description = "The cluster's OpenID Connect provider in IAM."
  type        = string
}

variable "oidc_issuer" {
  description = "The same provider's issuer, without https://."
  type        = string
}

variable "protected" {
  description = "Refuse to delete what holds data; false for environments that come and go."
  type        = bool
  default     = true
}
