{{/* A preview has its namespace to itself, so its objects are all named `app`. */}}
{{- define "preview-app.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}
