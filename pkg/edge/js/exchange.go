//go:build linux

package js

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

func exchangeFuncs() []hostFunc {
	return []hostFunc{
		{name: "fetch", call: (*isolate).fetch},
		{name: "next", call: (*isolate).next},
		{name: "stop", call: (*isolate).stop},
	}
}

// outgoing is a request the guest makes.
type outgoing struct {
	id       int
	method   string
	url      *url.URL
	header   http.Header
	redirect string // follow, error, manual
	body     []byte
	stream   io.ReadCloser // the body in place of the bytes
	length   int64         // of stream; -1: unknown
}

// outgoing reads the arguments of fetch and next: (id, method, url, headers, redirect, source, sink, body).
func (i *isolate) outgoing(a args) (*outgoing, error) {
	o := &outgoing{id: a.at(0).Int(), length: -1, header: http.Header{}}
	var texts [4]string
	for n := range texts {
		var err error
		if texts[n], err = i.text(a.at(n + 1)); err != nil {
			return nil, err
		}
	}
	o.method, o.redirect = texts[0], texts[3]
	var err error
	if o.url, err = url.Parse(texts[1]); err != nil {
		return nil, &bridge.Exception{Name: "TypeError", Message: "the URL cannot be requested"}
	}
	pairs := strings.Split(texts[2], "\n")
	for n := 0; n+1 < len(pairs); n += 2 {
		switch pairs[n] {
		case "host", "content-length", "connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-connection":
		default:
			o.header.Add(pairs[n], pairs[n+1])
		}
	}
	if s := i.source(a.at(5)); s != nil {
		o.stream = sourceReader{s}
		if s.unblock != nil {
			o.length = i.call.Request.ContentLength
		}
		return o, nil
	}
	if u := i.call.uploads[a.at(6).Int()]; u != nil {
		o.stream = u.r
		return o, nil
	}
	if v := a.at(7); v.IsString() {
		s, err := i.text(v)
		o.body = []byte(s)
		return o, err
	}
	view, ok, err := i.js.View(a.at(7))
	if ok {
		o.body = append([]byte{}, view...)
	}
	return o, err
}

// request makes a request of it.
func (o *outgoing) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	switch {
	case o.stream != nil:
		body = o.stream
	case o.body != nil:
		body = bytes.NewReader(o.body)
	}
	r, err := http.NewRequestWithContext(ctx, o.method, o.url.String(), body)
	if err != nil {
		return nil, &bridge.Exception{Name: "TypeError", Message: "the request cannot be made: " + err.Error()}
	}
	if o.stream != nil {
		r.ContentLength = o.length
	}
	r.Header = o.header
	return r, nil
}

// sourceReader is a source as the body of a request. Closing it is not its business.
type sourceReader struct{ s *source }

func (r sourceReader) Read(b []byte) (int, error) {
	if !r.s.reading.CompareAndSwap(false, true) {
		return 0, errBusy
	}
	defer r.s.reading.Store(false)
	n, err := r.s.body.Read(b)
	r.s.ended.Store(errors.Is(err, io.EOF))
	return n, err
}

func (r sourceReader) Close() error { return nil }

// fetch is host.fetch(…): a promise of [status, statusText, headers, source, url, redirected].
func (i *isolate) fetch(a args) (qjs.Value, error) {
	world := i.call.World
	return i.exchange(a, func(ctx context.Context, o *outgoing) (bridge.Value, error) {
		return o.fetch(ctx, world.Fetch, i.call.work)
	})
}

// exchange makes the request of the arguments in the background.
func (i *isolate) exchange(a args, do func(ctx context.Context, o *outgoing) (bridge.Value, error)) (qjs.Value, error) {
	o, err := i.outgoing(a)
	if err != nil {
		var thrown *bridge.Exception
		if errors.As(err, &thrown) {
			return i.thrown(err)
		}
		return 0, err
	}
	c := i.call
	w := c.background()
	ctx, cancel := context.WithCancel(w.ctx)
	if c.stops == nil {
		c.stops = map[int]context.CancelFunc{}
	}
	c.stops[o.id] = cancel // which ends at the latest with the call: its body is read until then
	v, err := i.later(func(context.Context) (bridge.Value, error) { return do(ctx, o) })
	if v == qjs.Exception {
		cancel()
	}
	return v, err
}

