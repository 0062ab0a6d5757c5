package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed disk.go
var diskRecipe string

// Identities of a disk's parts. Guests find their file systems by them, and disks of
// one image are never in one guest together.
const (
	rootUUID = "4c9f1a52-7a3e-4a0b-9a53-6d1f0c7e5b21"
	efiID    = "CA95-7A40"
)

const mib = 1 << 20

// fstab is the same in all guests; machine containers pay no heed to it.
func (d *description) fstab() string {
	return fmt.Sprintf("UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s /boot/efi vfat umask=0077,nofail 0 2\n", rootUUID, efiID)
}

// grub is the boot loader's configuration. Debian keeps the two links at the newest
// kernel, so that it need not change with one.
func (d *description) grub() string {
	return fmt.Sprintf(`set timeout=0
search --no-floppy --fs-uuid --set=root %s
linux /vmlinuz root=UUID=%s ro %s
initrd /initrd.img
boot
`, rootUUID, rootUUID, strings.Join(d.Disk.KernelArguments, " "))
}

// fillDisk makes the raw disk $1 of the tree $2 with the boot configuration $3. Nothing
// is mounted, and no loop device is used: file systems are written where they lie in
// the disk. Sizes are in MiB: the whole disk $4, the EFI system partition $5.
//
// The boot loader is Debian's signed one at the place for removable media, where firmware
// looks that was told of no other, with secure boot on or off.
const fillDisk = `
disk=$1 tree=$2 grub=$3 size=$4 efi=$5 root_uuid=$6 efi_id=$7
truncate --size="${size}M" "$disk"
sfdisk --quiet "$disk" <<-END
	label: gpt
	unit: sectors
	first-lba: 2048
	start=2048, size=$((efi * 2048)), type=uefi, name=efi
	start=$(((efi + 1) * 2048)), type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
END

mkfs.vfat -F 32 -s 1 -i "$(echo "$efi_id" | tr -d -)" -n EFI -C "$disk.efi" $((efi * 1024)) >/dev/null
mmd -i "$disk.efi" ::/EFI ::/EFI/BOOT ::/EFI/debian
mcopy -i "$disk.efi" "$tree/usr/lib/shim/shimx64.efi.signed" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$disk.efi" "$tree/usr/lib/shim/mmx64.efi.signed" ::/EFI/BOOT/mmx64.efi
mcopy -i "$disk.efi" "$tree/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/BOOT/grubx64.efi
mcopy -i "$disk.efi" "$grub" ::/EFI/debian/grub.cfg
dd if="$disk.efi" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
rm "$disk.efi"

# GPT's second copy has the last MiB.
mke2fs -q -t ext4 -L root -U "$root_uuid" -E "offset=$(((efi + 1) * 1048576)),hash_seed=$root_uuid,lazy_itable_init=1" \
	-d "$tree" "$disk" $(((size - efi - 2) * 1024))k
`

// disks are the images for QEMU and Hyper-V, in one folder.
func (b *builder) disks(ctx context.Context, tree string) (string, error) {
	d := b.description.Disk
	dir, err := b.cache.step(ctx, "disk", key(diskRecipe, filepath.Base(tree), fmt.Sprint(d)), func(ctx context.Context, dir string) error {
		raw, grub := filepath.Join(dir, "raw"), filepath.Join(dir, "grub.cfg")
		if err := write(grub, b.description.grub()); err != nil {
			return err
		}
		if _, err := isolated(ctx, nil, fillDisk, raw, tree, grub,
			strconv.FormatInt(d.SizeGiB*1024, 10), strconv.FormatInt(d.EFIMiB, 10), rootUUID, efiID); err != nil {
			return err
		}
		for file, options := range map[string]string{
			// Debian's QEMU reads what it compresses, and so do those that come after it.
			"node.qcow2": "-c -O qcow2 -o compression_type=zstd",
			// Blocks of one MiB: a larger one is written whole for the first byte in it.
			"node.vhdx": "-O vhdx -o subformat=dynamic,block_size=1048576",
		} {
			convert := append([]string{"qemu-img", "convert", "-f", "raw"}, strings.Fields(options)...)
			if _, err := (command{args: append(convert, raw, filepath.Join(dir, file))}).run(ctx); err != nil {
				return err
			}
			if err := writeDigest(dir, file); err != nil {
				return err
			}
		}
		return os.Remove(raw)
	})
	if err != nil {
		return "", err
	}
	b.publish(dir, "node.qcow2")
	b.publish(dir, "node.vhdx")
	return dir, nil
}

// writeDigest puts the checksum of a file beside it, as sha256sum writes and checks it.
func writeDigest(dir, file string) error {
	sum, err := digest(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, file+".sha256"), sum+"  "+file+"\n")
}

// publish gives a file and its checksum names that stay.
func (b *builder) publish(dir, file string) {
	b.cache.name(file, filepath.Join(dir, file))
	b.cache.name(file+".sha256", filepath.Join(dir, file+".sha256"))
}

// report says what came of it; the last line is for programs to read.
func (b *builder) report(disks string, took time.Duration) error {
	fmt.Printf("\nkubernetes %s (%s), %.0f s\n", b.description.Kubernetes.Version, b.description.Kubernetes.Source, took.Seconds())
	for _, name := range []string{"tree", "store", "contents.tsv", squashfsFile, "node.qcow2", "node.vhdx"} {
		fmt.Println(" ", filepath.Join(b.cache.dir, name))
	}
	for _, name := range []string{squashfsFile, "node.qcow2", "node.vhdx"} {
		info, err := os.Stat(filepath.Join(b.cache.dir, name))
		if err != nil {
			return err
		}
		fmt.Printf("  %s: %d MiB\n", name, info.Size()/mib)
	}
	sum, err := os.ReadFile(filepath.Join(disks, "node.vhdx.sha256"))
	if err != nil {
		return err
	}
	fmt.Printf("RESULT image=%s sha256=%s\n", filepath.Join(b.cache.dir, "node.vhdx"), strings.Fields(string(sum))[0])
	return nil
}
