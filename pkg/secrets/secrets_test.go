package secrets

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

func newRing(t *testing.T) *Keyring {
	t.Helper()
	k, err := Create(filepath.Join(t.TempDir(), "keys", "master"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedValuesOpenOnlyInTheirPlace(t *testing.T) {
	k := newRing(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		place := rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "place")
		other := rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "other")
		sealed, err := k.Seal(plain, place...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(sealed, place...); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened %q, %v", got, err)
		}
		if len(plain) > 3 && bytes.Contains(sealed, plain) {
			t.Fatal("the value can be read in its sealed form")
		}
		if strings.Join(place, "\x00|") != strings.Join(other, "\x00|") || len(place) != len(other) {
			if _, err := k.Open(sealed, other...); !errors.Is(err, ErrWrong) {
				t.Fatalf("opened in another place: %v", err)
			}
		}
	})
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	k := newRing(t)
	sealed, err := k.Seal([]byte("hush"), "workload", "NAME")
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if got, err := k.Open(bad, "workload", "NAME"); err == nil {
			t.Fatalf("byte %d changed, yet it opened as %q", i, got)
		}
	}
	for n := range sealed {
		if _, err := k.Open(sealed[:n], "workload", "NAME"); err == nil {
			t.Fatalf("cut to %d bytes, yet it opened", n)
		}
	}
}

func TestSealingTwiceDiffers(t *testing.T) {
	k := newRing(t)
	a, _ := k.Seal([]byte("x"))
	b, _ := k.Seal([]byte("x"))
	if bytes.Equal(a, b) {
		t.Fatal("equal values are sealed alike")
	}
}

func TestRotation(t *testing.T) {
	k := newRing(t)
	old, err := k.Seal([]byte("hush"), "p")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	k, err = Load(k.path)
	if err != nil || k.Version() != 2 {
		t.Fatalf("version %d, %v", k.Version(), err)
	}
	moved, did, err := k.Rewrap(old, "p")
	if err != nil || !did {
		t.Fatalf("did %v, %v", did, err)
	}
	if _, again, err := k.Rewrap(moved, "p"); err != nil || again {
		t.Fatalf("rewrapped twice: %v, %v", again, err)
	}
	for _, sealed := range [][]byte{old, moved} {
		if got, err := k.Open(sealed, "p"); err != nil || string(got) != "hush" {
			t.Fatalf("opened %q, %v", got, err)
		}
	}
	first, err := Parse(bytes.Join(bytes.SplitAfter(k.Bytes(), []byte("\n"))[:2], nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Open(moved, "p"); !errors.Is(err, ErrKeyMissing) {
		t.Fatalf("a value of a newer key: %v", err)
	}
	if _, _, err := k.Rewrap(old, "q"); !errors.Is(err, ErrWrong) {
		t.Fatalf("rewrapped for another place: %v", err)
	}
}

func TestAnotherBoxCannotOpen(t *testing.T) {
	sealed, err := newRing(t).Seal([]byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRing(t).Open(sealed); !errors.Is(err, ErrWrong) {
		t.Fatalf("got %v", err)
	}
}

func TestTheKeyFile(t *testing.T) {
	k := newRing(t)
	info, err := os.Stat(k.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Create(k.path); err == nil {
		t.Fatal("a key file was replaced")
	}
	good := string(k.Bytes())
	for name, content := range map[string]string{
		"empty":       "",
		"other":       "hello\n" + good,
		"no key":      keyFileHead,
		"short key":   keyFileHead + "1 aGVsbG8=\n",
		"version gap": strings.Replace(good, "\n1 ", "\n2 ", 1),
		"cut":         good[:len(good)-10],
	} {
		if err := os.WriteFile(k.path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(k.path)
		var e *model.Error
		if !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = Load(k.path + ".not-there")
	var e *model.Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "backup") {
		t.Errorf("missing: %v", err)
	}
}
