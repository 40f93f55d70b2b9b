// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/certlink/certlink/internal/testbubble"
)

// TestToTellMarkingsIsOneOfTheRequestsThatAreBounded: it asks the store as much as a page does.
func TestToTellMarkingsIsOneOfTheRequestsThatAreBounded(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		f := &fake{block: make(chan struct{}), entered: make(chan struct{}, MaxRequests)}
		h := newTestHandler(telling{f})
		const collection = "/taxii2/feeds/collections/read/"
		done := make(chan int, MaxRequestsPerCaller)
		for range MaxRequestsPerCaller {
			go func() { done <- do(t, h, "GET", collection+"objects/", "", "caller", "c0").StatusCode }()
		}
		synctest.Wait()
		if resp := do(t, h, "GET", collection+"markings/", "", "caller", "c0"); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("beyond the bound: %d", resp.StatusCode)
		}
		if resp := do(t, h, "GET", collection+"markings/", "", "caller", "other"); resp.StatusCode != http.StatusOK {
			t.Errorf("another caller: %d", resp.StatusCode)
		}
		close(f.block)
		for range MaxRequestsPerCaller {
			if status := <-done; status != http.StatusOK {
				t.Errorf("status = %d", status)
			}
		}
		if resp := do(t, h, "GET", collection+"markings/", "", "caller", "c0"); resp.StatusCode != http.StatusOK {
			t.Errorf("afterwards: %d", resp.StatusCode)
		}
	})
}
