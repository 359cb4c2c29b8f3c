package forge

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxCall bounds what a deploy hook is sent, in bytes.
const maxCall = 64 << 10

// call is the body of a request to a deploy hook; it may be left out.
type call struct {
	Image   string `json:"image"`
	Message string `json:"message"`
}

// fire does what a deploy hook is for.
func (s *Server) fire(r *http.Request, secret string) (reply, error) {
	if err := s.cfg.Control.DeployHooks.Known(r.Context(), secret); err != nil {
		return reply{}, s.unknown(r, err)
	}
	done, err := s.place(r, secret)
	if err != nil {
		return reply{}, err
	}
	defer done()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCall+1))
	switch {
	case err != nil:
		return reply{}, model.Errorf(model.KindCanceled, "the request did not come to its end").Wrap(err)
	case len(body) > maxCall:
		return reply{}, model.Errorf(model.KindTooLarge, "the request is larger than %d KB", maxCall>>10)
	}
	var c call
	if len(body) > 0 {
		if err := json.Unmarshal(body, &c); err != nil {
			var wrong *json.UnmarshalTypeError
			if !errors.As(err, &wrong) || wrong.Field == "" { // another sender's fields are passed over
				return reply{}, model.Invalid("the request is no JSON").Wrap(err).WithHint(`send {"image": "registry.example.com/shop:2"}, or nothing`)
			}
			return reply{}, model.Invalid("%s is no text", wrong.Field).WithHint(`send {"image": "registry.example.com/shop:2"}`)
		}
	}
	if image := r.URL.Query().Get("image"); image != "" {
		c.Image = image
	}
	f, err := s.cfg.Control.DeployHooks.Fire(r.Context(), secret, control.HookCall{Image: c.Image, Message: c.Message})
	if err != nil {
		return reply{}, err
	}
	if f.Delivery != "" {
		s.again()
	}
	return reply{State: "accepted", Deploy: f.Deploy.ID, Approval: f.Deploy.Approval, Delivery: f.Delivery, App: f.App, Env: f.Env, URL: f.Deploy.URL}, nil
}
