package proxy

import (
	"errors"
	"net/http"
	"time"
)

// max1xx bounds the informational answers before the final one.
const max1xx = 5

// errNoAnswer means that a connection ended before the first byte of an answer.
var errNoAnswer = errors.New("the replica closed the connection")

// attempt offers the request to one replica. It tells whether another may be tried: the replica took no connection,
// so that it cannot have seen anything of the request.
func (x *exchange) attempt(b *backend) (retry bool) {
	defer b.release()
	if b.Function {
		x.function(b)
		return false
	}
	if b.Static {
		x.static(b)
		return false
	}
	switch x.kind {
	case kindUpgrade:
		return x.upgrade(b)
	case kindGRPC:
		return x.grpc(b)
	}
	for fresh := false; ; fresh = true {
		u, err := b.get(x.r.Context(), fresh)
		if err != nil {
			return x.refused(b, err)
		}
		err = x.over(u)
		if err == nil {
			return false
		}
		if errors.Is(err, errNoAnswer) && u.used && !fresh && x.replayable() {
			continue // it was closed while it lay unused
		}
		x.fail(err)
		return false
	}
}

// refused notes that a replica took no connection; it tells whether another may be tried.
func (x *exchange) refused(b *backend, err error) (retry bool) {
	if x.r.Context().Err() != nil {
		x.fail(err)
		return false
	}
	b.failed(time.Now())
	return true
}

// replayable tells whether sending the request a second time does no harm.
func (x *exchange) replayable() bool {
	if x.r.ContentLength != 0 {
		return false
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// over sends the request over u and passes the answer on. It gives u back or closes it.
func (x *exchange) over(u *upstream) (err error) {
	whole := false // u can carry another exchange
	defer func() {
		if whole {
			u.b.put(u)
		} else {
			u.b.drop(u)
		}
	}()
	u.out = x.appendHeader(u.out[:0])
	var sent *bodyCopy
	switch {
	case x.r.ContentLength == 0:
		u.expect(x.route.timeout)
		_, err = u.nc.Write(u.out)
	case x.small != nil:
		u.expect(x.route.timeout)
		u.out = append(u.out, x.small...)
		_, err = u.nc.Write(u.out)
	default:
		if x.r.ProtoMajor == 1 {
			_ = http.NewResponseController(x.w).EnableFullDuplex() // or answering would eat what is left of the body
		}
		sent = x.sendBody(u)
		defer func() {
			if !whole {
				u.end(errCut) // ends its writes
			}
			sent.stop(err == nil)
			if err != nil && sent.err != nil {
				err = sent.err
			}
		}()
	}
	if cap(u.out) > 16<<10 {
		u.out = nil
	}
	if err != nil && u.why.Load() != nil {
		return *u.why.Load()
	} // any other error of writing: there may be an answer all the same
	res, err := x.readHeader(u) //nolint:bodyclose // its body is u itself, which is given back or closed above
	if err != nil {
		return err
	}
	u.answered.Store(true)
	u.deadline.Store(0)
	if sent != nil && !sent.in.ended.Load() && x.r.ProtoMajor == 1 {
		x.w.Header()["Connection"] = []string{"close"} // what comes next may be the rest of the body
	}
	if err := x.answer(u, res); err != nil {
		return err
	}
	whole = !res.Close && (sent == nil || sent.settle()) && u.br.Buffered() == 0
	return nil
}

// readHeader reads the final answer's header, passing on informational ones.
func (x *exchange) readHeader(u *upstream) (*http.Response, error) {
	for range max1xx {
		u.header = maxResponseHeader
		if _, err := u.br.Peek(1); err != nil {
			if why := u.why.Load(); why != nil {
				return nil, *why
			}
			return nil, errors.Join(errNoAnswer, err)
		}
		res, err := http.ReadResponse(u.br, x.r)
		u.header = -1
		if err != nil {
			return nil, err
		}
		switch {
		case res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols && u.switching:
			return res, nil
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the replica switched protocols unasked")
		case res.StatusCode == http.StatusContinue:
			// the client was told when its body was first read
		default:
			h := x.w.Header()
			before := make(map[string]bool, len(h))
			for k := range h {
				before[k] = true
			}
			for k, v := range res.Header {
				if !hopByHop(k) {
					h[k] = v
				}
			}
			x.w.WriteHeader(res.StatusCode)
			for k := range h {
				if !before[k] {
					delete(h, k)
				}
			}
		}
	}
	return nil, errors.New("too many informational answers")
}
