package httpapi

import (
	"context"

	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// route is one registered operation.
type route struct {
	method, path string
	guard        guard
}

// op says what an operation is called and answers with.
type op struct {
	id      string // as in the OpenAPI document
	method  string
	path    string
	tag     string // the noun
	summary string
	status  int // of success; 0 means 200
}

// body is an answer's JSON.
type body[T any] struct{ Body T }

// answer wraps what control returned for huma.
func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{Body: v}, nil
}

// handle registers an operation that takes JSON and answers JSON. It is the only way to one, besides stream.
func handle[I, O any](a *API, g guard, o op, h func(ctx context.Context, c caller, in *I) (*O, error)) {
	if !a.enter(g, o) {
		return
	}
	huma.Register(a.huma, a.operation(g, o), func(ctx context.Context, in *I) (*O, error) {
		c := callerOf(ctx)
		// The deadline was for the body: left standing, it would end the handler's context later.
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) // not every writer has deadlines
		out, err := h(ctx, c, in)
		if err != nil {
			f := fail(c.r, err)
			for name, value := range f.headers() {
				c.w.Header().Set(name, value)
			}
			return nil, f
		}
		return out, nil
	})
}

// stream registers an operation that writes its answer itself. An error it returns is told only while nothing has been
// written.
func stream[I any](a *API, g guard, o op, describe func(*huma.Operation), h func(ctx context.Context, c caller, in *I) error) {
	if !a.enter(g, o) {
		return
	}
	ho := a.operation(g, o)
	describe(&ho)
	huma.Register(a.huma, ho, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(huma.Context) {
			c := callerOf(ctx)
			if err := h(ctx, c, in); err != nil {
				a.refuseSender(c, err)
			}
		}}, nil
	})
}

// page registers a route outside of the OpenAPI document.
func (a *API) page(g guard, method, path string, h http.HandlerFunc) {
	if a.enter(g, op{method: method, path: path}) {
		a.mux.HandleFunc(method+" "+path, h)
	}
}

func (a *API) enter(g guard, o op) bool {
	if err := g.check(); err != nil {
		a.faults = append(a.faults, fmt.Errorf("%s %s: %w", o.method, o.path, err))
		return false
	}
	a.routes = append(a.routes, route{method: o.method, path: o.path, guard: g})
	return true
}

func (a *API) operation(g guard, o op) huma.Operation {
	ho := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag}, DefaultStatus: o.status,
		MaxBodyBytes: maxJSON, BodyReadTimeout: readTimeout, RejectUnknownQueryParameters: true,
		Middlewares: huma.Middlewares{a.door(g)},
		Responses:   map[string]*huma.Response{"default": a.problemResponse()},
	}
	if g.public != "" {
		ho.Security = []map[string][]string{{}}
		ho.Description = "Needs no token."
	} else {
		ho.Description = "Needs the permission " + string(g.permission) + "."
	}
	return ho
}