// stop is host.stop(id): the signal of an exchange was aborted.
func (i *isolate) stop(a args) (qjs.Value, error) {
	id := a.at(0).Int()
	if cancel, ok := i.call.stops[id]; ok {
		cancel()
		delete(i.call.stops, id)
	}
	return qjs.Undefined, nil
}

// maxRedirects is how many are followed, as the Fetch standard has it.
const maxRedirects = 20

func (o *outgoing) fetch(ctx context.Context, send func(context.Context, *http.Request) (*http.Response, error), w *work) (bridge.Value, error) {
	if o.url.Scheme != "http" && o.url.Scheme != "https" {
		return bridge.Value{}, &bridge.Exception{Name: "TypeError", Message: "fetch: the scheme " + o.url.Scheme + " is not supported"}
	}
	for followed := 0; ; followed++ {
		r, err := o.request(ctx)
		if err != nil {
			return bridge.Value{}, err
		}
		resp, err := send(ctx, r)
		if err != nil {
			return bridge.Value{}, fetchError(ctx, err)
		}
		to, redirects := location(o.url, resp)
		if !redirects || o.redirect == "manual" {
			return answerOf(w, resp, o.url.String(), followed > 0), nil
		}
		_ = resp.Body.Close()
		switch {
		case o.redirect == "error":
			return bridge.Value{}, &bridge.Exception{Name: "TypeError", Message: "fetch: the answer is a redirect, and redirect is \"error\""}
		case followed == maxRedirects:
			return bridge.Value{}, &bridge.Exception{Name: "TypeError", Message: "fetch: too many redirects"}
		}
		if err := o.follow(to, resp.StatusCode); err != nil {
			return bridge.Value{}, err
		}
	}
}

// fetchError is what fetch throws where there is no answer.
func fetchError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var thrown *bridge.Exception
	if errors.As(err, &thrown) {
		return thrown
	}
	return &bridge.Exception{Name: "TypeError", Message: "fetch failed: " + err.Error()}
}

// location returns where an answer redirects to.
func location(from *url.URL, resp *http.Response) (*url.URL, bool) {
	if !slices.Contains([]int{301, 302, 303, 307, 308}, resp.StatusCode) || resp.Header.Get("Location") == "" {
		return nil, false
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil {
		return nil, false
	}
	if to.Fragment == "" {
		to.Fragment = from.Fragment
	}
	return to, true
}

// follow changes the request to that of the next hop.
func (o *outgoing) follow(to *url.URL, status int) error {
	drop := status == http.StatusSeeOther && o.method != http.MethodGet && o.method != http.MethodHead ||
		status < http.StatusSeeOther && o.method == http.MethodPost
	if drop {
		o.method, o.body, o.stream = http.MethodGet, nil, nil
		for _, h := range []string{"Content-Encoding", "Content-Language", "Content-Location", "Content-Type"} {
			o.header.Del(h)
		}
	}
	if o.stream != nil {
		return &bridge.Exception{Name: "TypeError", Message: "fetch: a redirect asks for the body again, and it was a stream"}
	}
	if to.Scheme != o.url.Scheme || to.Host != o.url.Host {
		for _, h := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			o.header.Del(h)
		}
	}
	o.url = to
	if to.Scheme != "http" && to.Scheme != "https" {
		return &bridge.Exception{Name: "TypeError", Message: "fetch: a redirect leads to the scheme " + to.Scheme}
	}
	return nil
}

// answerOf hands an answer to the runtime.
func answerOf(w *work, resp *http.Response, url string, redirected bool) bridge.Value {
	body := -1
	if resp.Body != nil && resp.Body != http.NoBody {
		body = w.add(&source{body: resp.Body})
	}
	var b strings.Builder
	for name, values := range resp.Header {
		lower := strings.ToLower(name)
		for _, v := range values {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(lower + "\n" + v)
		}
	}
	_, text, _ := strings.Cut(resp.Status, " ")
	return bridge.List(bridge.Number(float64(resp.StatusCode)), bridge.String(text), bridge.String(b.String()),
		bridge.Number(float64(body)), bridge.String(url), bridge.Bool(redirected))
}
