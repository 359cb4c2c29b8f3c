package model

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"regexp"
	"strings"
	"time"
)

var (
	lowerBase32 = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	nameForm    = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
)

// MaxName is the greatest length of an org's, project's, environment's, app's or process's name. Two names and a dash
// still fit a DNS label of 63.
const MaxName = 40

// NewID returns a fresh identifier: a prefix of the noun, a dash, and 20 characters of time (milliseconds) and chance,
// so that identifiers of one noun sort by age. They fit file names, DNS labels and containerd identifiers.
func NewID(prefix string, now time.Time) string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // crypto/rand.Read never fails
	return prefix + "-" + lowerBase32.EncodeToString(b[:])
}

// TimeOfID returns the moment that NewID was given, in milliseconds; the zero time where id is none of NewID's.
func TimeOfID(id string) time.Time {
	raw, err := lowerBase32.DecodeString(id[strings.LastIndexByte(id, '-')+1:])
	if err != nil || len(raw) != 12 {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(raw) >> 16)).UTC()
}

// CheckName refuses a name that is not 1 to MaxName characters of a–z, 0–9 and dashes, beginning with a letter and
// not ending in a dash. noun is used in the message only.
func CheckName(noun, name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	e := Invalid("%q is not a name for %s %s", name, article(noun), noun).
		WithWhy("a name is 1 to %d characters of a-z, 0-9 and -, begins with a letter and does not end in -", MaxName)
	if s := Slug(name); s != "" {
		e = e.WithHint("use %q", s)
	}
	return e
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an"
	}
	return "a"
}

// Slug makes a valid name of any text, or "" when nothing usable is left.
func Slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z', b.Len() > 0 && r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := b.String()
	if len(out) > MaxName {
		out = out[:MaxName]
	}
	return strings.TrimRight(out, "-")
}
