package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// get requests a path of a host at addr over plain HTTP, on a connection of its own.
func get(ctx context.Context, addr, host, path string) (string, error) {
	c := newCaller(addr)
	defer c.CloseIdleConnections()
	return fetch(ctx, c, "http://"+host+path)
}

// newCaller returns a client that reaches every host at addr and keeps its connection.
func newCaller(addr string) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
	}}
}

// fetch returns the body of an answer; one that is not 200 is an error.
func fetch(ctx context.Context, c *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return string(body), fmt.Errorf("%s: %s", url, res.Status)
	}
	return string(body), nil
}
