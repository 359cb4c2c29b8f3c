package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// Defaults and bounds.
const (
	DefaultMaxImage  = 20 << 30 // bytes
	DefaultHeartbeat = 15 * time.Second

	maxJSON     = 1 << 20          // bytes of a JSON body
	maxHeader   = 64 << 10         // bytes of a request's header fields
	readTimeout = 30 * time.Second // for a JSON body, from its first byte to its last
	// A stream's reader that takes nothing for so long is let go, and an upload that sends nothing.
	stallTimeout = 2 * time.Minute
)

// Config is what the API needs.
type Config struct {
	Control   *control.Control
	Logger    zerolog.Logger
	Version   string             // of the daemon, told in the OpenAPI document
	RootCA    func() []byte      // certificate of the box's own CA, PEM; nil, or an empty answer: there is none
	Git       http.Handler       // git over HTTP, below /git/: it asks for a token itself, and limits failed attempts; nil: none
	Hooks     http.Handler       // forge webhooks and deploy hooks, below /hooks/ and /deploy-hooks/: they check a signature or token themselves; nil: none
	Denied    *identity.Attempts // failed ones to sign in, also at other doors; nil: its own
	MaxImage  int64              // bytes of an uploaded image; 0 means DefaultMaxImage
	Heartbeat time.Duration      // between signs of life on a quiet stream; 0 means DefaultHeartbeat
}

// API serves HTTP.
type API struct {
	config  Config
	control *control.Control
	log     zerolog.Logger
	mux     *http.ServeMux
	huma    huma.API
	routes  []route
	faults  []error // of registering
	spec    []byte
	pages   *pages
	claims  *identity.Attempts // to claim the box
	denied  *identity.Attempts // failed ones to sign in
	handler http.Handler

	mu      sync.Mutex
	closed  bool
	open    sync.WaitGroup                            // streams; Add comes before closed is set
	streams map[*http.Request]context.CancelCauseFunc // of the open ones
}

// New makes the API. It fails when a route declares no permission.
func New(config Config) (*API, error) {
	if config.Control == nil {
		return nil, errors.New("httpapi: no control")
	}
	if config.MaxImage == 0 {
		config.MaxImage = DefaultMaxImage
	}
	if config.Heartbeat == 0 {
		config.Heartbeat = DefaultHeartbeat
	}
	if config.Denied == nil {
		config.Denied = identity.NewDenied()
	}
	if config.Version == "" {
		config.Version = "unknown"
	}
	a := &API{
		config: config, control: config.Control, log: config.Logger, mux: http.NewServeMux(),
		claims: newClaims(), denied: config.Denied,
	}
	a.streams = map[*http.Request]context.CancelCauseFunc{}
	a.huma = humago.New(a.mux, humaConfig(config.Version))
	a.register()
	if err := errors.Join(a.faults...); err != nil {
		return nil, fmt.Errorf("registering the routes: %w", err)
	}
	spec, err := a.document()
	if err != nil {
		return nil, err
	}
	a.spec = spec
	if a.pages, err = loadPages(); err != nil {
		return nil, err
	}
	a.handler = a.logged(a.secured(http.HandlerFunc(a.dispatch)))
	return a, nil
}

// Handler serves everything of the API. On a Unix socket its server needs ConnContext.
func (a *API) Handler() http.Handler { return a.handler }

// Shutdown ends every stream and running command, and waits for them until ctx ends. Streams begun later end at once.
// Call it before http.Server.Shutdown, which waits for streams and knows nothing of commands.
func (a *API) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.closed = true
	for _, end := range a.streams {
		end(stopping())
	}
	a.mu.Unlock()
	done := make(chan struct{})
	go func() { a.open.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending streams: %w", ctx.Err())
	}
}

// streaming returns a context that ends with r's or with Shutdown; done must be called at the stream's end.
func (a *API) streaming(r *http.Request) (ctx context.Context, done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, nil, stopping()
	}
	a.open.Add(1)
	ctx, cancel := context.WithCancelCause(r.Context())
	a.streams[r] = cancel
	return ctx, func() {
		a.mu.Lock()
		delete(a.streams, r)
		a.mu.Unlock()
		cancel(nil)
		a.open.Done()
	}, nil
}

func stopping() error {
	return model.Errorf(model.KindUnavailable, "pandabox is stopping").WithHint("try again in a moment")
}

// dispatch serves a request that has a route, and refuses any other in the API's own form.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request) {
	if err := a.admit(r); err != nil {
		a.refuse(w, r, err)
		return
	}
	h, pattern := a.mux.Handler(r)
	if pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	var probe discarded
	h.ServeHTTP(&probe, r)
	switch probe.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", probe.Header().Get("Allow"))
		a.refuseWith(w, r, http.StatusMethodNotAllowed, model.Invalid("%s is not possible here", r.Method).
			WithHint("possible: %s", probe.Header().Get("Allow")))
	default:
		a.refuse(w, r, model.NotFound("there is nothing at this address").WithHint("the API is described in /openapi.json"))
	}
}

// discarded keeps an answer's status and header fields only.
type discarded struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (d *discarded) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (d *discarded) WriteHeader(status int) { d.status = status }
