{{/* Labels of an object. Takes {root, component}. */}}
{{- define "cinch.labels" -}}
{{ include "cinch.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The labels that pods of a part are found by. They never change. */}}
{{- define "cinch.selector" -}}
app.kubernetes.io/name: cinch
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The image of a program. Takes {root, program}. */}}
{{- define "cinch.image" -}}
image: {{ printf "%s/%s:%s" .root.Values.image.registry .program (.root.Values.image.tag | default .root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end }}

{{/* Where pods of a part go, and what their images are pulled with. Takes {root, values}. */}}
{{- define "cinch.pod" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Spreads pods of a part. Takes {constraints, component}. */}}
{{- define "cinch.spread" -}}
{{- with .constraints }}
topologySpreadConstraints:
{{- range . }}
- {{ toYaml . | nindent 2 | trim }}
  labelSelector:
    matchLabels: {{- include "cinch.selector" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{/* The security context of a pod whose part needs no rights on its node. Takes its seccomp profile. */}}
{{- define "cinch.unprivilegedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {{- toYaml . | nindent 2 }}
{{- end }}

{{- define "cinch.unprivilegedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "cinch.probes" -}}
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* Names of namespaces that are never looked at, as a YAML list. */}}
{{- define "cinch.excluded" -}}
{{- append .Values.excludedNamespaces .Release.Namespace | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* "true" when a part has something to do. */}}
{{- define "cinch.installs" -}}
{{- with .Values.features }}{{ if or .seccomp .apparmor .selinux }}true{{ end }}{{ end -}}
{{- end }}
{{- define "cinch.reads" -}}
{{- with .Values.features }}{{ if or .record.logs .violations .enrich }}true{{ end }}{{ end -}}
{{- end }}
{{- define "cinch.records" -}}
{{- if or .Values.features.record.bpf (include "cinch.reads" .) }}true{{ end -}}
{{- end }}
{{/* "true" when audit records come from the kernel, which sends them into the host's network namespace alone. */}}
{{- define "cinch.hears" -}}
{{- if and (include "cinch.reads" .) (has .Values.recorder.source (list "auto" "netlink")) }}true{{ end -}}
{{- end }}

{{/* The pod of a Job that runs cinch-webhook once. Takes {root, account, arguments}. */}}
{{- define "cinch.job" -}}
serviceAccountName: {{ .account }}
restartPolicy: Never
securityContext: {{- include "cinch.unprivilegedPod" (dict "type" "RuntimeDefault") | nindent 2 }}
{{- include "cinch.pod" (dict "root" .root "values" .root.Values.controller) | nindent 0 }}
containers:
- name: main
  {{- include "cinch.image" (dict "root" .root "program" "cinch-webhook") | nindent 2 }}
  command: [cinch-webhook]
  args: {{- toYaml .arguments | nindent 2 }}
  securityContext: {{- include "cinch.unprivilegedContainer" . | nindent 4 }}
  resources: {{- toYaml .root.Values.controller.resources | nindent 4 }}
{{- end }}
