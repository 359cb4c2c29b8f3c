package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	maxTail  = 4 << 10 // bytes behind a push: none, but for the end of the transfer's own coding
	maxAsked = 8 << 20 // bytes of a fetch's request

	retryAfter = "10" // seconds: as the API has it
)

// ServeHTTP serves git's smart HTTP protocol below /git/. It asks for a token itself: as the password of basic
// authentication, with any name, or as a bearer token.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	token := tokenOf(r)
	if token == "" {
		s.refuse(w, model.Errorf(model.KindUnauthenticated, "git needs a token").WithHint("use one as the password: pandabox tokens create NAME; or once and for all: pandabox git remote"))
		return
	}
	if s.cfg.Denied.Spent(r.RemoteAddr, "") {
		s.refuse(w, identity.TooMany())
		return
	}
	actor, err := s.cfg.Box.Authenticate(r.Context(), token)
	if err != nil {
		if model.KindOf(err) == model.KindUnauthenticated {
			s.cfg.Denied.Take(r.RemoteAddr, "")
		}
		s.refuse(w, err)
		return
	}
	if err := s.serve(w, r, actor); err != nil {
		s.refuse(w, err)
	}
}

// serve answers one request. An error has not been told yet.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, actor model.Actor) error {
	name, service, ok := cutService(r)
	if !ok {
		return model.NotFound("there is nothing at this address").WithHint("git push https://HOST/git/APP.git main, with git 1.6.6 or newer")
	}
	at, err := parsePlace(name)
	if err != nil {
		return err
	}
	flow := &flow{w: w, rc: http.NewResponseController(w), stall: s.cfg.Stall}
	if r.Method == http.MethodGet {
		flow.kind = "application/x-" + service + "-advertisement"
		err := s.advertise(r.Context(), actor, at, service, [][]byte{[]byte("# service=" + service), nil}, flow)
		return flow.unless(s, err)
	}
	if r.Header.Get("Content-Type") != "application/x-"+service+"-request" {
		return malformed("the request is no %s", service)
	}
	body, err := bodyOf(r, flow)
	if err != nil {
		return err
	}
	flow.kind = "application/x-" + service + "-result"
	if service == receivePack {
		if _, err := s.cfg.Box.App(r.Context(), actor, at.org, at.app); err != nil {
			return err
		}
		err = s.receive(r.Context(), actor, at, body, func() { flow.finish(body) }, flow)
	} else {
		var asked []byte // an answer may begin only where the request ends
		if asked, err = io.ReadAll(io.LimitReader(body, maxAsked)); err != nil {
			return malformed("%s", err).Wrap(err)
		}
		err = s.upload(r.Context(), actor, at, bytes.NewReader(asked), flow, true)
	}
	if err == nil && !flow.begun {
		_, err = flow.Write(nil)
	}
	return flow.unless(s, err)
}

// cutService returns the repository and what is wanted of it.
func cutService(r *http.Request) (name, service string, ok bool) {
	path := r.URL.Path
	if r.Method == http.MethodGet {
		service = r.URL.Query().Get("service")
		name, ok = strings.CutSuffix(path, "/info/refs")
		return name, service, ok && (service == receivePack || service == uploadPack)
	}
	for _, service := range []string{receivePack, uploadPack} {
		if name, ok := strings.CutSuffix(path, "/"+service); ok {
			return name, service, true
		}
	}
	return "", "", false
}

func tokenOf(r *http.Request) string {
	if name, password, ok := r.BasicAuth(); ok {
		if strings.HasPrefix(name, identity.TokenPrefix) && !strings.HasPrefix(password, identity.TokenPrefix) {
			return name // https://TOKEN@HOST/…
		}
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// bodyOf returns what a client sends, which must send something every so often.
func bodyOf(r *http.Request, f *flow) (io.Reader, error) {
	body := io.Reader(&steady{r: r.Body, f: f})
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, malformed("its compression is broken").Wrap(err)
		}
		return z, nil
	}
	return nil, malformed("its compression is not known")
}

// steady is a body whose sender must not stall.
type steady struct {
	r io.Reader
	f *flow
}

func (s *steady) Read(b []byte) (int, error) {
	_ = s.f.rc.SetReadDeadline(time.Now().Add(s.f.stall)) // not every writer has deadlines
	n, err := s.r.Read(b)
	if err != nil {
		_ = s.f.rc.SetReadDeadline(time.Time{}) // it would end the handler's context later
	}
	return n, err
}

// flow is an answer of which each write reaches the client at once; a client that takes nothing is let go.
type flow struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	kind  string
	stall time.Duration
	begun bool
}

func (f *flow) Write(b []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.w.Header().Set("Content-Type", f.kind)
		f.w.Header().Set("X-Accel-Buffering", "no") // what stands before the box may not hold it back
		_ = f.rc.SetReadDeadline(time.Time{})
	}
	_ = f.rc.SetWriteDeadline(time.Now().Add(f.stall)) // not every writer has deadlines
	n, err := f.w.Write(b)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// finish reads to the end of a request that is over: only then does the server notice when the client goes away.
func (f *flow) finish(body io.Reader) {
	_, _ = io.Copy(io.Discard, io.LimitReader(body, maxTail)) // what comes there means nothing
}

// unless returns err while it can still be told.
func (f *flow) unless(s *Server, err error) error {
	if err == nil || !f.begun {
		return err
	}
	s.log(err)
	return nil
}

// log keeps an error that nobody is there to be told.
func (s *Server) log(err error) {
	if !errors.Is(err, context.Canceled) {
		s.cfg.Logger.Warn().Err(err).Msg("serving git")
	}
}

// refuse answers with an error, which git shows as remote: lines.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch model.KindOf(err) {
	case model.KindUnauthenticated:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="pandabox", charset="UTF-8"`)
	case model.KindForbidden:
		status = http.StatusForbidden
	case model.KindNotFound:
		status = http.StatusNotFound
	case model.KindInvalid:
		status = http.StatusBadRequest
	case model.KindTooLarge:
		status = http.StatusRequestEntityTooLarge
	case model.KindUnavailable:
		status = http.StatusServiceUnavailable
	case model.KindRateLimited:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", retryAfter)
	default:
		s.log(err)
		err = model.Errorf(model.KindInternal, "the box has a problem").WithHint("its log says more")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	for _, line := range threeLines(err) {
		_, _ = fmt.Fprintln(w, plain(line)) // the client is gone
	}
}
