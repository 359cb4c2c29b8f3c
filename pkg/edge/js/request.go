//go:build linux

package js

import (
	"strings"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// What the runtime asks about the request when the handler looks at it.

// env is host.env(): the variables as JSON, "" where there are none.
func (i *isolate) env(args) (qjs.Value, error) { return i.js.String(i.program.env) }

// method is host.method(), for one that has no number.
func (i *isolate) method(args) (qjs.Value, error) {
	if i.call.Request == nil {
		return qjs.Undefined, nil
	}
	return i.js.String(i.call.Request.Method)
}

// url is host.url().
func (i *isolate) url(args) (qjs.Value, error) {
	if i.call.Request == nil {
		return qjs.Undefined, nil
	}
	return i.js.String(requestURL(i.call.Call))
}

func requestURL(g *guest.Call) string {
	r := g.Request
	scheme := "http://"
	if r.TLS != nil || r.URL.Scheme == "https" {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.RequestURI()
}

// headers is host.headers(): "name\nvalue\nname\nvalue", names in lower case.
func (i *isolate) headers(args) (qjs.Value, error) {
	if i.call.Request == nil {
		return qjs.Undefined, nil
	}
	var b strings.Builder
	b.WriteString("host\n" + i.call.Request.Host)
	for name, values := range i.call.Request.Header {
		lower := strings.ToLower(name)
		for _, v := range values {
			b.WriteString("\n" + lower + "\n" + v)
		}
	}
	return i.js.String(b.String())
}
