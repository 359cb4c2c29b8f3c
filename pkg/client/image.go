package client

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/pandabox/pandabox/pkg/model"
)

// ImportImage streams an OCI layout or docker archive, as tar, to the box. progress, unless nil, is told from another
// goroutine how many bytes have been sent, and is not called after ImportImage returned.
func (c *Client) ImportImage(ctx context.Context, r io.Reader, progress func(sent int64)) (model.Image, error) {
	return importTar[model.Image](ctx, c, c.org("images"), "the image", r, progress)
}

// importTar streams a tar file to a path. what names it in errors.
func importTar[T any](ctx context.Context, c *Client, path, what string, r io.Reader, progress func(sent int64)) (T, error) {
	var none T
	body := &upload{r: r, progress: progress}
	defer body.stop()
	req, err := c.request(ctx, call{method: http.MethodPost, path: path}, body)
	if err != nil {
		return none, err
	}
	req.Header.Set("Content-Type", "application/x-tar")
	req.Header.Set("Expect", "100-continue") // a refusal comes before gigabytes have been sent
	res, err := c.send(req)                  //nolint:bodyclose // decode closes it
	if err != nil {
		if e := body.failure(); e != nil {
			return none, model.Invalid("%s could not be read", what).Wrap(e)
		}
		return none, err
	}
	return decode[T](ctx, c, res)
}

// upload is a request's body that reports on itself. net/http reads it in a goroutine of its own that may outlive the
// request's answer.
type upload struct {
	mu       sync.Mutex
	r        io.Reader
	sent     int64
	progress func(int64)
	err      error // of r
	stopped  bool
}

func (u *upload) Read(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped {
		return 0, io.ErrClosedPipe
	}
	n, err := u.r.Read(b)
	u.sent += int64(n)
	if err != nil && err != io.EOF {
		u.err = err
	}
	if u.progress != nil && n > 0 {
		u.progress(u.sent)
	}
	return n, err
}

// stop waits for a Read under way and lets none follow, so that the caller may close what it gave.
func (u *upload) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
