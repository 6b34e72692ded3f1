{{- define "reconciler.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "reconciler.account" -}}
{{- .Values.serviceAccount.name | default (include "reconciler.name" .) }}
{{- end }}

{{- define "reconciler.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "reconciler.labels" -}}
{{ include "reconciler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "reconciler.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "reconciler.settings" -}}
{{- $own := dict "repo" .Values.repository.path "cluster" "kubernetes" "namespace" .Release.Namespace "listen" "0.0.0.0:7373" "tokenFile" "/var/lib/reconciler/token" }}
{{- mustMergeOverwrite (deepCopy .Values.settings) $own | toYaml }}
{{- end }}
