{{- define "keysherd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "keysherd.fullname" -}}
{{- $name := include "keysherd.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "keysherd.selector" -}}
app.kubernetes.io/name: {{ include "keysherd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.role }}
{{- end -}}

{{- define "keysherd.labels" -}}
{{ include "keysherd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "keysherd.port" -}}
{{- $ports := dict "gateway" 8000 "control" 8400 "fragments" 8401 -}}
{{- .Values.service.port | default (get $ports .Values.role) | int -}}
{{- end -}}

{{- define "keysherd.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the containers of a pod have in common. */}}
{{- define "keysherd.container" -}}
image: {{ include "keysherd.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: KEYSHERD_DATA_DIR
    value: /var/lib/keysherd/data
  - name: KEYSHERD_LOG_JSON
    value: "true"
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- range .Values.env }}
  - name: {{ .name }}
    value: {{ .value | quote }}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: data
    mountPath: /var/lib/keysherd
  - name: settings
    mountPath: /etc/keysherd/settings
    readOnly: true
  {{- range include "keysherd.mounted" . | fromJsonArray }}
  - name: {{ .name }}
    mountPath: /etc/keysherd/{{ .name }}
    readOnly: true
  {{- end }}
  {{- if .Values.trustedAuthorities.configMap }}
  - name: trusted-authorities
    mountPath: /etc/ssl/certs
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What the role mounts besides its data: name, kind, source, key, directory, file. */}}
{{- define "keysherd.mounted" -}}
{{- $v := .Values -}}
{{- $found := list -}}
{{- if eq $v.role "gateway" -}}
{{- with $v.gateway.tls.existingSecret -}}
{{- $found = append $found (dict "name" "tls" "kind" "secret" "source" . "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) -}}
{{- end -}}
{{- with $v.gateway.customerFragments -}}
{{- if .existingSecret -}}
{{- $found = append $found (dict "name" "customer-fragments" "kind" "secret" "source" .existingSecret "items" (dict .key "customer_fragments.json")) -}}
{{- end -}}
{{- end -}}
{{- with $v.gateway.cluster -}}
{{- if .existingSecret -}}
{{- $items := ternary (dict "tls.crt" "tls.crt" "tls.key" "tls.key") (dict .key (ternary "uid-token" "access-key" (eq .accessType "universal_identity"))) (eq .accessType "certificate") -}}
{{- $found = append $found (dict "name" "cluster" "kind" "secret" "source" .existingSecret "items" $items) -}}
{{- end -}}
{{- end -}}
{{- else if eq $v.role "control" -}}
{{- with $v.controlPlane.database -}}
{{- if .existingSecret -}}
{{- $found = append $found (dict "name" "database-password" "kind" "secret" "source" .existingSecret "items" (dict .key "password")) -}}
{{- end -}}
{{- with .caConfigMap -}}
{{- $found = append $found (dict "name" "database" "kind" "configMap" "source" . "items" (dict "ca.pem" "ca.pem")) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- with $v.fragments.passphrase -}}
{{- if .existingSecret -}}
{{- $found = append $found (dict "name" "passphrase" "kind" "secret" "source" .existingSecret "items" (dict .key "passphrase")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $v.proxy -}}
{{- if .existingSecret -}}
{{- $found = append $found (dict "name" "proxy-password" "kind" "secret" "source" .existingSecret "items" (dict .key "password")) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The settings of the role, those that the chart knows first. */}}
{{- define "keysherd.settings" -}}
{{- $v := .Values -}}
{{- $own := dict "owner-key" $v.ownerKey -}}
{{- $_ := set $own "listen" (printf "%s:%s" $v.listenAddress (include "keysherd.port" .)) -}}
{{- if ne $v.role "control" -}}
{{- if $v.control -}}
{{- $_ := set $own "control" $v.control -}}
{{- end -}}
{{- end -}}
{{- if $v.managers -}}
{{- $list := list -}}
{{- range $index, $address := $v.managers -}}
{{- $list = append $list (printf "%s=%s" (toString $index) $address) -}}
{{- end -}}
{{- $_ := set $own "manager" $list -}}
{{- end -}}
{{- if eq $v.role "gateway" -}}
{{- with $v.gateway -}}
{{- if .tls.existingSecret -}}
{{- $_ := set $own "tls-cert" "/etc/keysherd/tls/tls.crt" -}}
{{- $_ := set $own "tls-key" "/etc/keysherd/tls/tls.key" -}}
{{- end -}}
{{- with .tlsNames -}}
{{- $_ := set $own "tls-name" . -}}
{{- end -}}
{{- if .customerFragments.existingSecret -}}
{{- $_ := set $own "customer-fragments" "/etc/keysherd/customer-fragments/customer_fragments.json" -}}
{{- end -}}
{{- if .cluster.accessId -}}
{{- $_ := set $own "gateway-access-id" .cluster.accessId -}}
{{- $_ := set $own "gateway-access-type" .cluster.accessType -}}
{{- if eq .cluster.accessType "access_key" -}}
{{- $_ := set $own "gateway-access-key-file" "/etc/keysherd/cluster/access-key" -}}
{{- else if eq .cluster.accessType "universal_identity" -}}
{{- $_ := set $own "gateway-uid-token-file" "/etc/keysherd/cluster/uid-token" -}}
{{- else if eq .cluster.accessType "certificate" -}}
{{- $_ := set $own "gateway-certificate-file" "/etc/keysherd/cluster/tls.crt" -}}
{{- $_ := set $own "gateway-certificate-key-file" "/etc/keysherd/cluster/tls.key" -}}
{{- end -}}
{{- end -}}
{{- with .cluster.name -}}
{{- $_ := set $own "cluster-name" . -}}
{{- end -}}
{{- end -}}
{{- else if eq $v.role "control" -}}
{{- with $v.controlPlane.database -}}
{{- if .url -}}
{{- $_ := set $own "database" .url -}}
{{- if .existingSecret -}}
{{- $_ := set $own "database-password-file" "/etc/keysherd/database-password/password" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $_ := set $own "index" (toString $v.fragments.index) -}}
{{- if $v.fragments.passphrase.existingSecret -}}
{{- $_ := set $own "at-rest" "passphrase" -}}
{{- $_ := set $own "passphrase-file" "/etc/keysherd/passphrase/passphrase" -}}
{{- end -}}
{{- end -}}
{{- with $v.proxy -}}
{{- if .url -}}
{{- $_ := set $own "proxy" .url -}}
{{- end -}}
{{- if .existingSecret -}}
{{- $_ := set $own "proxy-user" .user -}}
{{- $_ := set $own "proxy-password-file" "/etc/keysherd/proxy-password/password" -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := $v.settings -}}
{{- if hasKey $own $key -}}
{{- fail (printf "settings.%s: the chart sets it itself; use the chart's own value for it" $key) -}}
{{- end -}}
{{- if has $key (list "data-dir" "config" "check-config") -}}
{{- fail (printf "settings.%s: the chart's volumes fix it" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := merge $own $v.settings }}
{{- if kindIs "slice" $value }}
{{ $key }} = {{ toJson $value }}
{{- else if kindIs "bool" $value }}
{{ $key }} = {{ $value }}
{{- else if kindIs "float64" $value }}
{{ $key }} = {{ printf "%d" (int64 $value) }}
{{- else }}
{{ $key }} = {{ toJson (toString $value) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "keysherd.check" -}}
{{- $v := .Values -}}
{{- range $v.env -}}
{{- if regexMatch "(?i)pass|secret|token|key$|key_|pin$|credential|customer_fragments|access" .name -}}
{{- fail (printf "env: %s sounds like a secret, which everybody who can see the pod would see; give it as an existingSecret" .name) -}}
{{- end -}}
{{- if regexMatch "^KEYSHERD_" .name -}}
{{- fail (printf "env: %s is a setting; put it under settings" .name) -}}
{{- end -}}
{{- end -}}
{{- /* Everybody who can see the pod or the ConfigMap would see such a password. */ -}}
{{- $password := "(^|//)[^/?#\\s:@]*:[^?#\\s@]*@" -}}
{{- range $v.env -}}
{{- if regexMatch $password (toString .value) -}}
{{- fail (printf "env: %s has a password in its address; use proxy.url, proxy.user and proxy.existingSecret" .name) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := $v.settings -}}
{{- if eq $key "database" -}}
{{- fail "settings.database: use controlPlane.database, which takes its password from an existingSecret" -}}
{{- end -}}
{{- range (ternary $value (list $value) (kindIs "slice" $value)) -}}
{{- if regexMatch $password (toString .) -}}
{{- fail (printf "settings.%s: it has a password in its address; use an existingSecret, such as that of proxy" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if regexMatch $password $v.proxy.url -}}
{{- fail "proxy.url: it has a password in it; use proxy.user and proxy.existingSecret" -}}
{{- end -}}
{{- if ne (empty $v.proxy.user) (empty $v.proxy.existingSecret) -}}
{{- fail "proxy: user and existingSecret go together" -}}
{{- end -}}
{{- $drain := get $v.settings "drain-seconds" | default 25 | int -}}
{{- if le (int $v.terminationGracePeriodSeconds) (add $drain $v.preStopSeconds | int) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d; it must be more than drain-seconds (%d) and preStopSeconds (%d) together" (int $v.terminationGracePeriodSeconds) $drain (int $v.preStopSeconds)) -}}
{{- end -}}
{{- if and (ne $v.role "gateway") (or (gt (int $v.replicas) 1) $v.autoscaling.enabled) -}}
{{- fail (printf "role %s runs once in a release: replicas must be 1 and autoscaling.enabled false" $v.role) -}}
{{- end -}}
{{- if eq $v.role "gateway" -}}
{{- if not $v.control -}}
{{- fail "control: a gateway needs the address of control, such as control.example:8400" -}}
{{- end -}}
{{- with $v.gateway.cluster -}}
{{- if and .existingSecret (not .accessId) -}}
{{- fail "gateway.cluster: existingSecret is set and accessId is not" -}}
{{- end -}}
{{- $secret := has .accessType (list "access_key" "certificate" "universal_identity") -}}
{{- if and .accessId $secret (not .existingSecret) -}}
{{- fail (printf "gateway.cluster.existingSecret is missing: what replicas sign in with (accessType %s)" .accessType) -}}
{{- end -}}
{{- if and .existingSecret (not $secret) -}}
{{- fail (printf "gateway.cluster.existingSecret: accessType %s signs in without a secret" .accessType) -}}
{{- end -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is greater than maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- else if eq $v.role "control" -}}
{{- with $v.controlPlane.database -}}
{{- if and .url (not (regexMatch "^postgres(ql)?://[^:@/\\s]+@[^@\\s]+$" .url)) -}}
{{- fail "controlPlane.database.url: not of the form postgres://USER@HOST[,HOST]/NAME; a password belongs into existingSecret" -}}
{{- end -}}
{{- if and .existingSecret (not .url) -}}
{{- fail "controlPlane.database: existingSecret is set and url is not" -}}
{{- end -}}
{{- end -}}
{{- else if lt (int $v.fragments.index) 1 -}}
{{- fail "fragments.index: the manager's place in the owner's trust bundle, 1 to 7" -}}
{{- end -}}
{{- end -}}
