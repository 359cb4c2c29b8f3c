package daemon

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestASiteIsTakenAsItIsWritten(t *testing.T) {
	refusal := model.Invalid("the site has a device")
	lost := errors.New("BuildKit ended")
	tests := map[string]struct {
		writes  []string
		failure error
		refuse  bool // at the first byte
		site    string
		err     error
	}{
		"whole":                         {writes: []string{"ab", "cd"}, site: "abcd"},
		"empty":                         {site: "nothing"},
		"the build failed before":       {failure: lost, err: lost},
		"the build failed in the midst": {writes: []string{"ab"}, failure: lost, err: lost},
		"refused":                       {writes: []string{"ab", "cd"}, failure: lost, refuse: true, err: refusal},
		"refused, not noticed":          {writes: []string{"a"}, refuse: true, err: refusal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := false
			s := newSiteSink(func(r io.Reader) (*model.Static, error) {
				asked = true
				if tt.refuse {
					_, _ = r.Read(make([]byte, 1))
					return nil, refusal
				}
				b, err := io.ReadAll(r)
				if err != nil {
					return nil, model.Invalid("the archive cannot be read").Wrap(err)
				}
				if len(b) == 0 {
					b = []byte("nothing")
				}
				return &model.Static{Digest: string(b)}, nil
			})
			for _, text := range tt.writes {
				if n, err := io.Copy(s, strings.NewReader(text)); err != nil && (!tt.refuse || !errors.Is(err, refusal)) {
					t.Errorf("writing %q: %d, %v", text, n, err)
				}
			}
			site, err := s.end(tt.failure)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("it ended with %v, want %v", err, tt.err)
			}
			if err == nil && site.Digest != tt.site {
				t.Errorf("the site is %q", site.Digest)
			}
			if len(tt.writes) == 0 && tt.failure != nil && asked {
				t.Error("what was never written was taken")
			}
		})
	}
}
