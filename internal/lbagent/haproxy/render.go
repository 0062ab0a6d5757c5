package haproxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Settings is what a configuration file says apart from the plan.
type Settings struct {
	// Socket is where HAProxy shall listen for runtime commands.
	Socket string
	// StateFile is what a reload takes the health of servers from, and a start who is
	// doubtful.
	StateFile string
	// CADir is where the authorities of checks are kept, in files named after their
	// content.
	CADir string
	// User is whom workers run as; empty for whoever started HAProxy.
	User string
	// MaxConnections bounds the connections that a worker carries.
	MaxConnections int
	// HardStopAfter is how long connections may go on in a worker that was replaced.
	HardStopAfter time.Duration
	// MaxReloads is how many reloads such a worker may outlive.
	MaxReloads int
	// Listening tells whether to listen on a VIP; nil for always. Whoever holds VIPs
	// is the kernel's business where each load balancer has a kernel of its own. Where
	// several share one, those that do not hold a VIP must not take its connections.
	Listening func(vip netip.Addr) bool
}

// Rendering is a plan in HAProxy's words.
type Rendering struct {
	// Config is the configuration file.
	Config []byte
	// CAs are the files that it refers to, by path.
	CAs map[string]string
	// Shape identifies all that it says but its servers. HAProxies of one shape
	// differ only in what the runtime API can change.
	Shape string
	// Backends are the names of its backends.
	Backends map[string]bool
	// Servers are in the order of the file.
	Servers []Server
}

// Server is a backend of a frontend, in HAProxy's words.
type Server struct {
	ID
	Address netip.AddrPort
	// Weight is 1, or 0 while it drains: the one way to say so that a configuration
	// file and the runtime API share.
	Weight int
	// CheckPort is where it is checked, or 0 for its own port.
	CheckPort int32
	// Doubtful servers get nothing before their first good check: that they accept
	// connections does not mean that they can do anything with them.
	Doubtful bool
	// Options are the words after the address.
	Options []string
}

// ID is what HAProxy knows a server by.
type ID struct{ Backend, Name string }

// String returns the ID as commands take it.
func (id ID) String() string { return id.Backend + "/" + id.Name }

// Compare orders IDs.
func (id ID) Compare(other ID) int {
	return cmp.Or(strings.Compare(id.Backend, other.Backend), strings.Compare(id.Name, other.Name))
}

// IDOf derives names that no keyword and no name of HAProxy's own is like. A backend
// with another address is another server: a machine that was replaced must not keep the
// connections to its forerunner, nor may anything that was found out about that one be
// believed of it.
func IDOf(f lbapi.Frontend, b lbapi.Backend) ID {
	return ID{Backend: backendName(f), Name: "s:" + b.Name + ":" + b.Address}
}

func backendName(f lbapi.Frontend) string { return "be:" + f.Name }

