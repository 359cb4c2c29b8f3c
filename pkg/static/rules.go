package static

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/pandabox/pandabox/pkg/model"
)

// The most rules either file may have.
const (
	MaxRedirects   = 2000
	MaxHeaderRules = 200
)

// Redirect is one line of _redirects: FROM TO [STATUS[!]]. FROM may have :name for one segment and end in * for the
// rest, which TO takes up as :name and :splat.
type Redirect struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Status int    `json:"status"` // 200 answers with another file of the site, 301, 302, 303, 307, 308, 404
	Force  bool   `json:"force,omitempty"`
}

// HeaderRule is one block of _headers: a pattern as in Redirect.From, and what is set on every answer below it.
type HeaderRule struct {
	Path  string      `json:"path"`
	Set   http.Header `json:"set,omitempty"`
	Unset []string    `json:"unset,omitempty"`
}

// parseRedirects reads a _redirects file. What it does not know it refuses, with the line.
func parseRedirects(text string) ([]Redirect, error) {
	var out []Redirect
	line := 0
	for row := range strings.Lines(text) {
		line++
		if i := strings.IndexByte(row, '#'); i == 0 || i > 0 && (row[i-1] == ' ' || row[i-1] == '\t') {
			row = row[:i]
		}
		words := strings.Fields(row)
		if len(words) == 0 {
			continue
		}
		r, err := parseRedirect(words)
		if err != nil {
			err.What = redirectsFile + " line " + strconv.Itoa(line) + ": " + err.What
			return nil, err
		}
		if out = append(out, r); len(out) > MaxRedirects {
			return nil, model.Errorf(model.KindTooLarge, "%s has more than %d rules", redirectsFile, MaxRedirects).WithHint("use :splat to join rules")
		}
	}
	return out, nil
}

func parseRedirect(words []string) (Redirect, *model.Error) {
	if len(words) < 2 || len(words) > 3 {
		return Redirect{}, model.Invalid("%d words are no rule", len(words)).WithHint("write: /from /to 301")
	}
	r := Redirect{From: words[0], To: words[1], Status: http.StatusMovedPermanently}
	if len(words) == 3 {
		status, force := strings.CutSuffix(words[2], "!")
		n, err := strconv.Atoi(status)
		switch {
		case err != nil, n != 200 && n != 301 && n != 302 && n != 303 && n != 307 && n != 308 && n != 404:
			return r, model.Invalid("%q is not a status of a redirect", words[2]).WithHint("choose 200, 301, 302, 303, 307, 308 or 404; ! after it wins over files")
		}
		r.Status, r.Force = n, force
	}
	if err := checkPattern(r.From); err != nil {
		return r, err
	}
	inside := strings.HasPrefix(r.To, "/") && !strings.HasPrefix(r.To, "//")
	outside := strings.HasPrefix(r.To, "https://") || strings.HasPrefix(r.To, "http://")
	switch {
	case (r.Status == 200 || r.Status == 404) && !inside:
		return r, model.Invalid("%q is not a file of this site", r.To).WithHint("status %d answers with one of the site's own: /index.html", r.Status)
	case !inside && !outside:
		return r, model.Invalid("%q is neither a path nor an address", r.To).WithHint("begin with / or https://")
	case outside && !fixedHost(r.To):
		return r, model.Invalid("%q has no host of its own", r.To).WithHint("names like :splat stand behind the host: https://example.com/:splat")
	}
	return r, nil
}

// fixedHost tells whether nothing of a request can become part of an address's host.
func fixedHost(to string) bool {
	u, err := url.Parse(to)
	return err == nil && u.Host != "" && u.User == nil && strings.Trim(u.Port(), "0123456789") == "" && !strings.HasSuffix(u.Host, ":")
}

func checkPattern(p string) *model.Error {
	star := strings.IndexByte(p, '*')
	switch {
	case !strings.HasPrefix(p, "/"), len(p) > MaxPath:
		return model.Invalid("%q is not a path", p).WithHint("begin with /")
	case star >= 0 && star != len(p)-1, star > 0 && p[star-1] != '/':
		return model.Invalid("%q has a * within", p).WithHint("* stands at the end, behind a /")
	}
	return nil
}

