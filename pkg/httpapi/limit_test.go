package httpapi

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func from(addr string) *http.Request { return &http.Request{RemoteAddr: addr} }

func TestLimiterCountsByAddress(t *testing.T) {
	l := newLimiter(time.Hour, 2)
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
		if got := l.take(from(c.addr)); got != c.want {
			t.Errorf("%d: %s: got %v", i, c.addr, got)
		}
	}
	if !l.spent(from("192.0.2.1:9")) || l.spent(from("192.0.2.9:9")) {
		t.Error("spent is wrong")
	}
}

func TestLimiterForgetsTheLeastRecentlySeen(t *testing.T) {
	l := newLimiter(time.Hour, 1)
	l.take(from("192.0.2.1:1"))
	for i := range maxLimited * 2 {
		l.take(from(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)))
		if i%1000 == 0 && l.take(from("192.0.2.1:1")) {
			t.Fatal("an address that keeps trying was forgotten")
		}
	}
	if len(l.by) != maxLimited || l.order.Len() != maxLimited {
		t.Errorf("%d addresses are remembered", len(l.by))
	}
}
