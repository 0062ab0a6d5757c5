package meddle_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/meddle"
)

// echo answers each line with its name and the line.
func echo(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					fmt.Fprintf(conn, "%s: %s\n", name, lines.Text())
				}
			}()
		}
	}()
	return listener.Addr().String()
}

type caller struct {
	conn    net.Conn
	answers chan string
}

func call(t *testing.T, l *meddle.Line) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", l.Address())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = conn.Close() })
	c := &caller{conn, make(chan string, 10)}
	go func() {
		defer close(c.answers)
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			c.answers <- lines.Text()
		}
	}()
	return c
}

func (c *caller) say(g *WithT, line string) {
	_, err := io.WriteString(c.conn, line+"\n")
	g.Expect(err).NotTo(HaveOccurred())
}

func newLine(t *testing.T, server string) *meddle.Line {
	t.Helper()
	l, err := meddle.NewLine(t.Context(), server)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { NewWithT(t).Expect(l.Close()).To(Succeed()) })
	return l
}

// patience is how long a busy machine may take.
const patience = time.Minute

func TestALineIsGoneOneWayUntilItIsBack(t *testing.T) {
	for name, trouble := range map[string]meddle.Trouble{"to the server": {Deaf: true}, "from the server": {Mute: true}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.SetDefaultEventuallyTimeout(patience)
			l := newLine(t, echo(t, "right"))
			c := call(t, l)
			c.say(g, "one")
			g.Eventually(c.answers).Should(Receive(Equal("right: one")))
			g.Expect(l.Touched()).To(BeZero())

			l.Set(trouble)
			c.say(g, "two")
			g.Eventually(l.Touched).Should(Equal(1))
			g.Consistently(c.answers, "30ms").ShouldNot(Receive())
			l.Set(meddle.Trouble{})
			g.Eventually(c.answers).Should(Receive(Equal("right: two")))
		})
	}
}

func TestAnswersComeLate(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	l := newLine(t, echo(t, "right"))
	l.Set(meddle.Trouble{Late: 50 * time.Millisecond})
	c := call(t, l)
	asked := time.Now()
	c.say(g, "one")
	g.Eventually(c.answers).Should(Receive(Equal("right: one")))
	g.Expect(time.Since(asked)).To(BeNumerically(">=", 50*time.Millisecond))
	g.Expect(l.Touched()).To(Equal(1))
}

func TestALineThatLeadsElsewhereCutsWhoWasConnected(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	l := newLine(t, echo(t, "right"))
	first := call(t, l)
	first.say(g, "one")
	g.Eventually(first.answers).Should(Receive(Equal("right: one")))
	l.Set(meddle.Trouble{Elsewhere: echo(t, "wrong")})
	g.Eventually(first.answers).Should(BeClosed())
	second := call(t, l)
	second.say(g, "two")
	g.Eventually(second.answers).Should(Receive(Equal("wrong: two")))
	g.Expect(l.Touched()).To(Equal(1))
	l.Set(meddle.Trouble{})
	g.Eventually(second.answers).Should(BeClosed())
}

func TestALineIsCutAndCanBeUsedAgain(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	l := newLine(t, echo(t, "right"))
	first := call(t, l)
	first.say(g, "one")
	g.Eventually(first.answers).Should(Receive(Equal("right: one")))
	l.Cut()
	g.Eventually(first.answers).Should(BeClosed())
	second := call(t, l)
	second.say(g, "two")
	g.Eventually(second.answers).Should(Receive(Equal("right: two")))
}
