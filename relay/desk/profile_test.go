// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/access"
)

func TestAProfileIsForTheDeskAndTheOperator(t *testing.T) {
	h := handler(&hotline{})
	for _, c := range []struct {
		role   access.Role
		path   string
		status int
	}{
		{access.RoleDesk, "/debug/profile/heap", 200},
		{access.RoleOperator, "/debug/profile/goroutine", 200},
		{access.RoleDesk, "/debug/profile/cpu?seconds=1", 200},
		{access.RoleTool, "/debug/profile/heap", 403},
		{"", "/debug/profile/heap", 403},
		{access.RoleDesk, "/debug/profile/cmdline", 422},
		{access.RoleDesk, "/debug/profile/cpu?seconds=31", 422},
		{access.RoleDesk, "/debug/profile/cpu?seconds=0", 422},
	} {
		w := call(t, h, c.role, http.MethodGet, c.path, "")
		gzipped := bytes.HasPrefix(w.Body.Bytes(), []byte{0x1f, 0x8b})
		if w.Code != c.status || gzipped != (c.status == 200) {
			t.Errorf("%s by %q: %d, a profile: %t", c.path, c.role, w.Code, gzipped)
		}
	}
}

func TestOneProfileOfTheProcessorAtATime(t *testing.T) {
	h := handler(&hotline{})
	ctx, cancel := context.WithCancel(access.WithRole(t.Context(), access.RoleDesk))
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/debug/profile/cpu?seconds=30", strings.NewReader("")))
			answers <- w.Code
		}()
	}
	if first := <-answers; first != http.StatusTooManyRequests {
		t.Errorf("the second one got %d", first)
	}
	cancel() // whoever goes away ends it
	<-answers
	if w := call(t, h, access.RoleDesk, http.MethodGet, "/debug/profile/cpu?seconds=1", ""); w.Code != http.StatusOK {
		t.Errorf("the next one got %d", w.Code)
	}
}
