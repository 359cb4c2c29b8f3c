package model

import (
	"regexp"
	"strings"
	"time"
)

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Bounds of variables. Linux passes at most 128 KiB in one variable.
const (
	MaxVariables     = 500
	MaxVariableValue = 64 << 10 // bytes
)

// Config is one version of a workload's variables. It never changes: setting a variable makes the next version.
type Config struct {
	WorkloadID string              `json:"workloadId"`
	Version    int                 `json:"version"` // 1, 2, 3 …
	Variables  map[string]Variable `json:"variables"`
	CreatedAt  time.Time           `json:"createdAt"`
}

// Variable is one piece of configuration. Its value is stored sealed and opened only where a container is made, or,
// unless it is a secret, for somebody allowed to read it.
type Variable struct {
	Sealed   []byte `json:"sealed"`
	Secret   bool   `json:"secret,omitempty"`   // write-only
	Declared bool   `json:"declared,omitempty"` // came with a deploy, from the app's own file: the next deploy may replace it
}

// CheckVariable refuses a name or a value no process could be given.
func CheckVariable(name, value string) error {
	switch {
	case !variableForm.MatchString(name):
		return Invalid("%q is not a variable name", name).WithHint("use letters, digits and _, not beginning with a digit")
	case strings.HasPrefix(name, "PANDABOX_"):
		return Invalid("%s is set by pandabox itself", name).WithHint("choose a name without the prefix PANDABOX_")
	case len(value) > MaxVariableValue:
		return Errorf(KindTooLarge, "%s is %d bytes long", name, len(value)).WithHint("at most %d bytes fit; put larger data in a volume", MaxVariableValue)
	case strings.ContainsRune(value, 0):
		return Invalid("%s holds a NUL byte", name)
	}
	return nil
}
