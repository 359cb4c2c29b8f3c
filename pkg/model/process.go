package model

import (
	"fmt"
	"time"
)

// The process names with a meaning of their own. Any other process runs without receiving requests.
const (
	ProcessWeb     = "web"     // receives requests
	ProcessRelease = "release" // runs once, to its end, before a new release receives requests; never scaled
)

// Process is one command of an app.
type Process struct {
	Name    string      `json:"name"`
	Command []string    `json:"command,omitempty"` // the whole command line, in place of the image's entry point and arguments; nil keeps the image's
	Port    int         `json:"port,omitempty"`    // TCP port that takes requests, also given to it as $PORT; 0: the image's only exposed port, else DefaultPort
	Health  HealthCheck `json:"health,omitzero"`
	Scale   Scale       `json:"scale,omitzero"`
	Grace   Duration    `json:"stopGrace,omitempty"` // SIGTERM to SIGKILL; 0 means DefaultStopGrace
	HTTP    RouteLimits `json:"http,omitzero"`       // of the web process: what one request may ask for, and headers of every answer
}

// HealthCheck says how a replica shows that it is ready.
type HealthCheck struct {
	Path     string   `json:"path,omitempty"`     // GET must answer 2xx or 3xx; "" tries DefaultHealthPath and accepts an open TCP port where it answers 404
	Grace    Duration `json:"grace,omitempty"`    // time from start to the first success; 0 means DefaultHealthGrace
	Interval Duration `json:"interval,omitempty"` // between probes once healthy; 0 means DefaultHealthInterval
	Timeout  Duration `json:"timeout,omitempty"`  // for one probe; 0 means DefaultHealthTimeout
}

// Scale is how many replicas of a process run and what each may use. A zero field means "not set here".
type Scale struct {
	Replicas *int  `json:"replicas,omitempty"` // 0 to MaxReplicas; nil means 1
	MilliCPU int   `json:"milliCpu,omitempty"` // thousandths of a core; 0 means no limit
	Memory   int64 `json:"memory,omitempty"`   // bytes; 0 means DefaultMemory
	Pids     int64 `json:"pids,omitempty"`     // processes and threads; 0 means DefaultPids
}

// Defaults and bounds of processes.
const (
	DefaultPort           = 8080
	DefaultHealthPath     = "/up"
	DefaultHealthGrace    = Duration(30 * time.Second)
	DefaultHealthInterval = Duration(10 * time.Second)
	DefaultHealthTimeout  = Duration(5 * time.Second)
	DefaultStopGrace      = Duration(10 * time.Second)
	DefaultMemory         = 512 << 20
	DefaultPids           = 512
	MinMemory             = 12 << 20 // runc itself takes 6 MB to start on cgroup v1, more on v2
	MaxReplicas           = 100
	MaxGrace              = Duration(30 * time.Minute)
)

// Over returns s with the set fields of o in place of its own.
func (s Scale) Over(o Scale) Scale {
	if o.Replicas != nil {
		s.Replicas = o.Replicas
	}
	if o.MilliCPU != 0 {
		s.MilliCPU = o.MilliCPU
	}
	if o.Memory != 0 {
		s.Memory = o.Memory
	}
	if o.Pids != 0 {
		s.Pids = o.Pids
	}
	return s
}

// Count returns the number of replicas, 1 where none is set.
func (s Scale) Count() int {
	if s.Replicas == nil {
		return 1
	}
	return *s.Replicas
}

// Limits returns the resource bounds of one replica, defaults filled in.
func (s Scale) Limits() Limits {
	l := Limits{MilliCPU: s.MilliCPU, Memory: s.Memory, Pids: s.Pids}
	if l.Memory == 0 {
		l.Memory = DefaultMemory
	}
	if l.Pids == 0 {
		l.Pids = DefaultPids
	}
	return l
}

// Validate refuses a scale out of bounds. process is used in the message only.
func (s Scale) Validate(process string) error {
	switch {
	case s.Replicas != nil && (*s.Replicas < 0 || *s.Replicas > MaxReplicas):
		return Invalid("%s cannot have %d replicas", process, *s.Replicas).WithHint("choose 0 to %d", MaxReplicas)
	case s.MilliCPU < 0 || (s.MilliCPU > 0 && s.MilliCPU < 10):
		return Invalid("%s cannot have %g of a core", process, float64(s.MilliCPU)/1000).WithHint("the least is 0.01; leave cpu out for no limit")
	case s.Memory < 0 || (s.Memory > 0 && s.Memory < MinMemory):
		return Invalid("%s cannot have %d bytes of memory", process, s.Memory).WithHint("the least is %d MB", MinMemory>>20)
	case s.Pids < 0:
		return Invalid("%s cannot have %d pids", process, s.Pids)
	}
	return nil
}

// Validate refuses a process that could not run.
func (p Process) Validate() error {
	if err := CheckName("process", p.Name); err != nil {
		return err
	}
	if p.Port < 0 || p.Port > 65535 {
		return Invalid("process %s: %d is not a port", p.Name, p.Port).WithHint("choose 1 to 65535")
	}
	if p.Health.Path != "" && p.Health.Path[0] != '/' {
		return Invalid("process %s: health path %q does not begin with /", p.Name, p.Health.Path)
	}
	for name, d := range map[string]Duration{"health.grace": p.Health.Grace, "health.interval": p.Health.Interval, "health.timeout": p.Health.Timeout, "stop-grace": p.Grace} {
		if d < 0 || d > MaxGrace {
			return Invalid("process %s: %s of %s is out of bounds", p.Name, name, d).WithHint("choose 0s to %s", MaxGrace)
		}
	}
	if err := p.HTTP.Validate("process " + p.Name); err != nil {
		return err
	}
	return p.Scale.Validate("process " + p.Name)
}

// Duration is a time.Duration that reads and writes as "10s" in JSON and TOML.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Or returns d, or def where d is zero.
func (d Duration) Or(def Duration) time.Duration {
	if d == 0 {
		return time.Duration(def)
	}
	return time.Duration(d)
}

// String returns the form "1m30s".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the form "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form "1m30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return Invalid("%q is not a duration", string(b)).WithHint(`write it as "10s", "2m" or "1h30m"`)
	}
	*d = Duration(v)
	return nil
}

var _ fmt.Stringer = Duration(0)
