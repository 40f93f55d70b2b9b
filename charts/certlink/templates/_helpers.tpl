{{/* Names and labels that every object of the chart shares. */}}

{{- define "certlink.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "certlink.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "certlink.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "certlink.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "certlink.operator" -}}
{{- printf "%s-operator" (include "certlink.fullname" .) }}
{{- end }}

{{- define "certlink.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "certlink.operator" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "certlink.selectorLabels" -}}
app.kubernetes.io/name: {{ include "certlink.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "certlink.labels" -}}
app.kubernetes.io/name: {{ include "certlink.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of a namespaced object: list of context and name. */}}
{{- define "certlink.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
{{ include "certlink.common" $root }}
{{- end }}

{{/* labels and annotations of an object that has none of its own. */}}
{{- define "certlink.common" -}}
labels:
  {{- include "certlink.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "certlink.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* The relay runs from the operator's image unless a part of it is set otherwise. */}}
{{- define "certlink.relayImage" -}}
{{- $repository := default .Values.image.repository .Values.relayImage.repository -}}
{{- $tag := .Values.relayImage.tag -}}
{{- $digest := .Values.relayImage.digest -}}
{{- if not (or .Values.relayImage.repository $tag $digest) -}}
{{- include "certlink.image" . -}}
{{- else if $digest -}}
{{- $repository }}@{{ $digest }}
{{- else -}}
{{- $repository }}:{{ coalesce $tag .Values.image.tag .Chart.AppVersion }}
{{- end }}
{{- end }}