// Render returns the plan in HAProxy's words: the same for the same plan. The zero
// plan renders to an HAProxy that listens nowhere.
func Render(s Settings, plan lbapi.Plan) (Rendering, error) {
	if !reflect.ValueOf(plan).IsZero() {
		if faults := lbapi.Validate(plan); len(faults) > 0 {
			return Rendering{}, fmt.Errorf("render plan of generation %d: %s", plan.Generation, faults)
		}
	}
	plan = lbapi.Canonical(plan)
	r := Rendering{CAs: map[string]string{}, Backends: map[string]bool{}}
	p := &page{}
	writeGlobal(p, s)
	writeDefaults(p)
	writeShare(p)
	for _, f := range plan.Frontends {
		ca := ""
		if f.Check.Kind == lbapi.CheckTLSReadyz {
			ca = filepath.Join(s.CADir, digest(f.Check.CA)+".pem")
			r.CAs[ca] = f.Check.CA
		}
		if err := r.writeFrontend(p, s, f, ca); err != nil {
			return Rendering{}, fmt.Errorf("render frontend %.80q: %w", f.Name, err)
		}
	}
	if p.err != nil {
		return Rendering{}, fmt.Errorf("render plan of generation %d: %w", plan.Generation, p.err)
	}
	r.Shape = digest(p.shape.String())
	// HAProxy shows its description, by which a running one is recognised.
	r.Config = []byte("# Written by capstan-lb, which replaces it at every change.\nglobal\n    description " + r.Shape + "\n" + p.all.String())
	return r, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func writeGlobal(p *page, s Settings) {
	p.line("log", "stdout", "format", "raw", "daemon", "notice")
	if s.User != "" {
		p.line("user", s.User)
	}
	p.line("maxconn", strconv.Itoa(s.MaxConnections))
	// HAProxy has an HTTP client, which only Lua and OCSP would use. Unless it is told
	// to verify nobody, it reads all authorities of the system at every start, reload
	// and check of a file: four fifths of the time that these take.
	p.line("httpclient.ssl.verify", "none")
	p.line("stats", "socket", s.Socket, "mode", "600", "level", "admin")
	p.line("stats", "timeout", "1m")
	p.line("server-state-file", s.StateFile)
	p.line("hard-stop-after", milliseconds(s.HardStopAfter))
	p.line("mworker-max-reloads", strconv.Itoa(s.MaxReloads))
	// Without this the first check of a server waits for a whole interval.
	p.line("max-spread-checks", "100")
	p.line("ssl-default-server-options", "ssl-min-ver", "TLSv1.2")
}

// writeDefaults lets idle connections live, for a watch may be silent for long, and
// has the kernel find out which of them have nobody at the other end.
func writeDefaults(p *page) {
	p.section("defaults")
	p.line("mode", "tcp")
	p.line("log", "global")
	p.line("load-server-state-from-file", "global")
	p.line("balance", "roundrobin")
	// Servers are near: one that has not answered by now has no power, and clients wait
	// while it is found out. The next one is tried. It cannot be less: checks have no more
	// time for connecting either, TLS included, and a server that is busy is not dead.
	p.line("timeout", "connect", "1s")
	p.line("timeout", "client", "1h")
	p.line("timeout", "server", "1h")
	p.line("timeout", "tunnel", "24h")
	p.line("timeout", "client-fin", "30s")
	p.line("timeout", "server-fin", "30s")
	for _, side := range []string{"cli", "srv"} {
		p.line("option", side+"tcpka")
		p.line(side+"tcpka-idle", "60s")
		p.line(side+"tcpka-intvl", "20s")
		p.line(side+"tcpka-cnt", "3")
	}
	p.line("option", "dontlognull")
	// Of connections only those are logged that ended badly: others are less than a notice.
	p.line("option", "tcplog")
	p.line("option", "log-separate-errors")
	// A connect that fails is tried at another server at once.
	p.line("option", "redispatch", "1")
	p.line("retries", "3")
}

func (r *Rendering) writeFrontend(p *page, s Settings, f lbapi.Frontend, ca string) error {
	vip, err := endpoint(f.VIP, f.Port)
	if err != nil {
		return err
	}
	if s.Listening == nil || s.Listening(vip.Addr()) {
		p.section("frontend", "fe:"+f.Name)
		if !isAPIServer(f) {
			p.line("maxconn", strconv.Itoa(s.mostOfOne()))
		}
		p.line("bind", written(vip))
		for _, source := range f.AllowedSources {
			p.line("acl", "allowed", "src", source)
		}
		if len(f.AllowedSources) > 0 {
			p.line("tcp-request", "connection", "reject", "unless", "allowed")
		}
		if !isAPIServer(f) {
			writeShared(p, s)
		}
		p.line("default_backend", backendName(f))
	}
	return r.writeBackend(p, f, ca)
}

func (r *Rendering) writeBackend(p *page, f lbapi.Frontend, ca string) error {
	// A server that is marked down keeps the connections that it has: its check may
	// be wrong about them.
	p.section("backend", backendName(f))
	r.Backends[backendName(f)] = true
	options := checkOptions(f.Check, ca)
	switch f.Check.Kind {
	case lbapi.CheckTLSReadyz:
		writeHTTPCheck(p, f.Check.Path, f.Check.ServerName)
	case lbapi.CheckHTTP:
		writeHTTPCheck(p, f.Check.Path, "localhost")
	case lbapi.CheckTCP:
	}
	p.line("timeout", "check", milliseconds(f.Check.Timeout))
	// What servers are checked by belongs to the shape, even while there are none.
	fmt.Fprintln(&p.shape, options)
	for _, b := range f.Backends {
		address, err := endpoint(b.Address, b.Port)
		if err != nil {
			return err
		}
		s := Server{
			ID: IDOf(f, b), Address: address, Weight: 1, CheckPort: f.Check.Port,
			Doubtful: f.Check.Kind != lbapi.CheckTCP, Options: options,
		}
		if b.Drain {
			s.Weight = 0
		}
		r.Servers = append(r.Servers, s)
		p.server(append([]string{"server", s.Name}, s.words(s.Weight)...)...)
	}
	return nil
}

// words are what comes after the server's name, in the file and in commands.
func (s Server) words(weight int) []string {
	return append([]string{written(s.Address), "weight", strconv.Itoa(weight)}, s.Options...)
}

func writeHTTPCheck(p *page, path, host string) {
	p.line("option", "httpchk")
	p.line("http-check", "send", "meth", "GET", "uri", path, "ver", "HTTP/1.1", "hdr", "Host", host)
	p.line("http-check", "expect", "status", "200")
}

// hurry has an API server that begins to fail asked again at once, and has a connection
// that it refuses count as much as all failed checks but one. One that restarts refuses
// for a second or two, and then has its kernel accept connections for some more before it
// does anything with them: by then it must be known to be down.
var hurry = []string{"fastinter", "250ms", "observe", "layer4", "error-limit", "1", "on-error", "sudden-death"}

func checkOptions(c lbapi.Check, ca string) []string {
	options := []string{
		"check", "inter", milliseconds(c.Interval),
		"rise", strconv.Itoa(int(c.Rise)), "fall", strconv.Itoa(int(c.Fall)),
	}
	switch c.Kind {
	case lbapi.CheckTLSReadyz:
		options = append(options, hurry...)
		options = append(options, "check-ssl", "check-sni", c.ServerName, "verify", "required", "verifyhost", c.ServerName, "ca-file", ca)
	case lbapi.CheckHTTP:
		options = append(options, "port", strconv.Itoa(int(c.Port)))
	case lbapi.CheckTCP:
	}
	return options
}

func endpoint(address string, port int32) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" || port < 1 || port > 65535 {
		return netip.AddrPort{}, fmt.Errorf("%.80q port %d is not an endpoint", address, port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), nil
}

// written names the family, so that no other kind of address can be meant.
func written(a netip.AddrPort) string {
	if a.Addr().Is4() {
		return "ipv4@" + a.String()
	}
	return "ipv6@" + a.String()
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }
