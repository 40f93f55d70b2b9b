// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/courier"
	"github.com/certlink/certlink/relay/keyring"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
)

// Paths of couriers, for the role desk. {hotline} is the name of a hotline.
const (
	// PathCourierExport: POST writes all that waits for the peer as one sealed stream. The
	// headers CourierSet, CourierFrom and CourierTo name it; the trailer CourierSummary
	// (→ courier.Summary) comes only when it is whole. It takes no body.
	PathCourierExport = "/courier/export/{hotline}"
	// PathCourierCheck: POST verifies a stream, ?from=TRUSTDOMAIN, and changes nothing
	// (→ courier.Summary). PathCourierImport takes it in. 421 for a set that we made.
	PathCourierCheck  = "/courier/check"
	PathCourierImport = "/courier/import"
)

// Headers of a stream.
const (
	CourierSet     = "Certlink-Courier-Set"
	CourierFrom    = "Certlink-Courier-From"
	CourierTo      = "Certlink-Courier-To"
	CourierSummary = "Certlink-Courier-Summary"
	// CourierContentType of a stream.
	CourierContentType = "application/vnd.certlink.courier"
)

const (
	// maxCourier is the longest stream that is read.
	maxCourier = 64 << 30
	// courierPause is how long a client may pause while a stream is under way.
	courierPause = 5 * time.Minute
)

// Couriers writes and reads what is carried by hand. It may be called concurrently.
type Couriers interface {
	Begin(ctx context.Context, hotline, by string) (*courier.Begun, error)
	Check(ctx context.Context, from string, r io.Reader) (courier.Summary, error)
	Import(ctx context.Context, from, by string, r io.Reader) (courier.Summary, error)
}

// serveCouriers adds the paths of couriers.
func (h *handler) serveCouriers(mux *http.ServeMux, c Couriers) {
	desk := []access.Role{access.RoleDesk}
	mux.Handle("POST "+PathCourierExport, only(desk, h.exportCourier(c)))
	mux.Handle("POST "+PathCourierCheck, only(desk, h.readCourier(func(r *http.Request, from string, stream io.Reader) (courier.Summary, error) {
		return c.Check(r.Context(), from, stream)
	})))
	mux.Handle("POST "+PathCourierImport, only(desk, h.readCourier(func(r *http.Request, from string, stream io.Reader) (courier.Summary, error) {
		return c.Import(r.Context(), from, access.IdentityFrom(r.Context()), stream)
	})))
}

func (h *handler) exportCourier(c Couriers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun, err := c.Begin(r.Context(), r.PathValue("hotline"), access.IdentityFrom(r.Context()))
		if err != nil {
			h.refuseCourier(w, r, err)
			return
		}
		header := w.Header()
		header.Set("Content-Type", CourierContentType)
		header.Set("Cache-Control", "no-store")
		header.Set("Trailer", CourierSummary)
		header.Set(CourierSet, begun.Set)
		header.Set(CourierFrom, begun.From)
		header.Set(CourierTo, begun.To)
		summary, err := begun.Write(r.Context(), &patient{rc: http.NewResponseController(w), w: w})
		if err != nil {
			if r.Context().Err() == nil {
				h.log.Error("an export for a courier broke off", "hotline", r.PathValue("hotline"), "error", err)
			}
			panic(http.ErrAbortHandler) // the client must not take what there is for all
		}
		raw, err := json.Marshal(summary)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		header.Set(CourierSummary, string(raw))
	})
}

// patient gives a client more time with each step of a stream.
type patient struct {
	rc *http.ResponseController
	w  io.Writer
	r  io.Reader
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(courierPause)) // else the port's own stands
	return p.w.Write(b)
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(courierPause))
	_ = p.rc.SetWriteDeadline(time.Now().Add(2 * courierPause))
	return p.r.Read(b)
}

func (h *handler) readCourier(read func(r *http.Request, from string, stream io.Reader) (courier.Summary, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != CourierContentType {
			problem.Write(w, http.StatusUnsupportedMediaType, "what a courier brings is "+CourierContentType)
			return
		}
		stream := &patient{rc: http.NewResponseController(w), r: http.MaxBytesReader(w, r.Body, maxCourier)}
		summary, err := read(r, r.URL.Query().Get("from"), stream)
		if err != nil {
			h.refuseCourier(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(summary) // a client that is gone takes the set in again
	})
}

func (h *handler) refuseCourier(w http.ResponseWriter, r *http.Request, err error) {
	_, foreign := errors.AsType[*courier.ForeignError](err)
	switch {
	case errors.Is(err, courier.ErrOwn):
		problem.Write(w, http.StatusMisdirectedRequest, err.Error())
	case foreign, errors.Is(err, courier.ErrDamaged):
		problem.Write(w, http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, keyring.ErrUnknownKey):
		problem.Write(w, http.StatusConflict, err.Error())
	case errors.Is(err, store.ErrIncomplete):
		problem.Write(w, http.StatusConflict, err.Error())
	default:
		h.refuse(w, r, err)
	}
}
