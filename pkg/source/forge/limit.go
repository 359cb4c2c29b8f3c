package forge

import (
	"net/http"

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
	done, err := s.place(r)
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

// place waits for a place among the readers.
func (s *Server) place(r *http.Request) (leave func(), err error) {
	select {
	case s.reading <- struct{}{}:
		return func() { <-s.reading }, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
