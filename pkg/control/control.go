package control

import (
	"context"
	"io"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// ImageStore takes uploaded images. pkg/runtime satisfies it.
type ImageStore interface {
	// Import reads an OCI layout or docker archive and returns it with Digest and Config filled in.
	Import(ctx context.Context, r io.Reader) (model.Image, error)
}

// Runner runs commands in and as containers. pkg/runtime satisfies it.
type Runner interface {
	Exec(ctx context.Context, container string, spec model.ExecSpec) (exit int, err error)
	Run(ctx context.Context, c model.ContainerSpec, spec model.ExecSpec) (exit int, err error) // removed at its end
	Usage(ctx context.Context, containers []string) (map[string]model.Usage, error)
}

// LogReader reads what apps printed. pkg/runtime satisfies it.
type LogReader interface {
	Logs(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error
}

// Certificates takes and describes certificates. pkg/proxy satisfies it.
type Certificates interface {
	SetCertificate(ctx context.Context, host string, certPEM, keyPEM []byte) error
	Certificate(ctx context.Context, host string) (model.CertificateStatus, error)
}

// Control is every use case, by noun.
type Control struct {
	Box       *Box
	Tokens    *Tokens
	Apps      *Apps
	Images    *Images
	Deploys   *Deploys
	Releases  *Releases
	Scale     *Scaling
	Variables *Variables
	Domains   *Domains
	Workloads *Workloads
	Logs      *Logs
	Exec      *Exec
	Events    *Events
	Audit     *Audit
}

// Clock tells the time. It exists for tests.
type Clock func() time.Time