// parseHeaders reads a _headers file: paths at the beginning of a line, "Name: value" or "! Name" indented below.
func parseHeaders(text string) ([]HeaderRule, error) {
	var out []HeaderRule
	line := 0
	fault := func(format string, args ...any) *model.Error {
		e := model.Invalid(format, args...)
		e.What = headersFile + " line " + strconv.Itoa(line) + ": " + e.What
		return e
	}
	for row := range strings.Lines(text) {
		line++
		row = strings.TrimRight(row, " \t\r\n")
		bare := strings.TrimSpace(row)
		switch {
		case bare == "" || bare[0] == '#':
		case row[0] != ' ' && row[0] != '\t':
			if err := checkPattern(bare); err != nil {
				return nil, fault("%s", err.What).WithHint("%s", err.Hint)
			}
			if out = append(out, HeaderRule{Path: bare, Set: http.Header{}}); len(out) > MaxHeaderRules {
				return nil, model.Errorf(model.KindTooLarge, "%s has more than %d paths", headersFile, MaxHeaderRules)
			}
		case len(out) == 0:
			return nil, fault("a header stands before the first path").WithHint("begin with a line like /*")
		default:
			last := &out[len(out)-1]
			if name, ok := strings.CutPrefix(bare, "!"); ok {
				last.Unset = append(last.Unset, http.CanonicalHeaderKey(strings.TrimSpace(name)))
				continue
			}
			name, value, ok := strings.Cut(bare, ":")
			value = strings.TrimSpace(value)
			if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || unsettable(name) {
				return nil, fault("%q is not a header", bare).WithHint("write Name: value; headers of the connection and of the body's form are not set here")
			}
			last.Set.Add(name, value)
		}
	}
	return out, nil
}

// unsettable tells whether a header belongs to how the answer is sent.
func unsettable(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Content-Length", "Content-Encoding", "Content-Range", "Transfer-Encoding", "Trailer", "Upgrade", "Keep-Alive", "Date", "Etag":
		return true
	}
	return false
}

// rules are the redirects that are asked together, those without names and * by their path.
type rules struct {
	all   []Redirect // in the order written
	exact map[string][]int
	open  []int // the others
}

func newRules(from []Redirect, force bool) rules {
	r := rules{exact: map[string][]int{}}
	for _, one := range from {
		if one.Force != force {
			continue
		}
		i := len(r.all)
		r.all = append(r.all, one)
		if strings.ContainsAny(one.From, "*:") {
			r.open = append(r.open, i)
		} else {
			r.exact[one.From] = append(r.exact[one.From], i)
		}
	}
	return r
}

func (r *rules) none() bool { return len(r.all) == 0 }

// each yields the rules that fit a path, in their order, until yield says no.
func (r *rules) each(p string, yield func(rule *Redirect, found map[string]string) bool) {
	if r.none() {
		return
	}
	some := r.exact[p]
	if bare, slash := strings.CutSuffix(p, "/"); slash && len(r.exact[bare]) > 0 { // /a takes /a/ too
		some = append(slices.Clone(some), r.exact[bare]...)
		slices.Sort(some)
	}
	open := r.open
	for len(some)+len(open) > 0 {
		from := &some
		if len(some) == 0 || len(open) > 0 && open[0] < some[0] {
			from = &open
		}
		rule := &r.all[(*from)[0]]
		*from = (*from)[1:]
		if found, ok := match(rule.From, p); ok && !yield(rule, found) {
			return
		}
	}
}

// match compares a path with a pattern and returns what its names and * stand for.
func match(pattern, p string) (map[string]string, bool) {
	var found map[string]string
	set := func(name, value string) {
		if found == nil {
			found = map[string]string{}
		}
		found[name] = value
	}
	for {
		want, wantRest, wantMore := strings.Cut(pattern, "/")
		if want == "*" && !wantMore {
			set("splat", p)
			return found, true
		}
		have, haveRest, haveMore := strings.Cut(p, "/")
		switch {
		case len(want) > 1 && want[0] == ':' && have != "":
			set(want[1:], have)
		case want != have:
			return nil, false
		}
		switch {
		case !wantMore && !haveMore, !wantMore && haveRest == "":
			return found, true
		case wantMore && !haveMore && wantRest == "*": // /docs/* takes /docs too
			set("splat", "")
			return found, true
		case wantMore != haveMore:
			return nil, false
		}
		pattern, p = wantRest, haveRest
	}
}

// expand puts what was found into a target.
func expand(to string, found map[string]string) string {
	if len(found) == 0 || !strings.Contains(to, ":") {
		return to
	}
	var b strings.Builder
	for i := 0; i < len(to); {
		if to[i] == ':' {
			j := i + 1
			for j < len(to) && (isLetter(rune(to[j])) || to[j] >= '0' && to[j] <= '9' || to[j] == '_') {
				j++
			}
			if v, ok := found[to[i+1:j]]; ok {
				b.WriteString(v)
				i = j
				continue
			}
		}
		b.WriteByte(to[i])
		i++
	}
	return b.String()
}
