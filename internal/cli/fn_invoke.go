package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// invocation is the command line of fn invoke.
type invocation struct {
	method, data string
	headers      []string
	hasData      bool
	include      bool
}

func (sh *shell) fnInvoke() *cobra.Command {
	var v invocation
	cmd := &cobra.Command{
		Use: "invoke [PATH]", Short: "Ask a function, past its domains and routes",
		Long: `Give the release that serves a request, through the API: that needs no DNS, no domain and no route. The body of its
answer goes to standard output as it comes.

-d sends a body, and POST unless -X says otherwise: the text itself, @FILE, or - for standard input.

The exit code is 0 where the function answered, with 404 too, and 1 where its status is 500 or more.`,
		Example: `  pandabox fn invoke '/greet?name=Ada'
  pandabox fn invoke /orders -d '{"item": "tea"}' -i
  pandabox fn invoke /upload -X PUT -H 'Content-Type: image/png' -d @cat.png`,
		Args: wants(0, 1, "pandabox fn invoke '/greet?name=Ada'"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.hasData = cmd.Flags().Changed("data")
			path := "/"
			if len(args) > 0 {
				path = args[0]
			}
			return sh.invoke(cmd.Context(), path, v)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&v.method, "method", "X", "", "the method (default: GET, or POST with -d)")
	f.StringArrayVarP(&v.headers, "header", "H", nil, "a header: 'Accept: text/html'; may be repeated")
	f.StringVarP(&v.data, "data", "d", "", "the body: a text, @FILE, or -")
	f.BoolVarP(&v.include, "include", "i", false, "print status and headers too")
	complete(cmd, "method", fixed("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
	return sh.aboutApp(cmd)
}

func (sh *shell) invoke(ctx context.Context, path string, v invocation) error {
	request, err := v.request(path)
	if err != nil {
		return err
	}
	body, err := sh.bodyOf(v, request.Headers)
	if err != nil {
		return err
	}
	if body != nil {
		defer func() { _ = body.Close() }()
	}
	c, ref, err := sh.at()
	if err != nil {
		return err
	}
	var send io.Reader // nil, and not a nil *os.File
	if body != nil {
		send = body
	}
	res, err := c.Invoke(ctx, ref, request, send)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if err := sh.printAnswer(res, v.include); err != nil {
		if interrupted(ctx, err) {
			return err
		}
		return model.Errorf(model.KindUnavailable, "the answer of %s is not whole", ref.App).Wrap(err).WithHint("see why: %s", hint("fn logs", ref))
	}
	if res.StatusCode >= http.StatusInternalServerError {
		return &exitError{ExitFailed, model.Errorf(model.KindUnavailable, "%s answered %s", ref.App, statusText(res.StatusCode)).WithHint("see why: %s", hint("fn logs", ref))}
	}
	return nil
}

func (v invocation) request(path string) (api.Invocation, error) {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	out := api.Invocation{Method: strings.ToUpper(v.method), Path: path, Headers: http.Header{}}
	if out.Method == "" {
		out.Method = http.MethodGet
		if v.hasData {
			out.Method = http.MethodPost
		}
	}
	for _, h := range v.headers {
		name, value, ok := strings.Cut(h, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return out, model.Invalid("%q is not a header", h).WithHint("for example: -H 'Accept: text/html'")
		}
		out.Headers.Add(name, value)
	}
	return out, nil
}

// bodyOf opens the body, nil for none, and says what type it is where headers does not.
func (sh *shell) bodyOf(v invocation, headers http.Header) (io.ReadCloser, error) {
	if !v.hasData {
		return nil, nil
	}
	kind := func(t string) {
		if headers.Get("Content-Type") == "" {
			headers.Set("Content-Type", t)
		}
	}
	file, isFile := strings.CutPrefix(v.data, "@")
	switch {
	case v.data == "-" || isFile && file == "-":
		if terminal(sh.in) != nil {
			sh.say("reading the body from the terminal; Ctrl-D ends it")
		}
		kind("application/octet-stream")
		return io.NopCloser(sh.in), nil
	case isFile:
		f, err := os.Open(sh.path(file))
		if err != nil {
			return nil, model.NotFound("%s cannot be read", file).Wrap(err).WithHint("a body that begins with @ names a file")
		}
		t := mime.TypeByExtension(filepath.Ext(file))
		if t == "" {
			t = "application/octet-stream"
		}
		kind(t)
		return f, nil
	case json.Valid([]byte(v.data)):
		kind("application/json")
	default:
		kind("text/plain; charset=utf-8")
	}
	return io.NopCloser(strings.NewReader(v.data)), nil
}

// printAnswer prints the body as it comes; the status and headers before it, or all as JSON, where that is asked for.
func (sh *shell) printAnswer(res *http.Response, include bool) error {
	if sh.json {
		return sh.printAnswerJSON(res)
	}
	if include {
		if err := sh.line("HTTP %s", statusText(res.StatusCode)); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(res.Header)) {
			for _, value := range res.Header[name] {
				if err := sh.line("%s: %s", name, value); err != nil {
					return err
				}
			}
		}
		if err := sh.line(""); err != nil {
			return err
		}
	}
	last := lastByte{w: sh.out}
	if _, err := io.Copy(&last, res.Body); err != nil {
		return err
	}
	if terminal(sh.out) != nil && last.b != '\n' && last.b != 0 {
		return sh.line("") // the prompt begins a line of its own
	}
	return nil
}

// invoked is an answer as JSON: Body where it is text, else Base64.
type invoked struct {
	api.Invoked
	Body   *string `json:"body,omitempty"`
	Base64 string  `json:"base64,omitempty"`
}

func (sh *shell) printAnswerJSON(res *http.Response) error {
	var b bytes.Buffer
	if _, err := io.Copy(&b, res.Body); err != nil {
		return err
	}
	out := invoked{Invoked: api.Invoked{Status: res.StatusCode, Headers: res.Header}}
	if text := b.String(); utf8.ValidString(text) {
		out.Body = &text
	} else {
		out.Base64 = base64.StdEncoding.EncodeToString(b.Bytes())
	}
	return sh.writeJSON(out)
}

// statusText writes "404 Not Found".
func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

// lastByte remembers the last byte written through it.
type lastByte struct {
	w io.Writer
	b byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if n > 0 {
		l.b = p[n-1]
	}
	return n, err
}
