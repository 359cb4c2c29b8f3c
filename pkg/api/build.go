package api

import "github.com/pandabox/pandabox/pkg/model"

// Build is source in, image or site out, with a log.
type Build = model.Build

// Source is code that was uploaded.
type Source = model.Source

// PlanSource asks how an uploaded source would be built.
type PlanSource struct {
	Build model.BuildSpec `json:"build"`
	App   string          `json:"app,omitempty" maxLength:"40"`
	Kind  model.AppKind   `json:"kind,omitempty" enum:"web,worker,static" doc:"absent: as the source says"`
}

// Pruned tells what removing a cache freed.
type Pruned struct {
	Bytes int64 `json:"bytes"`
}

// BuildRecord is one line of a build's log, or the error that ends the stream. A blank line between records only keeps
// the connection alive.
type BuildRecord struct {
	*model.BuildLine
	Problem *Problem `json:"problem,omitempty"`
}

// MaxSource bounds an archive of source, in bytes.
const MaxSource = 1 << 30
