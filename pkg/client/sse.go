package client

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pandabox/pandabox/pkg/api"
)

// message is one message of a stream of server-sent events.
type message struct {
	id    string // "" where the message has none
	event string
	data  string
}

// readEvents gives each message of r to yield until r ends (nil) or yield fails.
func readEvents(r io.Reader, yield func(message) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxRecord)
	var m message
	var data []string
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if len(data) > 0 {
				m.data = strings.Join(data, "\n")
				if err := yield(m); err != nil {
					return err
				}
			}
			m, data = message{}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			data = append(data, value)
		}
	}
	return lines.Err()
}

func (m message) decode() (api.Event, error) {
	var e api.Event
	if err := json.Unmarshal([]byte(m.data), &e); err != nil {
		return e, fmt.Errorf("reading an event: %w", err)
	}
	return e, nil
}

func (m message) problem() error {
	var p api.Problem
	if err := json.Unmarshal([]byte(m.data), &p); err != nil {
		return fmt.Errorf("reading a problem: %w", err)
	}
	return p.Err()
}
