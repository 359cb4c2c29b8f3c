package model

import (
	"net/netip"
	"strings"
	"time"
)

// FunctionRuntime is how a function's code is run.
type FunctionRuntime string

// The runtimes of functions.
const (
	RuntimeJS       FunctionRuntime = "js"        // JavaScript or TypeScript, bundled to one module
	RuntimeHTTPWasm FunctionRuntime = "http-wasm" // a WASM module with the http-wasm handler ABI
	RuntimeWAGI     FunctionRuntime = "wagi"      // a WASI command, run once per request as CGI
)

// Isolation says what one request of a function may see of an earlier one.
type Isolation string

// The kinds of isolation.
const (
	IsolationReuse   Isolation = "reuse"   // globals live on between requests, as long as the isolate does; the default
	IsolationRequest Isolation = "request" // every request begins with the state the deploy left
)

// Function is what a release of an app of kind function runs, in place of an image and processes.
type Function struct {
	Digest     string          `json:"digest"` // "sha256:…" of the uploaded bundle
	Size       int64           `json:"size"`   // bytes of the bundle
	Runtime    FunctionRuntime `json:"runtime"`
	Isolation  Isolation       `json:"isolation,omitempty"`  // "" means IsolationReuse
	On         string          `json:"on,omitempty"`         // the app of the same environment on whose domains Routes are; "" none
	Routes     []string        `json:"routes,omitempty"`     // paths on the domains of On: "/api/*", "/health"
	Middleware bool            `json:"middleware,omitempty"` // it runs in front of On and may pass requests on
	Egress     []string        `json:"egress,omitempty"`     // besides public addresses: "10.1.2.0/24", "192.168.1.7"; "none" closes everything
	Limits     FunctionLimits  `json:"limits,omitzero"`
}

// FunctionLimits bound one function. Zero means the default.
type FunctionLimits struct {
	CPU         Duration `json:"cpu,omitempty"`         // of guest code in one request
	Timeout     Duration `json:"timeout,omitempty"`     // from the start of a request to the end of its answer, waitUntil included
	Memory      int64    `json:"memory,omitempty"`      // bytes of one isolate
	Response    int64    `json:"response,omitempty"`    // bytes of answer body; -1: no limit
	Log         int64    `json:"log,omitempty"`         // bytes printed in one request
	Subrequests int      `json:"subrequests,omitempty"` // outbound requests in one request
	Concurrency int      `json:"concurrency,omitempty"` // requests at once; more wait for their turn
}

// Defaults and bounds of functions.
const (
	DefaultFunctionCPU         = Duration(time.Second)
	DefaultFunctionTimeout     = Duration(30 * time.Second)
	DefaultFunctionMemory      = 64 << 20
	DefaultFunctionResponse    = 64 << 20
	DefaultFunctionLog         = 64 << 10
	DefaultFunctionSubrequests = 50
	DefaultFunctionConcurrency = 32

	MaxFunctionCPU         = Duration(5 * time.Minute)
	MinFunctionMemory      = 4 << 20
	MaxFunctionMemory      = 1 << 30
	MaxFunctionConcurrency = 1000
	MaxFunctionSubrequests = 1000
	MaxFunctionBundle      = 32 << 20 // bytes
	MaxFunctionRoutes      = 50
)

// Filled returns l with the defaults in the place of zeros.
func (l FunctionLimits) Filled() FunctionLimits {
	l.CPU = Duration(l.CPU.Or(DefaultFunctionCPU))
	l.Timeout = Duration(l.Timeout.Or(DefaultFunctionTimeout))
	if l.Memory == 0 {
		l.Memory = DefaultFunctionMemory
	}
	if l.Response == 0 {
		l.Response = DefaultFunctionResponse
	}
	if l.Log == 0 {
		l.Log = DefaultFunctionLog
	}
	if l.Subrequests == 0 {
		l.Subrequests = DefaultFunctionSubrequests
	}
	if l.Concurrency == 0 {
		l.Concurrency = DefaultFunctionConcurrency
	}
	return l
}

