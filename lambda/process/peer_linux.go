package process

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// sameUser reports whether the user of this program, or root, has opened the connection
// from peer to local: the kernel lists the sockets of all connections with their users. If
// the list cannot be read, it reports true.
func sameUser(peer, local net.Addr) bool {
	known := false
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		list, err := os.Open(name)
		if err != nil {
			continue
		}
		known = true
		uid, found := userOf(bufio.NewScanner(list), kernelAddress(peer), kernelAddress(local))
		_ = list.Close()
		if found {
			return uid == "0" || uid == strconv.Itoa(os.Geteuid())
		}
	}
	return !known
}

// userOf finds the user of a socket in a list of the kernel. An IPv4 address is the end of
// an IPv6 address there.
func userOf(list *bufio.Scanner, from, to string) (uid string, found bool) {
	for list.Scan() {
		if !strings.Contains(list.Text(), from) {
			continue
		}
		const localAddress, remoteAddress, user = 1, 2, 7
		fields := strings.Fields(list.Text())
		if len(fields) > user && strings.HasSuffix(fields[localAddress], from) && strings.HasSuffix(fields[remoteAddress], to) {
			return fields[user], true
		}
	}
	return "", false
}

// kernelAddress writes an address as the kernel does: 0100007F:1F90 for 127.0.0.1:8080.
func kernelAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return "?"
	}
	ip := tcp.IP.To4()
	if ip == nil {
		return "?"
	}
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip), tcp.Port)
}
