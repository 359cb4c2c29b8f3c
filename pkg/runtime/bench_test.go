package runtime_test

import (
	"net"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// BenchmarkStart measures from Start to the first TCP answer, and BenchmarkRemove the end of a container.
func BenchmarkStart(b *testing.B) {
	cfg := boxtest.Config(b)
	r := boxtest.Start(b, cfg)
	img := boxtest.Import(b, r, runtimetest.Image(b, runtimetest.ImageSpec{}))
	var started, answered, removed time.Duration
	for b.Loop() {
		began := time.Now()
		c, err := r.Start(b.Context(), boxtest.Spec(img, 1))
		if err != nil {
			b.Fatal(err)
		}
		started += time.Since(began)
		for {
			conn, err := net.Dial("tcp", c.Addr.String()+":8080")
			if err == nil {
				_ = conn.Close()
				break
			}
			time.Sleep(time.Millisecond)
		}
		answered += time.Since(began)
		began = time.Now()
		if err := r.Remove(b.Context(), c.Name, time.Second); err != nil {
			b.Fatal(err)
		}
		removed += time.Since(began)
	}
	b.ReportMetric(float64(started.Milliseconds())/float64(b.N), "start-ms")
	b.ReportMetric(float64(answered.Milliseconds())/float64(b.N), "answer-ms")
	b.ReportMetric(float64(removed.Milliseconds())/float64(b.N), "remove-ms")
}
