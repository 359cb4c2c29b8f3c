package main

import (
	"errors"
	"strconv"

	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

// parse reads the arguments that logs.URI gives: pairs of a key and a value, in any order.
func parse(args []string) (dir string, name segment.Name, maxBytes int64, err error) {
	if len(args)%2 != 0 {
		return "", segment.Name{}, 0, errors.New("expected pairs of key and value; containerd starts this program")
	}
	var bad error
	number := func(key, value string) int64 {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			bad = errors.New(key + " is not a number: " + strconv.Quote(value))
		}
		return n
	}
	for i := 0; i < len(args); i += 2 {
		switch key, value := args[i], args[i+1]; key {
		case "dir":
			dir = value
		case "container":
			name.Container = value
		case "process":
			name.Process = value
		case "release":
			name.Release = int(number(key, value))
		case "index":
			name.Index = int(number(key, value))
		case "max":
			maxBytes = number(key, value)
		default:
			bad = errors.New("unknown key " + strconv.Quote(key))
		}
	}
	switch {
	case bad != nil:
		return "", segment.Name{}, 0, bad
	case dir == "" || maxBytes == 0:
		return "", segment.Name{}, 0, errors.New("dir and max are required")
	}
	return dir, name, maxBytes, name.Check()
}
