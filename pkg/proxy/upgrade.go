package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// upgrade forwards a request that wants to switch protocols, such as to WebSocket, over a connection of its own.
func (x *exchange) upgrade(b *backend) (retry bool) {
	want := upgradeOf(x.r.Header)
	u, err := b.get(x.r.Context(), true)
	if err != nil {
		return x.refused(b, err)
	}
	defer b.drop(u)
	head := x.appendHeader(nil)
	head = head[:len(head)-2] // reopen it
	head = append(head, "Connection: Upgrade\r\n"...)
	head = append(appendField(head, "Upgrade", want), '\r', '\n')
	u.expect(x.route.timeout)
	if _, err := u.nc.Write(head); err != nil {
		x.fail(errors.Join(errNoAnswer, err))
		return false
	}
	u.switching = true
	res, err := x.readHeader(u)
	u.deadline.Store(0)
	switch {
	case err != nil:
		x.fail(err)
		return false
	case res.StatusCode != http.StatusSwitchingProtocols: // refused: an answer like any other
		if err := x.answer(u, res); err != nil {
			x.fail(err)
		}
		return false
	case !strings.EqualFold(upgradeOf(res.Header), want):
		x.fail(errors.New("the replica switched to another protocol"))
		return false
	}
	x.tunnel(u, res)
	return false
}

// tunnel answers 101 and copies both ways until either end closes.
func (x *exchange) tunnel(u *upstream, res *http.Response) {
	client, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.fail(err)
		return
	}
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Time{})
	x.status = http.StatusSwitchingProtocols
	if err := x.writeSwitch(rw.Writer, res); err != nil {
		return
	}
	// sweep watches the request's context no longer: after hijacking it says nothing about the client
	u.b.mu.Lock()
	u.gone = nil
	u.b.mu.Unlock()

	ended := make(chan struct{}, 2)
	go func() {
		n, _ := io.Copy(client, u.br)
		x.bytes = n
		closeWrite(client)
		ended <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(u.nc, rw.Reader)
		closeWrite(u.nc)
		ended <- struct{}{}
	}()
	<-ended
	linger := time.NewTimer(tunnelLinger)
	defer linger.Stop()
	if u.why.Load() == nil {
		select {
		case <-ended:
			return
		case <-linger.C:
		}
	}
	_ = client.Close()
	_ = u.nc.Close()
	<-ended
}

// tunnelLinger bounds how long the other direction may go on after one has ended.
const tunnelLinger = 10 * time.Second

// writeSwitch sends the replica's 101 on.
func (x *exchange) writeSwitch(w *bufio.Writer, res *http.Response) error {
	h := x.w.Header().Clone()
	drop := connectionTokens(res.Header)
	delete(drop, "Upgrade")
	for k, v := range res.Header {
		if (!hopByHop(k) || k == "Upgrade") && !drop[k] {
			h[k] = v
		}
	}
	h["Connection"] = []string{"Upgrade"}
	if _, err := w.WriteString("HTTP/1.1 101 Switching Protocols\r\n"); err != nil {
		return err
	}
	if err := h.Write(w); err != nil {
		return err
	}
	if _, err := w.WriteString("\r\n"); err != nil {
		return err
	}
	return w.Flush()
}

func closeWrite(c net.Conn) {
	if cw, ok := c.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
	}
}
