package haproxy

import (
	"strconv"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// shareTable counts the connections of all frontends that share.
const shareTable = "st:shared"

// mostShared is how many connections the frontends that are no API server's may have
// together. The API server alone can have the rest, and whatever they leave.
func (s Settings) mostShared() int { return max(s.MaxConnections*3/4, 1) }

// mostOfOne is how many of them one frontend may have. More wait in the kernel until
// some end.
func (s Settings) mostOfOne() int { return max(s.MaxConnections/2, 1) }

// isAPIServer goes by the check, for names are the manager's business: nothing else is
// asked in this way.
func isAPIServer(f lbapi.Frontend) bool { return f.Check.Kind == lbapi.CheckTLSReadyz }

// writeShare has a table with one row. Limits of single frontends would have to be tiny
// to mean anything for the sum of hundreds; a table counts them all, and stays as it is
// when frontends come and go.
func writeShare(p *page) {
	p.section("backend", shareTable)
	p.line("stick-table", "type", "integer", "size", "1", "store", "conn_cur")
}

// writeShared counts a connection among those that share, and turns it away if they are
// too many.
func writeShared(p *page, s Settings) {
	p.line("tcp-request", "connection", "track-sc0", "always_true", "table", shareTable)
	p.line("acl", "crowded", "sc0_conn_cur", "gt", strconv.Itoa(s.mostShared()))
	p.line("tcp-request", "connection", "reject", "if", "crowded")
}
