package haproxy_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// The answers in this file are of HAProxy 2.6.12.
const serversState = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 be:api 1 s:cp-0 192.0.2.4 2 0 0 1 34 15 3 3 6 0 0 0 - 6443 - 0 0 - - 0
5 be:web 1 s:n-0 2001:db8::20 0 1 1 1 35 8 2 0 6 0 0 0 - 7100 - 0 7102 - - 7102

`

func at(address string) netip.AddrPort { return netip.MustParseAddrPort(address) }

func id(backend, name string) haproxy.ID { return haproxy.ID{Backend: backend, Name: name} }

func TestStateOfServersIsRead(t *testing.T) {
	g := NewWithT(t)
	servers, err := haproxy.ParseState(serversState)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(servers).To(HaveLen(2))
	g.Expect(servers[0]).To(And(HaveField("ID", id("be:api", "s:cp-0")), HaveField("Address", at("192.0.2.4:6443")), HaveField("Weight", 0), HaveField("Maintenance", false)))
	g.Expect(servers[1]).To(And(HaveField("ID", id("be:web", "s:n-0")), HaveField("Address", at("[2001:db8::20]:7100")), HaveField("Weight", 1), HaveField("Maintenance", true)))
}

func TestStateThatCannotBeReadIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"other version": strings.Replace(serversState, "1\n", "2\n", 1),
		"cut off":       serversState[:len(serversState)-30],
		"no address":    strings.Replace(serversState, "192.0.2.4", "nowhere", 1),
		"an error":      "Permission denied\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := haproxy.ParseState(text)
			NewWithT(t).Expect(err).To(HaveOccurred())
		})
	}
}

func TestStateFileSaysWhatTheNextServersHave(t *testing.T) {
	running, err := haproxy.ParseState(serversState)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	api := haproxy.Server{ID: id("be:api", "s:cp-0"), Address: at("192.0.2.4:6443"), Weight: 1, Doubtful: true}
	for name, tt := range map[string]struct {
		change func(*haproxy.Server)
		want   []string
	}{
		"as it was, but its weight":              {func(*haproxy.Server) {}, []string{"3 be:api 1 s:cp-0 192.0.2.4 2 0 1 1 34 15 3 3 6 0 0 0 - 6443 - 0 0 - - 0"}},
		"is checked elsewhere":                   {func(s *haproxy.Server) { s.CheckPort = 99 }, []string{"3 be:api 1 s:cp-0 192.0.2.4 2 0 1 1 34 15 3 3 6 0 0 0 - 6443 - 0 99 - - 0"}},
		"another address":                        {func(s *haproxy.Server) { s.Address = at("192.0.2.5:6443") }, []string{"1 be:api 1 s:cp-0 192.0.2.5 0 0 1 1 0 1 2 0 6 0 0 0 - 6443 - 0 0 - - 0"}},
		"another port":                           {func(s *haproxy.Server) { s.Address = at("192.0.2.4:6444") }, []string{"1 be:api 1 s:cp-0 192.0.2.4 0 0 1 1 0 1 2 0 6 0 0 0 - 6444 - 0 0 - - 0"}},
		"another port, and is checked elsewhere": {func(s *haproxy.Server) { s.Address, s.CheckPort = at("192.0.2.4:6444"), 99 }, []string{"3 be:api 1 s:cp-0 192.0.2.4 2 0 1 1 34 15 3 3 6 0 0 0 - 6444 - 0 99 - - 0"}},
		"new":                                    {func(s *haproxy.Server) { s.Name = "s:cp-1" }, []string{"1 be:api 1 s:cp-1 192.0.2.4 0 0 1 1 0 1 2 0 6 0 0 0 - 6443 - 0 0 - - 0"}},
		"new and not doubtful":                   {func(s *haproxy.Server) { s.Name, s.Doubtful = "s:cp-1", false }, nil},
		"was in maintenance":                     {func(s *haproxy.Server) { s.ID, s.Address = id("be:web", "s:n-0"), at("[2001:db8::20]:7100") }, []string{"1 be:web 1 s:n-0 2001:db8::20 0 0 1 1 0 1 2 0 6 0 0 0 - 7100 - 0 0 - - 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := api
			tt.change(&s)
			text, err := haproxy.StateFor(running, []haproxy.Server{s})
			g.Expect(err).NotTo(HaveOccurred())
			var lines []string
			for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
				if line != "1" && !strings.HasPrefix(line, "#") {
					lines = append(lines, line)
				}
			}
			g.Expect(lines).To(Equal(tt.want))
		})
	}
}

func TestDiff(t *testing.T) {
	running := func(name, address string, weight int) haproxy.Running {
		return haproxy.Running{ID: id("be:web", "s:"+name), Address: at(address), Weight: weight}
	}
	server := func(name, address string, weight int) haproxy.Server {
		return haproxy.Server{ID: id("be:web", "s:"+name), Address: at(address), Weight: weight}
	}
	down := running("a", "192.0.2.1:80", 1)
	down.Maintenance = true
	for name, tt := range map[string]struct {
		running []haproxy.Running
		next    []haproxy.Server
		want    []string
	}{
		"nothing":    {nil, nil, nil},
		"the same":   {[]haproxy.Running{running("a", "192.0.2.1:80", 1)}, []haproxy.Server{server("a", "192.0.2.1:80", 1)}, nil},
		"one more":   {nil, []haproxy.Server{server("a", "192.0.2.1:80", 1)}, []string{"Add s:a"}},
		"one less":   {[]haproxy.Running{running("a", "192.0.2.1:80", 1)}, nil, []string{"Remove s:a"}},
		"replaced":   {[]haproxy.Running{running("a", "192.0.2.1:80", 1)}, []haproxy.Server{server("b", "192.0.2.1:80", 1)}, []string{"Add s:b", "Remove s:a"}},
		"moved":      {[]haproxy.Running{running("a", "192.0.2.1:80", 1)}, []haproxy.Server{server("a", "192.0.2.2:80", 1)}, []string{"Move s:a"}},
		"other port": {[]haproxy.Running{running("a", "192.0.2.1:80", 1)}, []haproxy.Server{server("a", "192.0.2.1:81", 1)}, []string{"Move s:a"}},
		"half done":  {[]haproxy.Running{down}, []haproxy.Server{server("a", "192.0.2.1:80", 1)}, []string{"Enable s:a"}},
		"drains change places": {
			[]haproxy.Running{running("a", "192.0.2.1:80", 1), running("b", "192.0.2.2:80", 0)},
			[]haproxy.Server{server("a", "192.0.2.1:80", 0), server("b", "192.0.2.2:80", 1)},
			[]string{"Weigh s:b", "Weigh s:a"},
		},
		"all at once": {
			[]haproxy.Running{running("a", "192.0.2.1:80", 1), running("b", "192.0.2.2:80", 1), running("c", "192.0.2.3:80", 1)},
			[]haproxy.Server{server("b", "192.0.2.9:80", 0), server("c", "192.0.2.3:80", 1), server("d", "192.0.2.4:80", 1)},
			[]string{"Add s:d", "Move s:b", "Weigh s:b", "Remove s:a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, step := range haproxy.Diff(tt.running, tt.next) {
				got = append(got, string(step.Action)+" "+step.Server.Name)
			}
			NewWithT(t).Expect(got).To(Equal(tt.want))
		})
	}
}

func TestStatisticsAreRead(t *testing.T) {
	g := NewWithT(t)
	const head = "# pxname,svname,scur,status,lastchg,check_status,check_code,last_chk,check_desc,\n"
	for row, want := range map[string]haproxy.ServerStat{
		"be:web,s:a,3,UP,7,L4OK,,,Layer4 check passed,":                                     {Health: lbapi.HealthUp, For: 7 * time.Second, Sessions: 3},
		"be:web,s:a,0,UP 2/3,7,* L7STS,500,,Layer7 wrong status,":                           {Health: lbapi.HealthUp, For: 7 * time.Second},
		"be:web,s:a,0,DOWN,0,L4CON,,Connection refused,Layer4 connection problem,":          {Health: lbapi.HealthDown, Message: "Layer4 connection problem: Connection refused"},
		"be:web,s:a,0,DOWN 1/2,0,* L7STS,500,\"says \"\"\x1b no\"\"\",Layer7 wrong status,": {Health: lbapi.HealthDown, Message: `Layer7 wrong status: says " no"`},
		"be:web,s:a,0,UP 1/3,1,L4TOUT,,,Layer4 timeout,":                                    {Health: lbapi.HealthUp, For: time.Second, Silent: true},
		"be:web,s:a,0,DOWN,0,* L4CON,,No route to host,Layer4 connection problem,":          {Health: lbapi.HealthDown, Message: "Layer4 connection problem: No route to host", Silent: true},
		"be:web,s:a,0,DOWN,0,L7TOUT,,,Layer7 timeout,":                                      {Health: lbapi.HealthDown, Message: "Layer7 timeout", Mute: true},
		"be:web,s:a,0,UP 1/3,1,* L6TOUT,,,Layer6 timeout,":                                  {Health: lbapi.HealthUp, For: time.Second, Mute: true},
		"be:web,s:a,0,UP,9,INI,,,,":                                                         {Health: lbapi.HealthUnknown, For: 9 * time.Second},
		"be:web,s:a,0,DOWN,0,UNK,,,,":                                                       {Health: lbapi.HealthUnknown},
		"be:web,s:a,0,MAINT,0,L4OK,,,,":                                                     {Health: lbapi.HealthUnknown},
	} {
		stats, err := haproxy.ParseStat(head + row + "\n\n")
		g.Expect(err).NotTo(HaveOccurred(), row)
		g.Expect(stats).To(Equal(map[haproxy.ID]haproxy.ServerStat{id("be:web", "s:a"): want}), row)
	}
	for _, text := range []string{"", "Permission denied\n", "# pxname,svname\nbe:web,s:a\n"} {
		_, err := haproxy.ParseStat(text)
		g.Expect(err).To(HaveOccurred(), text)
	}
}

func TestProcessesAreRead(t *testing.T) {
	g := NewWithT(t)
	p, err := haproxy.ParseProcesses(`#<PID>          <type>          <reloads>       <uptime>        <version>
