package demoenv

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// ListenersOn are the names of the programs on this machine that listen on an IPv4
// address and port of TCP, as the kernel tells them.
func ListenersOn(at netip.AddrPort) ([]string, error) {
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return nil, fmt.Errorf("looking who listens on %s: %w", at, err)
	}
	defer table.Close()
	sockets, err := listening(table, at)
	if err != nil {
		return nil, fmt.Errorf("looking who listens on %s: %w", at, err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, fmt.Errorf("looking who listens on %s: %w", at, err)
	}
	var programs []string
	seen := map[string]bool{}
	for _, file := range files {
		// What has ended meanwhile listens no more.
		socket, err := os.Readlink(file)
		process := filepath.Dir(filepath.Dir(file))
		if err != nil || !sockets[socket] || seen[process] {
			continue
		}
		seen[process] = true
		if name, err := os.ReadFile(filepath.Join(process, "comm")); err == nil {
			programs = append(programs, strings.TrimSpace(string(name)))
		}
	}
	return programs, nil
}

// listenState is TCP_LISTEN in the kernel's table.
const listenState = "0A"

// listening are the sockets in the kernel's table that listen on an address, as
// processes' files name them.
func listening(table io.Reader, at netip.AddrPort) (map[string]bool, error) {
	address := at.Addr().As4()
	// The table has addresses as words of this machine, and ports as numbers.
	word := make([]byte, 4)
	binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(address[:]))
	wanted := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(word)), at.Port())
	sockets := map[string]bool{}
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[1] == wanted && fields[3] == listenState {
			sockets["socket:["+fields[9]+"]"] = true
		}
	}
	return sockets, lines.Err()
}
