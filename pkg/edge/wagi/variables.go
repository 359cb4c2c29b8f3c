//go:build linux

package wagi

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// variables returns the environment of a command: the request as RFC 3875 has it, and the function's own variables, which
// no header of a request can replace.
func variables(r *http.Request, own map[string]string) map[string]string {
	env := make(map[string]string, len(own)+len(r.Header)+20)
	for name, values := range r.Header {
		// A "Proxy" header would become HTTP_PROXY, which programs take for their proxy.
		if name == "Proxy" || !plain(name) {
			continue
		}
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		env["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = strings.Join(values, separator)
	}
	host, port := r.Host, "80"
	scheme := "http"
	if r.TLS != nil {
		scheme, port = "https", "443"
		env["HTTPS"] = "on"
	}
	if h, p, err := net.SplitHostPort(r.Host); err == nil {
		host, port = h, p
	}
	env["HTTP_HOST"] = r.Host
	env["GATEWAY_INTERFACE"] = "CGI/1.1"
	env["SERVER_SOFTWARE"] = "pandabox"
	env["SERVER_PROTOCOL"] = r.Proto
	env["SERVER_NAME"], env["SERVER_PORT"] = host, port
	env["REQUEST_METHOD"] = r.Method
	env["REQUEST_URI"] = r.URL.RequestURI()
	env["REQUEST_SCHEME"] = scheme
	env["SCRIPT_NAME"] = ""
	env["PATH_INFO"] = r.URL.Path
	env["QUERY_STRING"] = r.URL.RawQuery
	env["X_FULL_URL"] = scheme + "://" + r.Host + r.URL.RequestURI()
	if addr, port, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		env["REMOTE_ADDR"], env["REMOTE_HOST"], env["REMOTE_PORT"] = addr, addr, port
	}
	if t := r.Header.Get("Content-Type"); t != "" {
		env["CONTENT_TYPE"] = t
	}
	if r.ContentLength > 0 {
		env["CONTENT_LENGTH"] = strconv.FormatInt(r.ContentLength, 10)
	}
	for name, value := range own {
		env[name] = value
	}
	for name, value := range env {
		if strings.ContainsRune(value, 0) { // a variable ends at NUL
			env[name] = strings.ReplaceAll(value, "\x00", "")
		}
	}
	return env
}

// plain refuses names that would look like another header's variable: X_A and X-A.
func plain(name string) bool { return !strings.ContainsAny(name, "_=") }
