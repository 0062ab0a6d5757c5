package demoenv

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// ListenersOn are the names of the programs on this machine that listen on an IPv4
// address and port of TCP, as the kernel tells them. They may be in network namespaces
// of their own, as load-balancer VMs are.
func ListenersOn(at netip.AddrPort) ([]string, error) {
	sockets, err := listeningAnywhere(at)
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

// listeningAnywhere asks a table of each network namespace that a process is in.
func listeningAnywhere(at netip.AddrPort) (map[string]bool, error) {
	spaces, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	sockets, asked := map[string]bool{}, map[string]bool{}
	for _, space := range spaces {
		// Who has ended meanwhile tells nothing; others may be where it was.
		name, err := os.Readlink(space)
		if err != nil || asked[name] {
			continue
		}
		table, err := os.Open(filepath.Join(filepath.Dir(filepath.Dir(space)), "net", "tcp"))
		if err != nil {
			continue
		}
		found, err := listening(table, at)
		if err := errors.Join(err, table.Close()); err != nil {
			return nil, err
		}
		asked[name] = true
		maps.Copy(sockets, found)
	}
	return sockets, nil
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
