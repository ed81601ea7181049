{{/* A policy on what may be in the namespaces of previews. Takes .root and .theme, which is part of its name. */}}
{{- define "previews.policy" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ printf "%s-%s" (include "previews.name" .root) .theme | quote }}
  labels:
    {{- include "previews.labels" .root | nindent 4 }}
{{- end }}

{{/* Its binding to the namespaces of this instance's previews. They are known by their labels, as everything of ours is. */}}
{{- define "previews.policy-binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ printf "%s-%s" (include "previews.name" .root) .theme | quote }}
  labels:
    {{- include "previews.labels" .root | nindent 4 }}
spec:
  policyName: {{ printf "%s-%s" (include "previews.name" .root) .theme | quote }}
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels:
        preview: "true"
        previews.dev/instance: {{ .root.Values.instance | quote }}
      matchExpressions:
        - key: pr
          operator: Exists
        - key: previews.dev/project
          operator: Exists
{{- end }}

{{/* The hosts that a namespace was given. One without the annotation has none. */}}
{{- define "previews.own-hosts" -}}
- name: hosts
  expression: >-
    namespaceObject.metadata.?annotations[?"previews.dev/hosts"].orValue("")
    .split(",").map(host, host.trim()).filter(host, host != "")
- name: mayUse
  expression: >-
    variables.hosts.size() == 0
    ? "this preview has no host (its namespace lacks the annotation previews.dev/hosts)"
    : "this preview may use " + variables.hosts[0] +
    (variables.hosts.size() > 1 ? " and " + string(variables.hosts.size() - 1) + " more, which its namespace names" : " alone")
{{- end }}
