package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// newTun links the namespaces with two TUN devices. This process carries the packets
// from one to the other, so that it can harm packets even if the kernel has no netem.
func newTun(t *testing.T) *network {
	t.Helper()
	n := newNetwork(t)
	var now atomic.Pointer[impairment]
	now.Store(&impairment{})
	n.impair = func(i impairment) { now.Store(&i) }
	server, client := n.tun(n.server, "s"), n.tun(n.client, "c")
	n.up()
	var carriers sync.WaitGroup
	carriers.Go(func() { carry(server, client, &now, 1) }) // both end with the cleanup, which waits
	carriers.Go(func() { carry(client, server, &now, 2) })
	t.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
		carriers.Wait()
	})
	return n
}

// tun makes a device in a namespace, and returns a file to read and write its
// packets.
func (n *network) tun(ns, suffix string) *os.File {
	t := n.t
	t.Helper()
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no TUN devices: %v", err)
	}
	var request struct { // struct ifreq of <linux/if.h>
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	name := fmt.Sprintf("%s%d%s%d", prefix, os.Getpid()%1e6, suffix, networks.Load()%1e3)
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	request.flags = syscall.IFF_TUN | syscall.IFF_NO_PI
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		_ = syscall.Close(fd)
		t.Skipf("the kernel refuses a TUN device: %v", errno)
	}
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { _ = f.Close() }) // the device disappears with it
	n.run("ip", "link", "set", name, "netns", ns, "name", n.device)
	require.NotNil(t, f)
	return f
}

// carry carries packets from one device to the other, unless the impairment loses
// them.
func carry(from, to *os.File, now *atomic.Pointer[impairment], seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // must be repeatable
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		i := now.Load()
		if random.IntN(100) < i.lossPercent {
			continue
		}
		delay := time.Duration(i.delay-i.jitter+random.IntN(2*i.jitter+1)) * time.Millisecond
		if i.delay == 0 || random.IntN(100) < i.reordered {
			_, _ = to.Write(buf[:n])
			continue
		}
		packet := append([]byte(nil), buf[:n]...)
		time.AfterFunc(delay, func() { _, _ = to.Write(packet) }) // the device may be closed by then, which does no harm
	}
}
