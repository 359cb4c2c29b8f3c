package forge

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// What is refused is counted with the bounds of failed logins: 30 in a row, then one a second. It counts three ways:
//
//	ADDRESS, HOOK   messages without the signature: with none left, the address is refused at that hook unread
//	HOOK            the same of all addresses: with none left, they are refused as too many and not told to the log
//	ADDRESS         hooks and secrets that are none: with none left, they are refused as too many
//
// What is good is never counted, and refused for its address only where that address failed at the same hook. The
// addresses of a forge, or of a CI, are those of all its customers: one who sends rubbish from there keeps nobody else's
// messages out, since whether a hook or a secret is known is looked up first, which reads no body and writes nothing.

const retryAfter = "10" // seconds: as the API has it

// everywhere stands for all addresses.
const everywhere = ""

// unknown counts a hook or a secret that is none, and returns what to answer.
func (s *Server) unknown(r *http.Request, err error) error {
	if k := model.KindOf(err); k != model.KindNotFound && k != model.KindUnauthenticated {
		return err
	}
	if !s.refused.Take(r.RemoteAddr, "") {
		return identity.TooMany()
	}
	return err
}

// signed takes a message of a hook that is known, which must be signed.
func (s *Server) signed(r *http.Request, id string, repo control.OpenRepository) (message, error) {
	if s.refused.Spent(r.RemoteAddr, id) {
		return message{}, identity.TooMany()
	}
	done, err := s.place(r, id)
	if err != nil {
		return message{}, err
	}
	defer done()
	m, err := read(r, repo)
	if err == nil {
		return m, nil
	}
	s.refused.Take(r.RemoteAddr, id) // one that did not come to its end too: a sender may stop before the signature counts
	if !s.refused.Take(everywhere, id) {
		return m, identity.TooMany()
	}
	return m, err
}

// place waits for a place among the readers. One who sends slowly to a hook, whose id many may know, keeps no other
// address from that hook, and all who do none from another hook.
func (s *Server) place(r *http.Request, at string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), waitTime)
	defer cancel()
	sent, err := s.senders.Take(ctx, at+" "+identity.Household(r.RemoteAddr).String())
	if err != nil {
		return nil, busy(err)
	}
	read, err := s.reading.Take(ctx, at)
	if err != nil {
		sent()
		return nil, busy(err)
	}
	return func() { read(); sent() }, nil
}

func busy(err error) error {
	return model.Errorf(model.KindUnavailable, "too many messages come at once").Wrap(err).WithHint("send it again in a while")
}

// timely is a message that has to be there soon after it is begun to be read.
type timely struct {
	io.ReadCloser
	rc    *http.ResponseController
	begun bool
}

func (t *timely) Read(b []byte) (int, error) {
	if !t.begun {
		t.begun = true
		_ = t.rc.SetReadDeadline(time.Now().Add(readTime)) // not every writer has deadlines
	}
	return t.ReadCloser.Read(b)
}
