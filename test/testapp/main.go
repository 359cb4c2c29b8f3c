// Command testapp is the app the end-to-end tests deploy: its environment and its requests make it behave well or badly.
//
//	VERSION   what / answers with
//	MODE      exit: print and exit with 3; deaf: never listen; sick: /up answers 500; stubborn: ignore SIGTERM;
//	          eat: take memory without end
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	args := strings.Join(os.Args[1:], " ")
	switch {
	case args == "release":
		log.Printf("migrated to %s", os.Getenv("VERSION"))
		if os.Getenv("MODE") == "badrelease" {
			log.Fatal("migration failed: no such table")
		}
		return
	case args == "worker":
		log.Printf("working on %s", os.Getenv("VERSION"))
		wait()
		return
	case strings.HasPrefix(args, "echo "):
		fmt.Println(strings.TrimPrefix(args, "echo "))
		return
	case strings.HasPrefix(args, "exit "):
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case args == "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
		return
	}
	switch os.Getenv("MODE") {
	case "exit":
		_, _ = fmt.Fprintln(os.Stderr, "DATABASE_URL is not set")
		os.Exit(3)
	case "deaf":
		wait()
		return
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "eat":
		eat()
	}
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func wait() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	<-c
}

func eat() {
	var kept [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
		if len(kept)%1000 == 0 {
			log.Print(len(kept))
		}
	}
}

func serve() error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("MODE") == "sick" {
			http.Error(w, "sick", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", os.Getenv("PANDABOX_APP"), os.Getenv("VERSION"))
	})
	mux.HandleFunc("GET /env/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, os.Getenv(r.PathValue("name")))
	})
	mux.HandleFunc("GET /replica", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, os.Getenv("PANDABOX_REPLICA")) })
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { log.Print("crashing"); os.Exit(1) })
	mux.HandleFunc("POST /eat", func(http.ResponseWriter, *http.Request) { eat() })
	mux.HandleFunc("GET /slow/{ms}", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.PathValue("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		_, _ = fmt.Fprint(w, "slow")
	})
	mux.HandleFunc("POST /log/{rate}/{seconds}", flood)
	mux.HandleFunc("GET /fetch", func(w http.ResponseWriter, r *http.Request) {
		c := http.Client{Timeout: 3 * time.Second}
		res, err := c.Get(r.FormValue("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(w, res.Body)
	})
	mux.HandleFunc("PUT /storage/{name}", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if err := os.WriteFile("/storage/"+r.PathValue("name"), b, 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.Handle("GET /storage/", http.StripPrefix("/storage/", http.FileServer(http.Dir("/storage"))))
	log.Printf("listening on %s", os.Getenv("PORT"))
	s := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if os.Getenv("MODE") != "stubborn" {
		go func() { wait(); time.Sleep(50 * time.Millisecond); os.Exit(0) }()
	}
	return s.ListenAndServe()
}

// flood prints rate numbered lines a second.
func flood(w http.ResponseWriter, r *http.Request) {
	rate, _ := strconv.Atoi(r.PathValue("rate"))
	seconds, _ := strconv.Atoi(r.PathValue("seconds"))
	out := log.New(os.Stdout, "", 0)
	began := time.Now()
	for n := 0; n < rate*seconds; {
		for due := int(time.Since(began).Seconds() * float64(rate)); n < due && n < rate*seconds; n++ {
			out.Printf("line %d of a flood, long enough to be like a real one: GET /orders/%d 200 12ms", n, n)
		}
		time.Sleep(time.Millisecond)
	}
	_, _ = fmt.Fprint(w, "done")
}
