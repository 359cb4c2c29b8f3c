package reconcile

import (
	"context"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Runtime runs containers.
type Runtime interface {
	// List returns every container of ours, whatever its state.
	List(ctx context.Context) ([]model.Container, error)
	// Start is idempotent by name: a running container of that name is returned, a half-made or exited one is replaced.
	Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error)
	// Remove stops a container, with SIGKILL after grace, and removes it. It succeeds when there is none.
	Remove(ctx context.Context, name string, grace time.Duration) error
	// Wait returns how a container ended, once it has.
	Wait(ctx context.Context, name string) (model.Exit, error)
	// Events fires when it is worth listing again, and is closed with ctx.
	Events(ctx context.Context) <-chan struct{}
}

// Images holds container images.
type Images interface {
	// Ensure resolves, fetches and unpacks an image. With a digest that is present it does no network traffic.
	Ensure(ctx context.Context, image model.Image, progress func(percent int, detail string)) (model.Image, error)
	// Reclaim frees the space of what is not in keep and older than the runtime's own period of grace.
	Reclaim(ctx context.Context, keep model.Keep) error
	// Forget deletes a removed workload's volumes and logs.
	Forget(ctx context.Context, workloadID string) error
}

// Builder makes what releases run of source.
type Builder interface {
	// Build makes a release's image or site and returns it. What is wrong with the source is a *model.Error; any other
	// error may pass. The same release may be built again; once ctx ends nothing of the build goes on.
	Build(ctx context.Context, releaseID string, progress func(percent int, detail string)) (model.Built, error)
}

// Router sends requests to containers.
type Router interface {
	// Publish replaces the whole route table at once. Routes that cannot be served are left out and listed in an error
	// whose first *model.Error is of KindInvalid or KindConflict; all others are in force then. After any other error
	// the table is as it was before. The slice is lent for the call; what its routes point to never changes.
	Publish(ctx context.Context, routes []model.Route) error
	// Drain returns once no request is in flight to the containers named. When the deadline of ctx passes it may cut what
	// is left; when ctx is canceled it cuts nothing.
	Drain(ctx context.Context, backends []string) error
}

// Patcher is a Router that can replace some routes faster than all.
type Patcher interface {
	// Patch replaces all routes of some workloads that are in the table in force; only their state and backends differ.
	// Errors of KindInvalid and KindConflict are those of Publish. After any other nothing has changed, and Publish is
	// called instead.
	Patch(ctx context.Context, routes []model.Route) error
}

// State holds intent and takes what was seen.
type State interface {
	// Desired returns one consistent snapshot. The values in it are shared: they are never written to.
	Desired(ctx context.Context) (model.Desired, error)
	// Record writes updates in one transaction.
	Record(ctx context.Context, updates []model.WorkloadUpdate) error
	// Keep returns what must not be reclaimed: the images that can still be rolled back to, and every environment.
	Keep(ctx context.Context) (model.Keep, error)
	// Changed returns a coalescing signal of new intent, and its release.
	Changed() (<-chan struct{}, func())
}

// Environ opens a workload's variables, as "NAME=value". It is asked only at the moment a container is made.
type Environ interface {
	Environ(ctx context.Context, workloadID string, version int) ([]string, error)
}

// Prober asks one replica whether it is ready.
type Prober interface {
	// Probe returns how the replica answered ("healthy on /up"), or why it is not ready.
	Probe(ctx context.Context, check Check) (string, error)
}

// Clock tells time.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

type systemClock struct{}

var _ Clock = systemClock{}

// Now implements Clock.
func (systemClock) Now() time.Time { return time.Now().UTC() }

// After implements Clock.
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
