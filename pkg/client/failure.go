package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// refused returns the error an answer tells.
func (c *Client) refused(res *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if t, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); t == api.ProblemType {
		var p api.Problem
		if err := json.Unmarshal(b, &p); err == nil && p.Kind != "" && p.Title != "" {
			return p.Err()
		}
	}
	if to, err := res.Location(); err == nil {
		return model.Invalid("%s leads elsewhere, to %s", c.config.Address, to.Host).
			WithHint("use the address of the box itself: %s://%s", to.Scheme, to.Host)
	}
	return model.Errorf(api.KindOf(res.StatusCode), "%s answered %s", c.config.Address, res.Status).
		WithWhy("the answer is not one of pandabox").
		WithHint("is this the address of a box, and is what stands before it set up to let its API through?")
}

// failed returns the error of a request that got no answer, or not the whole of it.
func (c *Client) failed(ctx context.Context, err error) error {
	var known *model.Error
	if errors.As(err, &known) {
		return err
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		return model.Errorf(model.KindTimeout, "%s did not answer in time", c.config.Address).Wrap(err)
	case cause != nil:
		return model.Errorf(model.KindCanceled, "canceled").Wrap(errors.Join(cause, err))
	}
	e := model.Errorf(model.KindUnavailable, "no answer from %s", c.config.Address).Wrap(err).WithWhy("%s", reason(err))
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return e.WithHint("the box may use certificates of its own CA: give that CA's certificate with --ca when you log in")
	case errors.As(err, &verify):
		return e.WithHint("the certificate is not one for this address: check the address, and the box's clock")
	case c.unix != "" && errors.Is(err, fs.ErrPermission):
		return e.WithHint("only root may use the socket: use sudo, or pandabox login https://HOST")
	case c.unix != "":
		return e.WithHint("is the daemon running? systemctl status pandabox, then pandabox doctor")
	}
	return e.WithHint("is the address right, and the daemon running there? On the box: systemctl status pandabox, then pandabox doctor")
}

// reason returns the part of err that tells something: net/http wraps the URL around it, which may not be shown.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	for {
		u := errors.Unwrap(err)
		if u == nil {
			return err.Error()
		}
		err = u
	}
}
