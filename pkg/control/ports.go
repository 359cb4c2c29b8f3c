package control

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// ImageStore takes uploaded images. pkg/runtime satisfies it.
type ImageStore interface {
	// Import reads an OCI layout or docker archive and returns it with Digest and Config filled in.
	Import(ctx context.Context, r io.Reader) (model.Image, error)
}

// Runner runs commands in and as containers. pkg/runtime satisfies it.
type Runner interface {
	// Exec runs a command in a running container.
	Exec(ctx context.Context, container string, spec model.ExecSpec) (exit int, err error)
	// Run runs a command as a container of its own, which is removed at the end.
	Run(ctx context.Context, c model.ContainerSpec, spec model.ExecSpec) (exit int, err error)
	// Usage returns what containers use, by name. One that is gone is left out.
	Usage(ctx context.Context, containers []string) (map[string]model.Usage, error)
}

// LogReader reads what apps printed. pkg/runtime satisfies it.
type LogReader interface {
	// Logs gives the lines q chooses to yield, and follows until ctx ends where q says so.
	Logs(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error
}

// Certificates takes and describes certificates. pkg/proxy satisfies it.
type Certificates interface {
	// SetCertificate keeps a certificate that a user brought and serves it from now on.
	SetCertificate(ctx context.Context, host string, certPEM, keyPEM []byte) error
	// RemoveCertificate forgets it. None there is no error.
	RemoveCertificate(ctx context.Context, host string) error
	// Certificate tells what is known of a host's certificate.
	Certificate(ctx context.Context, host string) (model.CertificateStatus, error)
}

// FunctionHost holds and calls functions. pkg/edge satisfies it.
type FunctionHost interface {
	// Import reads a bundle, checks it and keeps it.
	Import(ctx context.Context, r io.Reader) (model.Bundle, error)
	// Bundle returns a bundle that is kept; KindNotFound when none of that digest is.
	Bundle(ctx context.Context, digest string) (model.Bundle, error)
	// Invoke gives a request to the function loaded under a replica's name, past the routes.
	Invoke(ctx context.Context, name string, r *http.Request) (*http.Response, error)
	// Scheduled calls its scheduled handler and returns once that has ended.
	Scheduled(ctx context.Context, name string, e model.ScheduledEvent) error
}

// JobRuntime runs the containers of jobs. pkg/runtime satisfies it.
type JobRuntime interface {
	// List returns every container of pandabox, whatever its state.
	List(ctx context.Context) ([]model.Container, error)
	// Start starts a container; a running one of that name is returned.
	Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error)
	// Wait returns how a container ended, once it has.
	Wait(ctx context.Context, name string) (model.Exit, error)
	// Remove ends a container and removes it, once its log is complete. None there is no error.
	Remove(ctx context.Context, name string, grace time.Duration) error
}

// KVStore holds the keys and values of environments, by environment id. pkg/store satisfies it.
type KVStore interface {
	// Get returns a value and whether it is there.
	Get(ctx context.Context, envID, key string) (value []byte, found bool, err error)
	// Put writes a value, to be forgotten after ttl where that is not zero.
	Put(ctx context.Context, envID, key string, value []byte, ttl time.Duration) error
	// Delete removes a key; none there is no error.
	Delete(ctx context.Context, envID, key string) error
	// List returns keys in order: at most limit that begin with prefix and come behind after. more tells whether there
	// are others.
	List(ctx context.Context, envID, prefix, after string, limit int) (keys []store.KVKey, more bool, err error)
	// Snapshot writes everything to w, the number of bytes to size first.
	Snapshot(ctx context.Context, w io.Writer, size func(int64) error) error
}

var _ KVStore = (*store.KV)(nil)

// Probe looks at one thing outside of control's reach for Box.Doctor: the runtime, the ports, the clock.
type Probe struct {
	Name string // "runtime"
	// Run returns what was seen in one line. What is wrong is an error; the hint of a *model.Error is passed on.
	Run func(ctx context.Context) (detail string, err error)
}

// Sources holds code that came in, until it is built. pkg/daemon makes one of pkg/source/pack and pkg/build/plan.
type Sources interface {
	// Import reads an archive of source, checks it and keeps it. An org does a few of these and of Plan at once, and waits
	// with the others until ctx ends.
	Import(ctx context.Context, org string, r io.Reader) (model.Source, error)
	// Plan finds out how a source is built; KindNotFound when none of that digest is kept.
	Plan(ctx context.Context, org string, b model.BuildSpec, app string, kind model.AppKind) (model.BuildPlan, error)
}

// BuildEngine makes images and sites of source. pkg/daemon makes one of pkg/build and pkg/static.
type BuildEngine interface {
	// Build builds, once it is this build's turn, and writes the build's log. When ctx ends, nothing of it runs on. The
	// same build may be begun again after a crash.
	Build(ctx context.Context, r BuildRequest) (BuildResult, error)
	// BuildLog gives the lines of a build's log to yield, and with follow those to come until the build has ended.
	BuildLog(ctx context.Context, id string, follow bool, yield func(model.BuildLine) error) error
	// PruneBuilds removes the build cache and returns the bytes it freed.
	PruneBuilds(ctx context.Context) (int64, error)
}

// BaseImages holds the images that builds begin with, by name. pkg/runtime satisfies it.
type BaseImages interface {
	// AddBases keeps the images of an archive under the names it has for them; name, unless "", is for its one image.
	AddBases(ctx context.Context, r io.Reader, name string) ([]model.BaseImage, error)
	// Bases returns them by name.
	Bases(ctx context.Context) ([]model.BaseImage, error)
	// RemoveBase forgets one; KindNotFound where there is none.
	RemoveBase(ctx context.Context, name string) error
}

// BuildRequest is one build for the engine.
type BuildRequest struct {
	ID       string
	Org      string // its id: orgs take turns
	Caches   string // whose package caches the steps see, and leave something in
	App      string
	Kind     model.AppKind
	Spec     model.BuildSpec
	Static   *model.Static                    // how a site is to be served; nil for an image
	Secrets  map[string][]byte                // by name, for those Spec names
	Mask     []string                         // other secret values, not to appear in the log
	Progress func(percent int, detail string) // may be called from any goroutine
}

// BuildResult is what the engine made.
type BuildResult struct {
	Image  model.Image
	Static *model.Static // of a static site: Image is zero then
	Steps  int
	Cached int
}