// Validate refuses a function that could not run.
func (f Function) Validate() error {
	switch f.Runtime {
	case RuntimeJS, RuntimeHTTPWasm, RuntimeWAGI:
	default:
		return Invalid("%q is not a runtime of functions", f.Runtime).WithHint("choose js, http-wasm or wagi")
	}
	switch f.Isolation {
	case "", IsolationReuse, IsolationRequest:
	default:
		return Invalid("%q is not a kind of isolation", f.Isolation).WithHint("choose reuse or request")
	}
	if hex, ok := strings.CutPrefix(f.Digest, "sha256:"); !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return Invalid("%q is not a bundle's digest", f.Digest).WithHint("upload the function again and use the digest it answers")
	}
	if err := f.validateRoutes(); err != nil {
		return err
	}
	for _, e := range f.Egress {
		if e == "none" {
			continue
		}
		if _, err := netip.ParsePrefix(e); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(e); err != nil {
			return Invalid("egress: %q is not an address", e).WithHint(`write "192.168.1.7", "10.1.2.0/24" or "none"`)
		}
	}
	return f.Limits.Validate()
}

func (f Function) validateRoutes() error {
	if f.On != "" {
		if err := CheckName("app", f.On); err != nil {
			return err
		}
	}
	switch {
	case f.On == "" && (len(f.Routes) > 0 || f.Middleware):
		return Invalid("the function has routes and no app that they are on").WithHint(`name it: on = "shop"`)
	case f.On != "" && len(f.Routes) == 0:
		return Invalid("the function has no routes on %s", f.On).WithHint(`add routes = ["/*"]`)
	case len(f.Routes) > MaxFunctionRoutes:
		return Invalid("the function has %d routes", len(f.Routes)).WithHint("at most %d", MaxFunctionRoutes)
	}
	for _, r := range f.Routes {
		if err := CheckPath(r); err != nil {
			return err
		}
	}
	return nil
}

// CheckPath refuses what is no path of a route: it begins with / and may end in /* for everything below.
func CheckPath(p string) error {
	bare := strings.TrimSuffix(p, "/*")
	switch {
	case !strings.HasPrefix(p, "/"), len(p) > 200, strings.ContainsAny(bare, "*?#\\ \t\r\n\x00"), strings.Contains(p, "//"),
		strings.Contains(p+"/", "/../"), strings.Contains(p+"/", "/./"):
		return Invalid("%q is not a path of a route", p).WithHint(`write "/api/*" for everything below /api, "/health" for one path, "/*" for all`)
	}
	return nil
}

// Validate refuses limits that cannot be kept.
func (l FunctionLimits) Validate() error {
	switch {
	case l.CPU < 0 || l.CPU > MaxFunctionCPU:
		return Invalid("limits.cpu of %s is out of bounds", l.CPU).WithHint("choose up to %s", MaxFunctionCPU)
	case l.Timeout < 0 || l.Timeout > MaxGrace:
		return Invalid("limits.timeout of %s is out of bounds", l.Timeout).WithHint("choose up to %s", MaxGrace)
	case l.Memory != 0 && (l.Memory < MinFunctionMemory || l.Memory > MaxFunctionMemory):
		return Invalid("limits.memory of %d bytes is out of bounds", l.Memory).WithHint("choose %d to %d MB", MinFunctionMemory>>20, MaxFunctionMemory>>20)
	case l.Response < -1:
		return Invalid("limits.response of %d bytes is no limit", l.Response)
	case l.Log < 0:
		return Invalid("limits.log of %d bytes is no limit", l.Log)
	case l.Subrequests < 0 || l.Subrequests > MaxFunctionSubrequests:
		return Invalid("limits.subrequests of %d is out of bounds", l.Subrequests).WithHint("choose up to %d", MaxFunctionSubrequests)
	case l.Concurrency < 0 || l.Concurrency > MaxFunctionConcurrency:
		return Invalid("limits.concurrency of %d is out of bounds", l.Concurrency).WithHint("choose 1 to %d", MaxFunctionConcurrency)
	}
	return nil
}

// Bundle is an uploaded function, checked.
type Bundle struct {
	Digest  string          `json:"digest"` // "sha256:…" of the bundle as it was uploaded
	Size    int64           `json:"size"`   // bytes
	Runtime FunctionRuntime `json:"runtime"`
}
