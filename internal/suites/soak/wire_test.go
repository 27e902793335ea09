package soak_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// First bytes of a client's frames, and opcodes of a server's.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	fin            = 0x80
)

// wire is a client's socket after the upgrade: frames, and nothing that a client
// library would do by itself.
type wire struct {
	nc *net.TCPConn
	in *bufio.Reader

	partial   []byte // of the message under way
	inMessage bool

	mu sync.Mutex // held to write
}

// patience bounds every wait of a client for what must come.
const patience = time.Minute

func dialTCP(addr string, n int) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%200))}} // ports enough
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return nc.(*net.TCPConn), nil //nolint:forcetypeassert // as asked for
}

func upgradeRequest(addr, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, addr)
}

// dialWire connects client n. The wire is nil when the status is not 101.
func dialWire(addr string, n int, path string) (w *wire, status int, err error) {
	nc, err := dialTCP(addr, n)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if w == nil {
			_ = nc.Close()
		}
	}()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, 0, err
	}
	if _, err := nc.Write(upgradeRequest(addr, path)); err != nil {
		return nil, 0, err
	}
	in := bufio.NewReaderSize(nc, 1<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, 0, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, resp.StatusCode, nil
	}
	return &wire{nc: nc, in: in}, resp.StatusCode, nc.SetDeadline(time.Time{})
}

// next reads a whole message or a control frame.
func (w *wire) next() (op byte, payload []byte, err error) {
	for {
		first, payload, err := w.frame()
		if err != nil {
			return 0, nil, err
		}
		op = first &^ fin
		switch {
		case first&0x70 != 0 || first >= fin && op > opPong:
			return 0, nil, fmt.Errorf("a frame begins with %#x", first)
		case op >= opClose:
			return op, payload, nil
		case (op == opContinuation) != w.inMessage:
			return 0, nil, fmt.Errorf("a fragment begins with %#x", first)
		}
		w.inMessage = true
		if first < fin {
			w.partial = append(w.partial, payload...)
			continue
		}
		if w.partial != nil {
			payload = append(w.partial, payload...)
		}
		w.partial, w.inMessage = nil, false
		return opText, payload, nil
	}
}

func (w *wire) frame() (first byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(w.in, head[:2]); err != nil {
		return 0, nil, err // io.EOF only between two frames
	}
	first = head[0]
	length := uint64(head[1])
	switch {
	case length >= 0x80:
		return 0, nil, errors.New("a frame of the server is masked")
	case length == 126:
		_, err = io.ReadFull(w.in, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:]))
	case length == 127:
		_, err = io.ReadFull(w.in, head[:8])
		length = binary.BigEndian.Uint64(head[:])
	}
	if err != nil || length > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes: %w", length, errors.Join(err, io.ErrUnexpectedEOF))
	}
	payload = make([]byte, length)
	if _, err = io.ReadFull(w.in, payload); err != nil {
		return 0, nil, fmt.Errorf("within a frame: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return first, payload, nil
}

// appendFrame appends a client's frame, masked.
func appendFrame(dst []byte, first byte, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, first, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, first, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, 0x80|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, byte(len(payload))}
	dst = append(dst, key[:]...)
	for n, b := range payload {
		dst = append(dst, b^key[n%4])
	}
	return dst
}

// appendClose appends a Close frame; code 1005 is one without a code.
func appendClose(dst []byte, code int, reason string) []byte {
	if code == 1005 {
		return appendFrame(dst, fin|opClose, nil)
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return appendFrame(dst, fin|opClose, append(payload, reason...))
}

// closeOf reads the payload of a Close frame.
func closeOf(payload []byte) (code int, reason string) {
	if len(payload) < 2 {
		return 1005, ""
	}
	return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
}

// expectEnd reads the end of the stream behind a Close frame.
func (w *wire) expectEnd() error {
	switch b, err := w.in.ReadByte(); {
	case err == nil:
		return fmt.Errorf("byte %#x behind the Close frame", b)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("behind the Close frame: %w", err)
	}
	return nil
}
