package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

func (a *API) registerImages() {
	stream(a, needs(identity.DeployCreate), op{
		id: "importImage", method: http.MethodPost, path: "/v1/orgs/{org}/images", tag: "images", summary: "Upload an OCI layout or docker archive as tar", status: http.StatusCreated,
	}, func(o *huma.Operation) {
		o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/x-tar": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}}
		o.Responses["201"] = &huma.Response{Description: "what goes into a new deploy", Content: map[string]*huma.MediaType{"application/json": {}}}
		a.schemaOf(o, "201", "application/json", model.Image{})
	}, a.importImage)
}

func (a *API) importImage(_ context.Context, c caller, in *InOrg) error {
	return receive(a, c, a.config.MaxImage, func(ctx context.Context, r io.Reader) (model.Image, error) {
		return a.control.Images.Import(ctx, c.Actor, in.Org, r)
	})
}

// receive gives an upload of at most most bytes to take, and answers with what that returns.
func receive[T any](a *API, c caller, most int64, take func(context.Context, io.Reader) (T, error)) error {
	ctx, done, err := a.streaming(c.r)
	if err != nil {
		return err
	}
	defer done()
	if c.r.ContentLength > most {
		return &http.MaxBytesError{Limit: most}
	}
	rc := http.NewResponseController(c.w)
	taken, err := take(ctx, stalling{r: http.MaxBytesReader(c.w, c.r.Body, most), rc: rc})
	_ = rc.SetReadDeadline(time.Time{}) // not every writer has deadlines
	if err != nil {
		return err
	}
	b, err := json.Marshal(taken)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(http.StatusCreated)
	_, _ = c.w.Write(append(b, '\n')) // the caller is gone
	return nil
}

// stalling is a body whose sender must send something every stallTimeout.
type stalling struct {
	r  io.Reader
	rc *http.ResponseController
}

func (s stalling) Read(b []byte) (int, error) {
	_ = s.rc.SetReadDeadline(time.Now().Add(stallTimeout)) // not every writer has deadlines
	return s.r.Read(b)
}
