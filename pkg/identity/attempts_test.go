package identity

import (
	"fmt"
	"testing"
	"time"
)

func TestAttemptsCountByAddress(t *testing.T) {
	a := NewAttempts(time.Hour, 2)
	for i, c := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1:1000", true},
		{"192.0.2.1:2000", true},
		{"192.0.2.1:3000", false},
		{"[::ffff:192.0.2.1]:1", false}, // the same, seen through IPv6
		{"192.0.2.2:1000", true},
		{"[2001:db8::1]:1", true},
		{"[2001:db8::2]:1", true}, // one household
		{"[2001:db8::3]:1", false},
		{"[2001:db8:0:1::1]:1", true},
	} {
		if got := a.Take(c.addr, ""); got != c.want {
			t.Errorf("%d: %s: got %v", i, c.addr, got)
		}
	}
	if !a.Spent("192.0.2.1:9", "") || a.Spent("192.0.2.9:9", "") {
		t.Error("Spent is wrong")
	}
	if !a.Take("192.0.2.1:1", "something else") {
		t.Error("what is tried does not count by itself")
	}
}

func TestAttemptsForgetTheLeastRecentlySeen(t *testing.T) {
	a := NewAttempts(time.Hour, 1)
	a.Take("192.0.2.1:1", "")
	for i := range maxAttempts * 2 {
		a.Take(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), "")
		if i%1000 == 0 && a.Take("192.0.2.1:1", "") {
			t.Fatal("an address that keeps trying was forgotten")
		}
	}
	if len(a.by) != maxAttempts || a.order.Len() != maxAttempts {
		t.Errorf("%d addresses are remembered", len(a.by))
	}
}
