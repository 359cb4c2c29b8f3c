package web

import (
	"testing"

	"github.com/nlnwa/whatwg-url/url"
	"pgregory.net/rapid"
)

func TestOffsets(t *testing.T) {
	for href, want := range map[string][8]int{
		"http://example.com/":                {5, 7, 7, 7, 18, 18, 19, 19},
		"https://user:pass@a.b:81/c?d#e":     {6, 12, 17, 18, 21, 24, 26, 28},
		"https://user@a.b/":                  {6, 12, 12, 13, 16, 16, 17, 17},
		"http://[::1]:8080/a?@:":             {5, 7, 7, 7, 12, 17, 19, 22},
		"mailto:a@b?c":                       {7, 7, 7, 7, 7, 7, 10, 12},
		"web+demo:/.//not-a-host/":           {9, 9, 9, 9, 9, 11, 24, 24},
		"file:///etc/passwd":                 {5, 7, 7, 7, 7, 7, 18, 18},
		"data:text/plain,http://a:b@c/d?e#f": {5, 5, 5, 5, 5, 5, 30, 32},
	} {
		if got := offsets(href); got != want {
			t.Errorf("%s: got %v, want %v", href, got, want)
		}
	}
}

// The parts found by offset are those the parser knows.
func TestOffsetsAgreeWithTheParser(t *testing.T) {
	parser := url.NewParser()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(https?|ftp|x|file|mailto):(//)?([a-z:]*@)?[a-z0-9.\[\]:]*(/[a-z./:@]*)?(\?[a-z?/:@#]*)?(#[a-z#?]*)?`).Draw(t, "url")
		u, err := parser.Parse(text)
		if err != nil {
			return
		}
		href := u.Href(false)
		o := offsets(href)
		if got := href[o[3]:o[4]]; got != u.Hostname() {
			t.Fatalf("%s: host %q, want %q", href, got, u.Hostname())
		}
		if got := href[o[5]:o[6]]; got != u.Pathname() {
			t.Fatalf("%s: path %q, want %q", href, got, u.Pathname())
		}
		if got := href[o[0]:]; got == "" && u.Pathname() != "" {
			t.Fatalf("%s: scheme", href)
		}
	})
}