29556           master          3 [failed: 2]   0d00h00m03s     2.6.12-1+deb12u4
# workers
29685           worker          0               0d00h00m01s     2.6.12-1+deb12u4
# old workers
29559           worker          1               0d00h00m03s     2.6.12-1+deb12u4
29551           worker          2               0d00h00m09s     2.6.12-1+deb12u4
# programs

`)
	g.Expect(err).NotTo(HaveOccurred())
	worker, old, failed := p.Workers()
	g.Expect(worker).To(Equal(29685))
	g.Expect(old).To(Equal([]int{29559, 29551}))
	g.Expect(failed).To(Equal(2))
	_, err = haproxy.ParseProcesses("Permission denied\n")
	g.Expect(err).To(MatchError(ContainSubstring("Permission denied")))
}

func TestSessionsToAServerAreFound(t *testing.T) {
	text := `0x55d0: proto=tcpv4 src=192.0.2.77:1 fe=fe:web be=be:web srv=s:a ts=00 epoch=0 age=1s
0x55d1: proto=tcpv4 src=192.0.2.77:2 fe=fe:web be=be:web srv=s:ab ts=00 epoch=0 age=1s
0x55d2: proto=tcpv4 src=192.0.2.77:3 fe=fe:api be=be:api srv=s:a ts=00 epoch=0 age=1s
0x55d3: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s
`
	NewWithT(t).Expect(haproxy.SessionsOf(text, []haproxy.ID{id("be:web", "s:a")})).To(Equal([]string{"0x55d0"}))
}

func TestASessionIsUnansweredIfItsServerHasSaidNothing(t *testing.T) {
	const detail = `0x55d0: [22/Nov/2026:05:03:36.176441] id=0 proto=tcpv4 source=192.0.2.77:1
  backend=be:web (id=3 mode=tcp) addr=192.0.2.10:42558
  server=s:a (id=1) addr=192.0.2.20:80
  req=0x55a93a28f1f0 (f=0x848000 an=0x0 pipe=0 tofwd=-1 total=5)
      an_exp=<NEVER> rex=59m55s wex=<NEVER>
  res=0x55a93a28f250 (f=0x80008000 an=0x0 pipe=0 tofwd=-1 total=0)
