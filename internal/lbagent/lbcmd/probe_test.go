package lbcmd_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/lbcmd"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

const (
	info = "Name: HAProxy\nVersion: 2.6.12\n"
	head = "# pxname,svname,scur,status,lastchg,check_status,last_chk,check_desc,\n"
)

// haproxy answers on a socket until the test ends, and returns the socket's path.
func haproxy(t *testing.T, answers map[string]string) string {
	t.Helper()
	g := NewWithT(t)
	// Sockets' paths may not be long.
	dir, err := os.MkdirTemp("", "lb")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(os.RemoveAll(dir)).To(Succeed()) })
	path := filepath.Join(dir, "s")
	if answers == nil {
		return path
	}
	listener, err := net.Listen("unix", path)
	g.Expect(err).NotTo(HaveOccurred())
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			command, _ := io.ReadAll(conn)
			_, _ = io.WriteString(conn, answers[strings.TrimSpace(string(command))])
			_ = conn.Close()
		}
	}()
	return path
}

func TestProbeTellsWhetherThisVMMayHoldVIPs(t *testing.T) {
	t.Parallel()
	const (
		up      = "be:web,s:a,0,UP,7,L4OK,,,\n"
		refuses = "be:web,s:b,0,DOWN,7,L4CON,Connection refused,,\n"
		failing = "be:web,s:b,0,DOWN,7,L7STS,,,\n"
		silent  = "be:web,s:c,0,DOWN,7,L4TOUT,,,\n"
		away    = "be:web,s:d,0,UP 2/3,7,* L4CON,No route to host,,\n"
		unasked = "be:web,s:e,0,UP,7,INI,,,\n"
	)
	// No host can have the first addresses, and here nobody listens on the last.
	nobody, refusing := []string{"224.0.0.1", "224.0.0.2"}, []string{"224.0.0.1", "127.0.0.1"}
	for name, tt := range map[string]struct {
		answers map[string]string
		peers   []string
		want    int
	}{
		"HAProxy answers":                          {map[string]string{"show info": info}, nil, 0},
		"nobody is there":                          {nil, nil, 1},
		"somebody else is there":                   {map[string]string{"show info": "Permission denied\n"}, nil, 1},
		"a peer is heard":                          {map[string]string{"show info": info, "show stat -1 4 -1": head + silent}, refusing, 0},
		"no peer and no server is heard":           {map[string]string{"show info": info, "show stat -1 4 -1": head + silent + away}, nobody, 1},
		"no server is heard, and there is no peer": {map[string]string{"show info": info, "show stat -1 4 -1": head + silent}, nil, 0},
		"a server is heard":                        {map[string]string{"show info": info, "show stat -1 4 -1": head + silent + up}, nobody, 0},
		"a server refuses":                         {map[string]string{"show info": info, "show stat -1 4 -1": head + silent + refuses}, nobody, 0},
		"a server is not well":                     {map[string]string{"show info": info, "show stat -1 4 -1": head + failing}, nobody, 0},
		"a server was not asked yet":               {map[string]string{"show info": info, "show stat -1 4 -1": head + silent + unasked}, nobody, 0},
		"there are no servers":                     {map[string]string{"show info": info, "show stat -1 4 -1": head}, nobody, 0},
		"HAProxy does not say":                     {map[string]string{"show info": info, "show stat -1 4 -1": "Permission denied\n"}, nobody, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr logtest.Text
			args := append([]string{"probe", haproxy(t, tt.answers)}, tt.peers...)
			NewWithT(t).Expect(lbcmd.Main(t.Context(), "capstan-lb", args, &stdout, &stderr)).To(Equal(tt.want), stderr.String())
		})
	}
}
