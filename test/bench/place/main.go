// Command place measures placement alone: many VMs onto an empty fleet, one after
// the other, and then one more into what they have become.
//
// It prints how long that took and how even it came out. spread_max_minus_min is
// how many disks the fullest of the volumes, which are all equal, has more than the
// emptiest; spread_bytes_pct is the same of their provisioned bytes, in percent of a
// volume.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
)

func main() {
	var s size
	flag.IntVar(&s.vms, "vms", 10_000, "how many VMs are placed")
	flag.IntVar(&s.hosts, "hosts", 500, "how many hosts there are, ten to a failover cluster")
	flag.IntVar(&s.volumes, "volumes", 2_000, "how many volumes there are, spread over the failover clusters")
	profile := flag.String("cpuprofile", "", "`file` for a CPU profile")
	flag.Parse()
	if err := run(s, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "place:", err)
		os.Exit(1)
	}
}

func run(s size, profile string) error {
	if s.vms < 1 || s.hosts < 1 || s.volumes < s.clusters() {
		return fmt.Errorf("%d VMs on %d hosts with %d volumes cannot be placed: give a VM, a host, and a volume for every failover cluster", s.vms, s.hosts, s.volumes)
	}
	if profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return fmt.Errorf("creating the profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	r, err := measure(s)
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	return nil
}
