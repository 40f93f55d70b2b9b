#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of a pinned tool, and builds it first if it is not there:
#
#   $(hack/tool.sh lint) run ./...
#
# Tools are built from the modules under hack/tools into the user's cache folder,
# keyed by what they are built from, so that a change of version is a new file.
set -euo pipefail

name=${1:?usage: hack/tool.sh lint|controller-gen|kustomize|helm|alertmanager}
cd "$(dirname "$0")/.."

case $name in
lint) module=hack/tools/lint package=. ;;
controller-gen) module=hack/tools/gen package=sigs.k8s.io/controller-tools/cmd/controller-gen ;;
kustomize) module=hack/tools/gen package=sigs.k8s.io/kustomize/kustomize/v5 ;;
helm) module=hack/tools/helm package=helm.sh/helm/v4/cmd/helm ;;
# The web application that one nation shares with the other. 0.28 is the last line
# whose module holds the user interface as it is served.
alertmanager) module=hack/tools/webapp package=github.com/prometheus/alertmanager/cmd/alertmanager ;;
*)
	echo "hack/tool.sh: there is no tool $name" >&2
	exit 2
	;;
esac

cd "$module"
export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -mod=readonly"
key=$({
	cat go.mod go.sum
	find . -name '*.go' -exec cat {} +
	go env GOVERSION GOOS GOARCH
} | sha256sum | cut -c1-16)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/certlink/tools/$key
tool=$dir/$name
there() {
	if [ -x "$tool" ]; then
		echo "$tool"
		exit
	fi
}
there

# Two callers at once, as when two nations are installed: one builds, one waits.
mkdir -p "$dir"
exec 9>"$dir/$name.lock"
flock 9
there
partial=$(mktemp "$tool.XXXXXX")
trap 'rm -f "$partial"' EXIT
echo "building $name once, into $dir" >&2
go build -ldflags '-s -w' -o "$partial" "$package" >&2 &
build=$!
start=$SECONDS
while kill -0 "$build" 2>/dev/null; do
	sleep 1
	since=$((SECONDS - start))
	((since % 15)) || echo "building $name: ${since}s" >&2
done
wait "$build"
chmod 755 "$partial"
mv "$partial" "$tool"
echo "built $name in $((SECONDS - start))s" >&2
echo "$tool"
