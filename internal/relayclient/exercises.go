// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/certlink/certlink/relay/desk"
)

// StartExercise registers a drill on a hotline, given by its name, and begins it.
func (c *Client) StartExercise(ctx context.Context, hotline string, r desk.ExerciseRequest) (desk.ExerciseReport, error) {
	var report desk.ExerciseReport
	if err := c.call(ctx, http.MethodPost, address("/hotline/exercises/"+url.PathEscape(hotline), nil), r, &report); err != nil {
		return desk.ExerciseReport{}, fmt.Errorf("beginning the exercise: %w", err)
	}
	return report, nil
}

// ExerciseReport measures a drill.
func (c *Client) ExerciseReport(ctx context.Context, hotline, name string) (desk.ExerciseReport, error) {
	var report desk.ExerciseReport
	path := "/hotline/exercises/" + url.PathEscape(hotline) + "/" + url.PathEscape(name)
	if err := c.call(ctx, http.MethodGet, address(path, nil), nil, &report); err != nil {
		return desk.ExerciseReport{}, fmt.Errorf("reading the exercise %q: %w", name, err)
	}
	return report, nil
}
