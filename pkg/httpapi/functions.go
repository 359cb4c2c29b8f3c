package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

const octets = "application/octet-stream"

// Invoking is a request for a function.
type Invoking struct {
	InEnv
	Invocation string `header:"Pandabox-Invocation" maxLength:"60000" example:"{\"method\":\"GET\",\"path\":\"/greet?name=Ada\"}" doc:"JSON: method, path with its query, headers; absent: GET /"`
}

func (a *API) registerFunctions() {
	stream(a, needs(identity.DeployCreate), op{
		id: "importFunction", method: http.MethodPost, path: "/v1/orgs/{org}/functions", tag: "functions", summary: "Upload a function's bundle", status: http.StatusCreated,
	}, func(o *huma.Operation) {
		o.RequestBody = binary("application/x-tar")
		o.Responses["201"] = &huma.Response{Description: "what goes into the function of a new deploy", Content: map[string]*huma.MediaType{"application/json": {}}}
		a.schemaOf(o, "201", "application/json", model.Bundle{})
	}, func(_ context.Context, c caller, in *InOrg) error {
		return receive(a, c, model.MaxFunctionBundle, func(ctx context.Context, r io.Reader) (model.Bundle, error) {
			return a.control.Functions.Import(ctx, c.Actor, in.Org, r)
		})
	})
	stream(a, needs(identity.FunctionInvoke), op{
		id: "invoke", method: http.MethodPost, path: envPath + "/invoke", tag: "functions", summary: "Give a request to a function, past its domains and routes",
	}, func(o *huma.Operation) {
		o.Description += " The body is the function's request body, as it is."
		o.RequestBody = binary(octets)
		o.RequestBody.Required = false
		o.Responses["200"] = streamResponse(octets, "the body of the function's answer as it is, whatever its status")
		o.Responses["200"].Content[octets].Schema = &huma.Schema{Type: huma.TypeString, Format: "binary"}
		o.Responses["200"].Headers = map[string]*huma.Param{api.InvokedHeader: {
			Description: "JSON: the status and the headers of the function's answer", Schema: &huma.Schema{Type: huma.TypeString},
		}}
	}, a.invoke)
}

// invoke passes the caller's body to the function and the answer's body back, both as they come.
func (a *API) invoke(_ context.Context, c caller, in *Invoking) error {
	ctx, done, err := a.streaming(c.r)
	if err != nil {
		return err
	}
	defer done()
	rc := http.NewResponseController(c.w)
	_ = rc.EnableFullDuplex() // a function may answer before it has read everything; HTTP/2 does so anyway
	r, err := invocation(ctx, in.Invocation, stalling{r: http.MaxBytesReader(c.w, c.r.Body, api.MaxInvocation), rc: rc})
	if err != nil {
		return err
	}
	r.ContentLength, r.RemoteAddr, r.Proto, r.ProtoMajor, r.ProtoMinor = c.r.ContentLength, c.r.RemoteAddr, c.r.Proto, c.r.ProtoMajor, c.r.ProtoMinor
	if c.r.ContentLength == 0 {
		r.Body = http.NoBody
	}
	res, err := a.control.Functions.Invoke(ctx, c.Actor, in.ref(), r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	told, err := json.Marshal(api.Invoked{Status: res.StatusCode, Headers: res.Header})
	if err != nil {
		return err
	}
	c.w.Header().Set(api.InvokedHeader, string(told))
	f := newFlow(c.w, octets, func() { _ = res.Body.Close() })
	if err := copyTo(f, res.Body); err != nil {
		note(c.r).err = err
		panic(http.ErrAbortHandler) // the only way left to say that the body is not whole
	}
	return nil
}

// invocation makes the function's request of what a header says.
func invocation(ctx context.Context, header string, body io.Reader) (*http.Request, error) {
	var v api.Invocation
	if header != "" {
		d := json.NewDecoder(strings.NewReader(header))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			return nil, model.Invalid("the header %s is not right", api.InvocationHeader).Wrap(err).
				WithHint(`send JSON like {"method":"GET","path":"/greet?name=Ada","headers":{"Accept":["text/plain"]}}`)
		}
	}
	if v.Path == "" {
		v.Path = "/"
	}
	u, err := url.ParseRequestURI(v.Path)
	if err != nil || v.Path[0] != '/' || strings.HasPrefix(v.Path, "//") {
		return nil, model.Invalid("%q is not a path", v.Path).WithHint("begin it with one /: /greet?name=Ada")
	}
	r, err := http.NewRequestWithContext(ctx, v.Method, v.Path, body)
	if err != nil {
		return nil, model.Invalid("the request cannot be made").Wrap(err).WithHint("is %q a method?", v.Method)
	}
	r.URL, r.RequestURI = u, v.Path
	r.Header = http.Header{}
	for name, values := range v.Headers {
		for _, value := range values {
			if strings.EqualFold(name, "Host") {
				r.Host, r.URL.Scheme, r.URL.Host = value, "https", value // as a box is asked
				continue
			}
			r.Header.Add(name, value)
		}
	}
	return r, nil
}

// copyTo sends everything r has, as it comes.
func copyTo(f *flow, r io.Reader) error {
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		if n > 0 || !f.started() { // an empty answer has a head too
			if err := f.write(b[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// binary is a body that is taken as it is.
func binary(contentType string) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		contentType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
}
