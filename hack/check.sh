#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# make test: every check in turn, while the binaries of the clusters are built in
# the background. A failed stage does not stop the later ones; it decides the exit
# code. At the end: go test's own summary lines of every stage, and the durations.
set -uo pipefail

cd "$(dirname "$0")/.."
logs=${XDG_CACHE_HOME:-$HOME/.cache}/certlink/logs/test-$$
mkdir -p "$logs"

nations="go run ./test/nations/cmd/nations"
names=() results=() seconds=()
failed=0
builder=
ours=0 # 1 when no nation was up before: then none stays up afterwards

finish() {
	if [ -n "$builder" ] && kill -0 "$builder" 2>/dev/null; then
		kill -- -"$builder" 2>/dev/null
	fi
	if [ "$ours" = 1 ]; then $nations down; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

note() { # name, result, seconds
	names+=("$1") results+=("$2") seconds+=("$3")
	if [ "$2" != ok ]; then failed=1; fi
}

stage() { # name, command...
	local name=$1 start=$SECONDS result=ok
	shift
	printf '\n=== %s\n' "$name"
	"$@" </dev/null 2>&1 | tee "$logs/$name.log"
	if [ "${PIPESTATUS[0]}" -ne 0 ]; then result=FAILED; fi
	note "$name" "$result" $((SECONDS - start))
}

# The longest step of a cold run starts first, beside all that does not need it.
start_builder() {
	builder_start=$SECONDS
	set -m
	$nations build </dev/null >"$logs/clusters.log" 2>&1 &
	builder=$!
	set +m
}

await_builder() {
	local from=$SECONDS shown='' line
	printf '\n=== clusters (binaries, started at the beginning)\n'
	while kill -0 "$builder" 2>/dev/null; do
		sleep 1
		line=$(tail -n 1 "$logs/clusters.log" 2>/dev/null)
		if (((SECONDS - from) % 15 == 0)) && [ "$line" != "$shown" ]; then
			shown=$line
			echo "$line"
		fi
	done
	if wait "$builder"; then
		tail -n 1 "$logs/clusters.log"
		note clusters ok $((SECONDS - builder_start))
		return 0
	fi
	cat "$logs/clusters.log"
	note clusters FAILED $((SECONDS - builder_start))
	return 1
}

summary() {
	local i
	printf '\n=== summary\n'
	for i in "${names[@]}"; do
		if [ -f "$logs/$i.log" ]; then grep -E '^(ok|FAIL|\s*--- FAIL:|panic:)\s' "$logs/$i.log"; fi
	done
	printf '\n%-18s %-8s %s\n' stage result time
	for i in "${!names[@]}"; do
		printf '%-18s %-8s %d:%02d\n' "${names[$i]}" "${results[$i]}" $((seconds[i] / 60)) $((seconds[i] % 60))
	done
	printf '%-18s %-8s %d:%02d\n' all "$([ $failed = 0 ] && echo ok || echo FAILED)" $((SECONDS / 60)) $((SECONDS % 60))
	echo "logs: $logs"
}

start_builder
for name in lint verify-generate unit store faults chart-lint; do
	stage "$name" make "$name"
done
if await_builder; then
	stage envtest make envtest
	if [ -z "${KUBECONFIGS:-}" ]; then
		if [ "$($nations status)" = "no nation is up" ]; then ours=1; fi
		stage harness make harness
	fi
	stage e2e make e2e
else
	for name in envtest harness e2e; do note "$name" "not run" 0; done
fi
summary
exit "$failed"
