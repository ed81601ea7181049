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
{{- $ids := list }}
{{- with .Values.secrets.sets }}
# What is in the project's own secrets.
previews.dev/secrets: {{ range . }}{{ $ids = append $ids .id }}{{ end }}{{ join "-" $ids | quote }}
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
  {{- range $index, $set := .Values.secrets.sets }}
  {{- with $set.id }}
  # The same for the project's own.
  - name: {{ printf "PREVIEWS_SECRETS_%d" $index }}
    valueFrom:
      secretKeyRef:
        name: {{ $set.name | quote }}
        key: {{ printf "credential-%s" . | quote }}
  {{- end }}
  {{- end }}
{{- if or .Values.secrets.sets .Values.database.secret }}
envFrom:
  {{- range .Values.secrets.sets }}
  - secretRef:
      name: {{ .name | quote }}
  {{- end }}
  {{- with .Values.database.secret }}
  # The last one wins.
  - secretRef:
      name: {{ . | quote }}
  {{- end }}
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
{{- with .Values.image -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* Every host that it claims, and who answers there: the application itself, unless another Service is named. */}}
{{- define "preview-app.routes" -}}
- name: app
  host: {{ .Values.ingress.host | quote }}
  service: app
  port: 80
{{- $services := .Values.ingress.services }}
{{- range $name, $host := .Values.ingress.hosts }}
{{- $service := get $services $name | default dict }}
- name: {{ printf "app-%s" $name | quote }}
  host: {{ $host | quote }}
  service: {{ $service.name | default "app" | quote }}
  port: {{ $service.port | default 80 }}
{{- end }}
{{- end }}

{{/* The annotation by which the ingress controller says on every answer that no search engine may keep it. */}}
{{- define "preview-app.noindex" -}}
{{- $controller := .Values.ingress.noindex.controller }}
{{- if eq $controller "traefik" }}
traefik.ingress.kubernetes.io/router.middlewares: {{ .Values.ingress.noindex.middleware | quote }}
{{- else if eq $controller "ingress-nginx" }}
nginx.ingress.kubernetes.io/custom-headers: {{ printf "%s/noindex" .Release.Namespace | quote }}
{{- else if eq $controller "haproxy" }}
haproxy.org/response-set-header: X-Robots-Tag "noindex"
{{- else if eq $controller "haproxy-ingress" }}
haproxy-ingress.github.io/config-backend: http-response set-header X-Robots-Tag noindex
{{- end }}
{{- end }}
