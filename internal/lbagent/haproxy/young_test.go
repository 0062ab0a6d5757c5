package haproxy

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestYoungConnectionsAreThoseOfClients(t *testing.T) {
	const answer = `0x55d0a1: proto=tcpv4 src=192.0.2.1:40000 fe=fe:api be=be:api srv=s:a ts=00 epoch=0x2 age=0s calls=3 rate=0 cpu=0 lat=0 rq[f=848000h,i=0] exp=
0x55d0a2: proto=tcpv4 src=192.0.2.1:40001 fe=fe:api be=be:api srv=s:a ts=00 epoch=0x2 age=3s calls=3 rate=0 cpu=0 lat=0 rq[f=848000h,i=0] exp=
0x55d0a3: proto=tcpv4 src=192.0.2.1:40002 fe=fe:api be=be:api srv=s:b ts=00 epoch=0x2 age=1m5s calls=3 rate=0 cpu=0 lat=0 rq[f=848000h,i=0] exp=
0x55d0a4: proto=tcpv4 src=192.0.2.1:40003 fe=fe:api be=be:api srv=s:b ts=00 epoch=0x2 age=2d4h calls=3 rate=0 cpu=0 lat=0 rq[f=848000h,i=0] exp=
0x55d0a5: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0x2 age=0s calls=1 rate=0 cpu=0 lat=0 rq[f=c08200h,i=0] exp=

`
	for within, want := range map[time.Duration]int{0: 1, 2 * time.Second: 1, 3 * time.Second: 2, time.Hour: 3} {
		NewWithT(t).Expect(countYoung(answer, within)).To(Equal(want), within.String())
	}
}
