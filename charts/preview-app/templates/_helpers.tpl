{{/* A preview has its namespace to itself, so its objects are all named `app`. */}}
{{- define "preview-app.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* What makes other pods when it changes; nothing is written of what is not set. */}}
{{- define "preview-app.occasions" -}}
{{- with .Values.global.previews.redeployedAt }}
# Another time makes other pods: the manager sets it when somebody asks to deploy the same commit again.
previews.dev/redeployed-at: {{ . | quote }}
{{- end }}
{{- with .Values.database.credential }}
# Which password is in the secret. Kubernetes reads a secret into a container's environment only when it starts.
previews.dev/credential: {{ . | quote }}
{{- end }}
{{- with .Values.database.incarnation }}
# Which database it is: one that was made anew has another.
previews.dev/database-incarnation: {{ . | quote }}
{{- end }}
{{- end }}

{{/* What every pod has in common. */}}
{{- define "preview-app.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 100Mi
{{- end }}

{{/* What every container has in common, but for its image. */}}
{{- define "preview-app.container" -}}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
env:
  - name: PORT
    value: {{ .Values.port | quote }}
  {{- range $name, $value := .Values.env }}
  - name: {{ $name | quote }}
    value: {{ $value | quote }}
  {{- end }}
  {{- if and .Values.database.secret .Values.database.credential }}
  # A pod that comes before its secret was renewed waits for it, instead of starting with the former password.
  - name: PREVIEWS_CREDENTIAL
    valueFrom:
      secretKeyRef:
        name: {{ .Values.database.secret | quote }}
        key: {{ printf "credential-%s" .Values.database.credential | quote }}
  {{- end }}
{{- with .Values.database.secret }}
envFrom:
  - secretRef:
      name: {{ . | quote }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end }}

{{- define "preview-app.image" -}}
{{ printf "%s:%s" .Values.image.repository .Values.image.tag }}
{{- end }}
