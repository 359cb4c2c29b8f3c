package api

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// LogQuery chooses lines of one workload's log.
type LogQuery struct {
	Process   string    // "" for all
	Release   int       // number; 0 for all
	Container string    // "" for all
	Since     time.Time // zero: from the oldest kept
	Tail      int       // only the last n before following; negative: all; 0: none
	Follow    bool      // go on until the caller stops
}

// LogRecord is one line of a log stream: a line of the app, or the error that ends the stream. A blank line between
// records only keeps the connection alive.
type LogRecord struct {
	*model.LogLine
	Problem *Problem `json:"problem,omitempty"`
}
