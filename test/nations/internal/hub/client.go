// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"context"
	"net/http"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/unixapi"
)

// Ask returns the state of the running hub.
func Ask(ctx context.Context, state layout.State) (State, error) {
	var now State
	err := unixapi.Call(ctx, state.HubSocket(), http.MethodGet, "/state", nil, &now)
	return now, err
}

// Attach connects a nation; it may be called again. The port in use is in the answer.
func Attach(ctx context.Context, state layout.State, wanted Port) (Port, error) {
	var attached Port
	err := unixapi.Call(ctx, state.HubSocket(), http.MethodPost, "/ports", wanted, &attached)
	return attached, err
}

// SetPaths changes all the given directions or, if one is wrong, none.
func SetPaths(ctx context.Context, state layout.State, paths []PathState) error {
	return unixapi.Call(ctx, state.HubSocket(), http.MethodPost, "/paths", paths, nil)
}
