package hyperv

import (
	"bytes"
	"context"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// changeSeed makes the seed be as the request says: there with this content, left alone, or destroyed.
func (e *ensuring) changeSeed(ctx context.Context) error {
	v, err := e.usableVolume(opEnsure, e.places, e.req.Disks[0].Volume)
	if err != nil {
		return err
	}
	path := v.seed(e.id)
	have, err := e.Files.Read(path)
	if err != nil && !gone(err) {
		return e.typed(v.name, "read the seed", err)
	}
	there := err == nil
	medium, inserted := e.m.dvd()
	if inserted != "" && !samePath(inserted, path) {
		return hostapi.Errorf(hostapi.NotOwned, opEnsure, "", "the DVD drive of VM %s holds somebody else's %s", e.id, inserted)
	}
	if !e.req.KeepSeed && (e.req.Seed == nil || !there || !bytes.Equal(have, e.req.Seed)) {
		if inserted != "" {
			if err := e.eject(ctx, medium); err != nil {
				return err
			}
			inserted = ""
		}
		if there {
			if err := e.Files.Remove(path); err != nil {
				return e.typed(v.name, "destroy the seed", err)
			}
			there = false
		}
		if e.req.Seed != nil {
			if err := e.Files.Write(path, e.req.Seed); err != nil {
				return e.typed(v.name, "write the seed", err)
			}
			there = true
		}
	}
	if !there || inserted != "" {
		return nil
	}
	drive, err := e.drive(ctx, dvdSlot, typeDVDDrive, kindDVDDrive, kindDVD)
	if err != nil {
		return e.typed(v.name, "add the DVD drive", err)
	}
	err = e.add(ctx, "Msvm_StorageAllocationSettingData", typeMedium, kindDVD, wmi.Values{"Parent": drive.Path, "HostResource": []string{path}})
	return e.typed(v.name, "insert the seed", err)
}

func (e *ensuring) eject(ctx context.Context, medium wmi.Instance) error {
	if err := e.manage(ctx, "RemoveResourceSettings", wmi.Values{"ResourceSettings": []string{medium.Path}}); err != nil {
		return e.typed("", "eject the seed", err)
	}
	return e.typed("", "eject the seed", e.m.load(ctx))
}
