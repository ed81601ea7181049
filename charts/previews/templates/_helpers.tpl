{{/* The name of all that belongs to the manager itself. */}}
{{- define "previews.name" -}}
{{ printf "previews-%s" .Values.instance }}
{{- end }}

{{/* The name of the root of roots, and of the AppProject that all roots belong to. The manager knows it as well. */}}
{{- define "previews.roots" -}}
{{ printf "%s-previews" .Values.instance }}
{{- end }}

{{- define "previews.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Values.instance | quote }}
{{- end }}

{{- define "previews.labels" -}}
{{ include "previews.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}
