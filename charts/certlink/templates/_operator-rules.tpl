{{/* Written by hack/generate.sh from the RBAC markers of controllers/. */}}
{{- define "certlink.operatorRules" -}}
{{- end }}
