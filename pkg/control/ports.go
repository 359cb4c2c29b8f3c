package control

import (
	"context"
	"io"

	"github.com/pandabox/pandabox/pkg/model"
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

// Probe looks at one thing outside of control's reach for Box.Doctor: the runtime, the ports, the clock.
type Probe struct {
	Name string // "runtime"
	// Run returns what was seen in one line. What is wrong is an error; the hint of a *model.Error is passed on.
	Run func(ctx context.Context) (detail string, err error)
}
