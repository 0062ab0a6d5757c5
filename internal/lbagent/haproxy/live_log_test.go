package haproxy_test

import (
	"net"
	"os"
	"strconv"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOnlyConnectionsThatEndBadlyAreLogged(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	l.apply(l.plan(a.Backend))
	l.eventually(l.health).Should(HaveKey(a.Name))
	said := func() string {
		log, err := os.ReadFile(l.log)
		l.Expect(err).NotTo(HaveOccurred())
		return string(log)
	}

	good := l.holdOn(a)
	l.Expect(good.Echo()).To(Succeed())
	good.Close()
	conn, err := net.Dial("tcp", net.JoinHostPort(l.address(100), strconv.Itoa(int(l.vipPort))))
	l.Expect(err).NotTo(HaveOccurred())
	defer conn.Close()
	_, err = conn.Write([]byte("hello\n"))
	l.Expect(err).NotTo(HaveOccurred())
	_, err = conn.Read(make([]byte, 1))
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(conn.(*net.TCPConn).SetLinger(0)).To(Succeed())
	l.Expect(conn.Close()).To(Succeed())

	// CD: the client went while data were under way.
	l.eventually(said).Should(MatchRegexp(`fe:web be:web/s:%s:\S+ \S+ \d+ CD `, a.Name))
	l.Expect(said()).NotTo(MatchRegexp(`fe:web be:web/\S+ \S+ \d+ -- `))
}
