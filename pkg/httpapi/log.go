package httpapi

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// entry gathers what the log says of a request.
type entry struct {
	actor string
	err   error
}

type entryKey struct{}

// note returns the log entry of a request.
func note(r *http.Request) *entry {
	if e, ok := r.Context().Value(entryKey{}).(*entry); ok {
		return e
	}
	return &entry{}
}

// logged writes one line for each request and turns a panic into an answer. Neither a query nor a header field is
// written, nor the secret of a claim link.
func (a *API) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, began := &entry{}, time.Now()
		r = r.WithContext(context.WithValue(r.Context(), entryKey{}, e))
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					a.line(r, rec, e, began)
					panic(p)
				}
				a.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Str("path", SafePath(r.URL.Path)).Msg("a request panicked")
				e.err = errors.New("panic")
				if rec.status == 0 {
					a.refuse(rec, r, e.err)
				}
			}
			a.line(r, rec, e, began)
		}()
		next.ServeHTTP(rec, r)
	})
}

func (a *API) line(r *http.Request, rec *recorder, e *entry, began time.Time) {
	l := a.log.Info()
	switch {
	case rec.status >= http.StatusInternalServerError && model.KindOf(e.err) == model.KindInternal:
		l = a.log.Error()
	case r.URL.Path == healthPath, r.Method == http.MethodGet && rec.status < http.StatusBadRequest:
		l = a.log.Debug()
	}
	l = l.Str("method", r.Method).Str("path", SafePath(r.URL.Path)).Int("status", rec.status).Int64("bytes", rec.bytes).Dur("ms", time.Since(began))
	if addr := identity.Household(r.RemoteAddr); addr.IsValid() {
		l = l.Stringer("remote", addr)
	}
	if e.actor != "" {
		l = l.Str("actor", e.actor)
	}
	if e.err != nil {
		l = l.Err(e.err)
	}
	l.Msg("request")
}

// SafePath returns the path of a request to the API as a log may hold it: without the secret of a claim link
// or a deploy hook.
func SafePath(path string) string {
	for _, secret := range []string{claimPath, hookPath} {
		if strings.HasPrefix(path, secret) {
			return secret + "…"
		}
	}
	if len(path) > 300 {
		return path[:300] + "…"
	}
	return path
}

// recorder keeps an answer's status and size.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap lets http.ResponseController reach the writer below, for deadlines, flushing and hijacking.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}
