# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0

# Scripts under hack/ do the work of more than a line or two. The first target is
# the default: `make` alone prints the help.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# N nations for `make nations`.
N ?= 2
# Your own clusters, as A.kubeconfig,B.kubeconfig: the harness is then not needed.
KUBECONFIGS ?=
export KUBECONFIGS
# More arguments for go test, such as ARGS='-run TestOutbox -v'.
ARGS ?=

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
IMAGE ?= certlink/certlink:$(VERSION)

# One setting everywhere, so that all builds share one build cache. Only the race
# detector needs cgo.
export CGO_ENABLED := 0
LDFLAGS := -s -w -X main.version=$(VERSION)
# SQLite as translated to Go has its memory outside of Go's heap, of which the detector knows nothing: to instrument it
# finds no race and takes four fifths of the time. What calls it, the driver too, is watched.
UNWATCHED := $(foreach p,modernc.org/sqlite/lib modernc.org/libc/... modernc.org/memory,-gcflags=$(p)=-race=false)
RACE := CGO_ENABLED=1 go test -race $(UNWATCHED) -shuffle=on -timeout=20m
NATIONS := go run ./test/nations/cmd/nations
TOOL := hack/tool.sh

##@ General

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## "; printf "Usage: make TARGET [N=2] [KUBECONFIGS=a,b] [ARGS=...]\n" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ See it run

.PHONY: demo
demo: ## Two nations on real clusters exchange a feed and ring each other
	@hack/preflight.sh demo
	go run ./test/demo $(ARGS)

.PHONY: nations
nations: ## Bring up N nations; leaves .nations/NAME.kubeconfig
	@hack/preflight.sh nations
	$(NATIONS) up --number $(N) $(ARGS)

.PHONY: nations-down
nations-down: ## Take all nations down; leaves no process, mount or namespace
	$(NATIONS) down

##@ Build

.PHONY: build
build: ## Static binaries in bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/certlink-operator ./cmd/operator
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/certlink-relay ./cmd/relay
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kubectl-certlink ./cmd/kubectl-certlink

.PHONY: image
image: ## Container image, for those who have Docker (IMAGE=...)
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: generate
generate: ## Deep copies, apply configurations, CRDs and RBAC; and their copies in the chart
	hack/generate.sh

.PHONY: fmt
fmt: ## Format the Go code
	$$($(TOOL) lint) fmt ./...

##@ Check

.PHONY: test
test: ## Everything that CI runs: all the checks below, with a summary
	@hack/preflight.sh test
	@hack/postgres.sh
	@hack/check.sh

.PHONY: lint
lint: ## Linters, also those for the Kubernetes API types; a build for 386
	$$($(TOOL) lint) run ./...
	$$($(TOOL) lint) run --config .golangci-kal.yml ./api/...
	@# Where int has 32 bits other constants overflow, and some system calls are others. A build finds both,
	@# as vet would, and whether the programs can be linked; what it compiles is kept for the next time.
	GOARCH=386 go build -o /dev/null ./cmd/relay ./cmd/operator

.PHONY: verify-generate
verify-generate: ## Fail if generated files are not what make generate writes
	hack/generate.sh --verify

.PHONY: unit
unit: ## Unit tests with the race detector
	@hack/postgres.sh
	$(RACE) $(ARGS) $$(go list ./... | grep -vE '/test/(envtest|nations|faults|e2e)|/relay/store(/|$$)|/charts/')

.PHONY: store
store: ## The conformance suite of the stores, on SQLite and on a PostgreSQL of the tests
	@hack/postgres.sh
	$(RACE) $(ARGS) ./relay/store/...

.PHONY: faults
faults: ## Relay processes killed and starved, without a cluster
	@hack/postgres.sh
	go test -count=1 -timeout=15m $(ARGS) ./test/faults/...

.PHONY: chart-lint
chart-lint: ## The Helm chart and the kustomizations: schema, golden output, RBAC
	go test -count=1 -timeout=10m $(ARGS) ./charts/...

.PHONY: envtest
envtest: ## API types against a real kube-apiserver
	@KUBEBUILDER_ASSETS=$${KUBEBUILDER_ASSETS:-$$($(NATIONS) tool envtest)} && export KUBEBUILDER_ASSETS && set -x && \
		go test -count=1 -timeout=15m -tags envtest $(ARGS) ./test/envtest/...

.PHONY: harness
harness: ## The nations harness against itself
	@hack/preflight.sh nations
	go test -count=1 -timeout=20m -tags nations $(ARGS) ./test/wan/... ./test/nations/...

.PHONY: e2e
e2e: ## Two nations, or the clusters of KUBECONFIGS=a,b
	@hack/preflight.sh e2e
	go test -count=1 -timeout=30m -tags e2e $(ARGS) ./test/e2e/...

##@ Measure (JSON=1: one line for each figure; QUICK=1: within five minutes each)

.PHONY: bench
bench: bench-tunnel bench-detect bench-rotate bench-feed bench-hotline bench-faults ## All of them

.PHONY: bench-tunnel
bench-tunnel: ## Tunnels beside haproxy, nginx and stunnel
	@hack/peers.sh
	@go run ./test/bench/tunnel

.PHONY: bench-detect
bench-detect: ## How soon a cut is seen, on loopback and over a bad line; false alarms (DURATION=65m)
	@hack/preflight.sh bench-detect
	@go run ./test/bench/detect

.PHONY: bench-rotate
bench-rotate: ## Leaves and roots replaced under load
	@go run ./test/bench/rotate

.PHONY: bench-feed
bench-feed: ## What it costs to bring a feed from one relay's store into another's; rules; the hotline meanwhile
	@hack/postgres.sh
	@go run ./test/bench/feed

.PHONY: bench-hotline
bench-hotline: ## A message of the hotline, one at a time and from 64 senders, beside NATS JetStream; FLASH under load
	@go run ./test/bench/hotline

.PHONY: bench-faults
bench-faults: ## 100,000 messages while 1,000 faults hit both relays: nothing lost, doubled or out of order (SEED=1)
	@hack/preflight.sh bench-faults
	@go run ./test/bench/faults

.PHONY: profile
profile: ## Profiles of the relay at its work, by which the next build is optimised (cmd/relay/default.pgo)
	@hack/profile.sh

##@ Tidy up

.PHONY: clean
clean: ## Delete what was built in this directory; nations stay up (nations-down)
	rm -rf bin dist coverage
