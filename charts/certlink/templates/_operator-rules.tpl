{{/* Written by hack/generate.sh from the RBAC markers of controllers/. */}}
{{- define "certlink.operatorRules" -}}
- apiGroups:
  - ""
  resources:
  - configmaps
  - services
  verbs:
  - create
  - get
  - list
  - patch
  - watch
- apiGroups:
  - ""
  resources:
  - pods
  verbs:
  - get
  - list
  - patch
  - watch
- apiGroups:
  - ""
  resources:
  - secrets
  verbs:
  - delete
  - get
- apiGroups:
  - apps
  resources:
  - statefulsets
  verbs:
  - create
  - get
  - list
  - patch
  - watch
- apiGroups:
  - cert-manager.io
  resources:
  - certificates
  - issuers
  verbs:
  - create
  - delete
  - get
  - list
  - patch
  - watch
- apiGroups:
  - cert-manager.io
  resources:
  - clusterissuers
  verbs:
  - get
- apiGroups:
  - certlink.dev
  resources:
  - hotlines
  - localcerts
  - peercerts
  - sharedfeeds
  - sharedservices
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - certlink.dev
  resources:
  - hotlines/status
  - localcerts/status
  - peercerts/status
  - sharedfeeds/status
  - sharedservices/status
  verbs:
  - patch
- apiGroups:
  - certlink.dev
  resources:
  - localcerts/finalizers
  - sharedservices/finalizers
  verbs:
  - update
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
- apiGroups:
  - networking.k8s.io
  resources:
  - networkpolicies
  verbs:
  - create
  - get
  - list
  - patch
  - watch
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - create
  - get
  - list
  - patch
  - watch
{{- end }}
