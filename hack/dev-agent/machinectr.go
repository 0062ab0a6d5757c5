package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"strconv"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func machinectrDriver() agentcmd.Driver {
	var o machinectr.Options
	return agentcmd.Driver{
		Name:    machinectr.Name,
		Summary: "machine containers on this Linux machine, for development and continuous integration",
		Flags:   func(flags *flag.FlagSet) { addMachinectrFlags(flags, &o) },
		Open: func(ctx context.Context, log *slog.Logger) (hostapi.Driver, error) {
			if o.Host == "" || len(o.Volumes) == 0 {
				return nil, errors.New("--machinectr-host and --machinectr-volume are needed")
			}
			o.Logger = log
			return machinectr.New(ctx, o)
		},
	}
}

func addMachinectrFlags(flags *flag.FlagSet, o *machinectr.Options) {
	flags.StringVar(&o.Host, "machinectr-host", "", "`name` of the host: several on one machine differ in it")
	flags.StringVar(&o.Dir, "machinectr-dir", "", "`folder` for what must outlive a boot (default below /var/lib/capstan-machinectr)")
	flags.StringVar(&o.RunDir, "machinectr-run-dir", "", "`folder` for what must not (default below /run/capstan-machinectr)")
	flags.StringVar(&o.BootIDFile, "machinectr-boot-id-file", "", "`file` whose content tells boots of the host apart (default: the kernel's)")
	flags.StringVar(&o.Layer, "machinectr-layer", "", "`folder` that is laid over every image, such as images/machinectr/files")
	flags.Func("machinectr-processors", "`number` of processors that the host has to give (default: the machine's)", func(text string) error {
		n, err := strconv.ParseInt(text, 10, 32)
		o.Processors = int32(n)
		return err
	})
	flags.Int64Var(&o.MemoryMiB, "machinectr-memory-mib", 0, "`MiB` of memory that the host has to give (default: the machine's)")
	flags.Func("machinectr-volume", "`name=path` of a volume, or name=path,size for one that is a file system of its own; repeatable", func(text string) error {
		v, err := machinectr.ParseVolume(text)
		o.Volumes = append(o.Volumes, v)
		return err
	})
	flags.Func("machinectr-switch", "`name=bridge` of a switch, or name=bridge,address to give the bridge an address; repeatable", func(text string) error {
		s, err := machinectr.ParseSwitch(text)
		o.Switches = append(o.Switches, s)
		return err
	})
}
