// Package logs reads what the containers of a workload wrote, and says how it is captured: containerd's shim starts the
// log writer (cmd/pandabox-log) for each container, which keeps the lines as package segment describes. Writing thus
// depends on neither the daemon nor containerd; reading needs only the directory.
package logs

import (
	"net/url"
	"os"
	"strconv"

	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

// DefaultMaxBytes is the budget of a workload's directory where none is set.
const DefaultMaxBytes = 64 << 20

// WriterConfig says what the log writer of one container is told.
type WriterConfig struct {
	Dir       string // the workload's; made by the writer
	Container string
	Process   string
	Release   int // number
	Index     int
	MaxBytes  int64 // budget of Dir; 0 means DefaultMaxBytes
}

// Check refuses what could not be told apart on disk.
func (c WriterConfig) Check() error {
	return segment.Name{Container: c.Container, Process: c.Process, Release: c.Release, Index: c.Index}.Check()
}

// URI returns the address by which containerd's shim starts the log writer, for cio.LogURI. binary is the writer's
// absolute path. The shim turns the query into arguments, in no certain order, and passes no environment on. Its second
// form of the scheme takes a writer that does not start for an error, instead of leaving the app without one.
func URI(binary string, c WriterConfig) string {
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	u := url.URL{Scheme: "binary-v2", Path: binary, RawQuery: url.Values{
		"dir":       {c.Dir},
		"container": {c.Container},
		"process":   {c.Process},
		"release":   {strconv.Itoa(c.Release)},
		"index":     {strconv.Itoa(c.Index)},
		"max":       {strconv.FormatInt(c.MaxBytes, 10)},
	}.Encode()}
	return u.String()
}

// Remove removes a workload's logs. Its containers should have ended: what they write afterwards is lost.
func Remove(dir string) error { return os.RemoveAll(dir) }