`
	wanted := []haproxy.ID{id("be:api", "s:a"), id("be:web", "s:a")}
	for name, tt := range map[string]struct {
		detail  string
		servers []haproxy.ID
		want    bool
	}{
		"it has said nothing":         {detail, wanted, true},
		"it has said something":       {strings.Replace(detail, "total=0", "total=10", 1), wanted, false},
		"it is another server's":      {detail, []haproxy.ID{id("be:web", "s:b")}, false},
		"it is another backend's":     {detail, wanted[:1], false},
		"it has ended":                {"\n", wanted, false},
		"it has no server any more":   {strings.Replace(detail, "server=s:a (id=1)", "server=<none>", 1), wanted, false},
		"HAProxy says something else": {"Permission denied\n", wanted, false},
	} {
		t.Run(name, func(t *testing.T) { NewWithT(t).Expect(haproxy.IsUnanswered(tt.detail, tt.servers)).To(Equal(tt.want)) })
	}
}

func TestCommandsTakeNothingThatEndsThem(t *testing.T) {
	for _, word := range []string{"", "a b", "a;b", "a\nb", "a\\b", "<<", "a|b", "@1 x", "a\x00", "\u00e9"} {
		_, err := haproxy.Joined("show", word)
		NewWithT(t).Expect(err).To(HaveOccurred(), "%q", word)
	}
}
