# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# One image, both roles: two static binaries on an empty base. The nations harness
# builds the same content from `make build`.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/certlink-operator ./cmd/operator && \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/certlink-relay ./cmd/relay

FROM scratch
LABEL org.opencontainers.image.title=certlink \
      org.opencontainers.image.description="Operator and relay that join national CERTs into a federated mesh" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.source=https://github.com/certlink/certlink
COPY --from=build /out/certlink-operator /out/certlink-relay /
# Named by number, because runAsNonRoot is checked without a user database.
USER 65532:65532
ENTRYPOINT ["/certlink-operator"]
