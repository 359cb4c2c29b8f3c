// Command app is what the benchmarks deploy: it answers with eleven bytes, and can tell which of its kind it is and
// how long after its first good health check the first request came.
package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// app measures itself: healthy is when it first said so, swapped how long after that the first request arrived.
type app struct {
	id      string
	healthy time.Time
	swapped time.Duration
	up, in  sync.Once
	mu      sync.Mutex
}

func main() {
	a := &app{id: fmt.Sprintf("%08x", rand.Uint32())}
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, _ *http.Request) {
		a.up.Do(func() { a.mu.Lock(); a.healthy = time.Now(); a.mu.Unlock() })
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello world") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond)
		_, _ = io.WriteString(w, "slow")
	})
	// who answers "ID NANOSECONDS": which replica this is, and its time from healthy to the first request.
	mux.HandleFunc("/who", func(w http.ResponseWriter, _ *http.Request) {
		a.in.Do(func() { a.mu.Lock(); a.swapped = time.Since(a.healthy); a.mu.Unlock() })
		a.mu.Lock()
		defer a.mu.Unlock()
		_, _ = fmt.Fprintf(w, "%s %d", a.id, a.swapped)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	srv := &http.Server{Addr: ":" + port, Handler: mux}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		_ = srv.Close()
	}()
	if err := srv.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
