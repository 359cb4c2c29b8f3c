package model

import (
	"strings"
	"testing"
	"time"
)

func TestRouteLimits(t *testing.T) {
	many := map[string]string{}
	for i := range MaxHeaders + 1 {
		many["X-"+strings.Repeat("a", i+1)] = ""
	}
	for name, c := range map[string]struct {
		limits RouteLimits
		ok     bool
	}{
		"none":        {RouteLimits{}, true},
		"all":         {RouteLimits{MaxBody: -1, Timeout: Duration(time.Second), Headers: map[string]string{"X-Frame-Options": "DENY"}}, true},
		"body":        {RouteLimits{MaxBody: -2}, false},
		"timeout":     {RouteLimits{Timeout: MaxGrace + 1}, false},
		"header name": {RouteLimits{Headers: map[string]string{"X Y": "z"}}, false},
		"line break":  {RouteLimits{Headers: map[string]string{"X": "a\r\nSet-Cookie: b"}}, false},
		"many":        {RouteLimits{Headers: many}, false},
	} {
		if err := (Process{Name: "web", HTTP: c.limits}).Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
