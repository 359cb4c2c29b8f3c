package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// What containerd takes for an id, and its greatest length.
var idForm = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$`)

const maxID = 76

// idOf returns the id of a container in containerd and runc: its name, or what is left of one that is too long or has
// two dashes in a row, told apart from others by a hash.
func idOf(name string) string {
	if idForm.MatchString(name) && len(name) <= maxID {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	words := strings.FieldsFunc(name, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') })
	head := strings.Join(words, "-")
	return strings.TrimRight(head[:min(len(head), maxID-17)], "-") + "-" + hex.EncodeToString(sum[:8])
}
