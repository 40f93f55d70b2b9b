#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# Writes all generated files: deep copies, apply configurations, CRDs, the
# operator's role, and the copies of CRDs, role and alerts in the Helm chart.
#
#   hack/generate.sh            writes them
#   hack/generate.sh --verify   fails, with the difference, if they are stale; changes nothing
set -euo pipefail

cd "$(dirname "$0")/.."
api=api/v1alpha1
crds=config/crd/bases
role=config/rbac/role.yaml
chart=charts/certlink/templates
alerts=charts/certlink/files/alerts.yaml
outputs=("$api/zz_generated.deepcopy.go" "$api/applyconfiguration" "$crds" "$role" "$chart/crds" "$chart/_operator-rules.tpl" "$alerts")

from_go() {
	local gen roots=./controllers/...
	gen=$(hack/tool.sh controller-gen)
	"$gen" object:headerFile=hack/boilerplate.go.txt paths="./$api"
	"$gen" applyconfiguration:headerFile=hack/boilerplate.go.txt paths="./$api"
	"$gen" crd paths="./$api" output:crd:artifacts:config="$crds"
	"$gen" rbac:roleName=certlink-operator paths="$roots" output:rbac:artifacts:config=config/rbac
}

# A CRD becomes a template: it can be left out, and it stays when the chart goes,
# because deleting a CRD deletes every object of its kind.
crd_template() {
	awk '
		/[{][{]/ { print FILENAME ": a template delimiter would be executed: " $0 > "/dev/stderr"; exit 1 }
		NR == 1 && /^---/ { print "{{- if .Values.crds.enabled }}"; next }
		{ print }
		/^    controller-gen.kubebuilder.io\/version:/ {
			print "    {{- if .Values.crds.keep }}"
			print "    helm.sh/resource-policy: keep"
			print "    {{- end }}"
			print "    {{- with .Values.commonAnnotations }}"
			print "    {{- toYaml . | nindent 4 }}"
			print "    {{- end }}"
		}
		/^  name: / && !named {
			named = 1
			print "  labels:"
			print "    {{- include \"certlink.labels\" . | nindent 4 }}"
		}
		END { print "{{- end }}" }' "$1"
}

rules_template() {
	echo '{{/* Written by hack/generate.sh from the RBAC markers of controllers/. */}}'
	echo '{{- define "certlink.operatorRules" -}}'
	sed '1,/^rules:/d' "$1"
	echo '{{- end }}'
}

into_chart() {
	local crd
	mkdir -p "$chart/crds"
	for crd in "$crds"/*.yaml; do
		crd_template "$crd" >"$chart/crds/$(basename "$crd")"
	done
	rules_template "$role" >"$chart/_operator-rules.tpl"
	mkdir -p "$(dirname "$alerts")"
	{
		echo "# Written by hack/generate.sh from config/prometheus/rules.yaml."
		sed '1,/^spec:/d' config/prometheus/rules.yaml
	} >"$alerts"
}

generate() {
	local mark=$1/mark dir
	: >"$mark"
	from_go
	into_chart
	# What no kind produces any more goes.
	for dir in "$api/applyconfiguration" "$crds" "$chart/crds"; do
		find "$dir" -type f ! -newer "$mark" -delete
	done
}

keep() { # copies the outputs to $1
	local output
	for output in "${outputs[@]}"; do
		mkdir -p "$1/$(dirname "$output")"
		if [ -e "$output" ]; then cp -a "$output" "$1/$output"; fi
	done
}

restore() {
	local output
	for output in "${outputs[@]}"; do
		rm -rf "$output"
		if [ -e "$1/$output" ]; then cp -a "$1/$output" "$output"; fi
	done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1:-}" != --verify ]; then
	generate "$work"
	exit
fi

mkdir "$work/before" "$work/after"
keep "$work/before"
generate "$work"
keep "$work/after"
if ! diff -ruN "$work/before" "$work/after"; then
	restore "$work/before"
	echo "generated files are stale: run make generate and commit the result" >&2
	exit 1
fi
