package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Running is a server as HAProxy has it.
type Running struct {
	ID
	Address netip.AddrPort
	Weight  int
	// Maintenance servers get nothing and are not checked.
	Maintenance bool
	// line is what HAProxy said of it.
	line []string
}

// Columns of a server's state, version 1.
const (
	colBackend   = 1
	colName      = 3
	colAddress   = 4
	colOperation = 5
	colAdmin     = 6
	colWeight    = 7
	colInitial   = 8
	colPort      = 18
	colCheckPort = 21
	columns      = 25
)

const stateHeader = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
	"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
	"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"

// unchecked is the line of a server that is down until a check says otherwise: be_id
// and srv_id are not looked at, names are.
const unchecked = "1 - 1 - - 0 0 1 1 0 1 2 0 6 0 0 0 - 0 - 0 0 - - 0"

// parseState reads the answer to "show servers state".
func parseState(text string) ([]Running, error) {
	version, rest, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n")
	if version != "1" {
		return nil, fmt.Errorf("state of servers is of version %.20q, want 1", version)
	}
	var servers []Running
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < columns {
			return nil, fmt.Errorf("state of a server has %d columns, want %d", len(fields), columns)
		}
		address, errAddress := netip.ParseAddr(fields[colAddress])
		port, errPort := strconv.ParseUint(fields[colPort], 10, 16)
		weight, errWeight := strconv.Atoi(fields[colWeight])
		admin, errAdmin := strconv.Atoi(fields[colAdmin])
		for _, err := range []error{errAddress, errPort, errWeight, errAdmin} {
			if err != nil {
				return nil, fmt.Errorf("state of server %.80q: %w", fields[colName], err)
			}
		}
		const maintenance = 0x01 | 0x02 | 0x04 | 0x20
		servers = append(servers, Running{
			ID: ID{Backend: fields[colBackend], Name: fields[colName]}, Address: netip.AddrPortFrom(address.Unmap(), uint16(port)),
			Weight: weight, Maintenance: admin&maintenance != 0, line: fields,
		})
	}
	return servers, nil
}

// forgetState has an HAProxy that starts know nothing of servers.
func (h *HAProxy) forgetState() error {
	if err := keepFile(h.opts.StateFile, stateHeader); err != nil {
		return fmt.Errorf("clear state of servers: %w", err)
	}
	return nil
}

// doubt has an HAProxy that starts with the file that is there, be it another day, take
// doubtful servers to be down until their first good check, as one does that runs when they
// are added: HAProxy would trust them.
func (h *HAProxy) doubt(servers []Server) error {
	state, err := stateFor(nil, servers)
	if err != nil {
		return err
	}
	if err := keepFile(h.opts.StateFile, state); err != nil {
		return fmt.Errorf("write which servers are not known: %w", err)
	}
	return nil
}

// stateFor returns the state file by which a reload learns the health of servers.
// HAProxy would take addresses, ports and weights from it, too, and prefer them to
// the configuration file: it says what the next servers shall have, and nothing of
// servers that will be elsewhere.
func stateFor(running []Running, next []Server) (string, error) {
	var text strings.Builder
	text.WriteString(stateHeader)
	now := byID(running)
	for _, s := range next {
		line := strings.Fields(unchecked)
		r, runs := now[s.ID]
		switch {
		case runs && s.checkedAs(r) && !r.Maintenance:
			line = slices.Clone(r.line)
		case !s.Doubtful:
			continue
		}
		line[colBackend], line[colName], line[colAddress] = s.Backend, s.Name, s.Address.Addr().String()
		line[colPort], line[colCheckPort] = strconv.Itoa(int(s.Address.Port())), strconv.Itoa(int(s.CheckPort))
		line[colWeight], line[colInitial], line[colAdmin] = strconv.Itoa(s.Weight), strconv.Itoa(s.Weight), "0"
		words, err := joined(line...)
		if err != nil {
			return "", err
		}
		text.WriteString(words + "\n")
	}
	return text.String(), nil
}
