package proxy

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

// page is an answer of the proxy's own, for when there is none of an app.
type page struct {
	status int
	title  string
	text   string // one or two sentences: what is the matter and what to do
	retry  int    // seconds; also makes browsers try again
}

// The pages there are.
var (
	pageUnknown   = page{http.StatusNotFound, "No such app", "Nothing is deployed at this address. Check its spelling, or add the domain to an app.", 0}
	pageStarting  = page{http.StatusServiceUnavailable, "Starting", "This app is just being started. The page reloads by itself.", 3}
	pageDown      = page{http.StatusServiceUnavailable, "This app is down", "None of its processes is running at the moment. Its owner can see why in its log.", 10}
	pageStopped   = page{http.StatusServiceUnavailable, "This app is stopped", "Its owner has scaled it to zero.", 0}
	pageBad       = page{http.StatusBadGateway, "The app did not answer", "It closed the connection or sent something that is not HTTP. Its owner can see more in its log.", 0}
	pageSlow      = page{http.StatusGatewayTimeout, "The app took too long", "It accepted the request but did not begin to answer in time.", 0}
	pageTooLarge  = page{http.StatusRequestEntityTooLarge, "Too large", "The request is larger than this app accepts.", 0}
	pageMisdirect = page{http.StatusMisdirectedRequest, "Wrong address", "This address is not served over HTTPS.", 0}
	pageBadBody   = page{http.StatusBadRequest, "Bad request", "The request could not be read to its end.", 0}
	pageMethod    = page{http.StatusMethodNotAllowed, "No such method", "Requests with this method are not passed on.", 0}
	pageNoUpgrade = page{http.StatusNotImplemented, "Not supported", "A function answers here: it cannot switch to another protocol, such as WebSocket.", 0}
	pageNoHTTP2   = page{http.StatusHTTPVersionNotSupported, "HTTP/2 needs HTTPS", "Without it this box speaks HTTP/1.1.", 0}
	pageBusy      = page{http.StatusServiceUnavailable, "The box is stopping", "Try again in a moment.", 5}
)

var pageHTML = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">{{if .Retry}}<meta http-equiv="refresh" content="{{.Retry}}">{{end}}<title>{{.Title}}</title>
<style>
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}
main{max-width:28rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 .5rem}
p{margin:0 0 1rem}
small{opacity:.65}
</style></head><body><main>
<h1>{{.Title}}</h1><p>{{.Text}}</p><small>{{.Status}} · {{.Host}} · request {{.ID}}</small>
</main></body></html>
`))

// show answers with a page, in the form the client asked for.
func (x *exchange) show(pg page) {
	w, r := x.w, x.r
	h := w.Header()
	for k := range h {
		if k != "Alt-Svc" {
			delete(h, k)
		}
	}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Request-Id"] = []string{x.id()}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if pg.retry > 0 {
		h["Retry-After"] = []string{strconv.Itoa(pg.retry)}
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		h["Connection"] = []string{"close"} // the rest of the body is not wanted
	}
	var body []byte
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, "text/html"):
		h["Content-Type"] = []string{"text/html; charset=utf-8"}
		h["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'unsafe-inline'"}
		var b strings.Builder
		_ = pageHTML.Execute(&b, struct {
			Title, Text, Host, ID string
			Status, Retry         int
		}{pg.title, pg.text, hostOf(r.Host), x.id(), pg.status, pg.retry})
		body = []byte(b.String())
	case strings.Contains(accept, "json"):
		h["Content-Type"] = []string{"application/problem+json"}
		body, _ = json.Marshal(map[string]any{"title": pg.title, "status": pg.status, "detail": pg.text, "requestId": x.id()})
	default:
		h["Content-Type"] = []string{"text/plain; charset=utf-8"}
		body = fmt.Appendf(nil, "%s\n%s\nrequest %s\n", pg.title, pg.text, x.id())
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.status = pg.status
	w.WriteHeader(pg.status)
	if r.Method != http.MethodHead {
		n, _ := w.Write(body)
		x.bytes += int64(n)
	}
}
