{{/* A file of variables, `NAME=value` a line, as YAML. Takes the file's text. */}}
{{- define "factory.variables" -}}
{{- $found := dict -}}
{{- range splitList "\n" . -}}
{{- if and (contains "=" .) (not (hasPrefix "#" .)) -}}
{{- $pair := splitn "=" 2 . -}}
{{- $_ := set $found $pair._0 $pair._1 -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Whether the values want an object of the base: "yes" or nothing. Takes root and object. */}}
{{- define "factory.wanted" -}}
{{- $values := .root.Values -}}
{{- $kind := .object.kind -}}
{{- if and (hasSuffix "feast" .object.metadata.name) (not $values.feast.enabled) -}}
{{- else if and (eq $kind "HorizontalPodAutoscaler") (not $values.serving.autoscaling.enabled) -}}
{{- else if and (eq $kind "PodDisruptionBudget") (not $values.disruptionBudgets) -}}
{{- else if and (eq $kind "NetworkPolicy") (not $values.networkPolicies) -}}
{{- else if and (eq $kind "PriorityClass") (not $values.priorityClasses) -}}
{{- else if and (eq $kind "Ingress") (not $values.ingress.enabled) -}}
{{- else if eq $kind "Namespace" -}}
{{- else -}}
yes
{{- end -}}
{{- end -}}

{{/* An object of the base with what the values say. Takes root and object; the object is changed. */}}
{{- define "factory.object" -}}
{{- $values := .root.Values -}}
{{- $object := .object -}}
{{- $metadata := $object.metadata -}}
{{- $component := trimPrefix "factory-" $metadata.name -}}
{{- $part := dict "app.kubernetes.io/part-of" "model-factory" -}}
{{- $chart := dict "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $metadata "labels" (merge dict (default dict $metadata.labels) $part $chart) -}}
{{- if ne $object.kind "PriorityClass" -}}
{{- $_ := set $metadata "namespace" .root.Release.Namespace -}}
{{- end -}}
{{- if eq $object.kind "ServiceAccount" -}}
{{- with index $values.serviceAccounts $metadata.name -}}
{{- $_ := set $metadata "annotations" . -}}
{{- end -}}
{{- else if eq $object.kind "RoleBinding" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- range $object.subjects -}}
{{- $_ := set . "namespace" $namespace -}}
{{- end -}}
{{- else if eq $object.kind "ResourceQuota" -}}
{{- $_ := set $object.spec "hard" (merge dict $values.quota $object.spec.hard) -}}
{{- else if eq $object.kind "HorizontalPodAutoscaler" -}}
{{- $_ := set $object.spec "minReplicas" $values.serving.autoscaling.minReplicas -}}
{{- $_ := set $object.spec "maxReplicas" $values.serving.autoscaling.maxReplicas -}}
{{- else if eq $object.kind "Ingress" -}}
{{- include "factory.ingress" (dict "object" $object "ingress" $values.ingress "component" $component) -}}
{{- else if eq $object.kind "Deployment" -}}
{{- include "factory.deployment" (dict "object" $object "server" (index $values $component) "image" $values.image "component" $component "part" $part) -}}
{{- end -}}
{{- end -}}

{{- define "factory.ingress" -}}
{{- $host := index .ingress.hosts .component -}}
{{- $_ := set .object.spec "ingressClassName" .ingress.className -}}
{{- $_ := set (first .object.spec.rules) "host" $host -}}
{{- with .ingress.annotations -}}
{{- $_ := set $.object.metadata "annotations" . -}}
{{- end -}}
{{- if .ingress.tls -}}
{{- $_ := set .object.spec "tls" (list (dict "hosts" (list $host) "secretName" (printf "factory-%s-tls" .component))) -}}
{{- end -}}
{{- end -}}

{{- define "factory.deployment" -}}
{{- $template := .object.spec.template -}}
{{- $container := first $template.spec.containers -}}
{{- $name := printf "model-factory/%s" .component -}}
{{- if .image.registry -}}
{{- $name = printf "%s/%s" .image.registry $name -}}
{{- end -}}
{{- $digest := index .image.digests .component -}}
{{- $_ := set $container "image" (ternary (printf "%s@%s" $name $digest) (printf "%s:%s" $name .image.tag) (not (empty $digest))) -}}
{{- $_ := set $container "imagePullPolicy" .image.pullPolicy -}}
{{- $_ := set $container "resources" (merge dict .server.resources $container.resources) -}}
{{- $_ := set .object.spec "replicas" .server.replicas -}}
{{- $_ := set $template.metadata "labels" (merge dict $template.metadata.labels .part) -}}
{{- with .server.nodeSelector -}}
{{- $_ := set $template.spec "nodeSelector" . -}}
{{- end -}}
{{- with .server.tolerations -}}
{{- $_ := set $template.spec "tolerations" . -}}
{{- end -}}
{{- if .image.pullSecrets -}}
{{- $secrets := list -}}
{{- range .image.pullSecrets -}}
{{- $secrets = append $secrets (dict "name" .) -}}
{{- end -}}
{{- $_ := set $template.spec "imagePullSecrets" $secrets -}}
{{- end -}}
{{- end -}}
