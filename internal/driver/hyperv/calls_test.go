package hyperv_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
)

var update = flag.Bool("update", false, "write docs/wmi-calls.md anew")

// why says what each call is for. A call without a reason fails the test, and so does a reason without a call.
var why = map[string]string{
	"CIM_ResourceAllocationSettingData Associators by Msvm_VirtualSystemSettingDataComponent": "which processors, memory, drives, disks and ports a VM has",
	"MSCluster_Cluster AddVirtualMachine":                                                     "make a VM a clustered role, so that it is restarted elsewhere",
	"MSCluster_Cluster Query":                                                                 "whether the host is in a failover cluster, and its name",
	"MSCluster_ClusterSharedVolume Query":                                                     "which volumes there are, and what is wrong with them",
	"MSCluster_DiskPartition Associators by MSCluster_ClusterSharedVolumeToPartition":         "how large a volume is, and how much of it is free",
	"MSCluster_Node Query":                                                                    "which hosts can have a VM now",
	"MSCluster_ResourceGroup CreateGroup":                                                     "claim a VM's ID in the whole cluster before anything is made",
	"MSCluster_ResourceGroup DestroyGroup":                                                    "remove a VM's role, and give its claim back after everything is gone",
	"MSCluster_ResourceGroup Put_":                                                            "write into the claim where the VM's parts will be",
	"MSCluster_ResourceGroup Query":                                                           "find claims, and the hosts that own roles",
	"Msvm_BootSourceSettingData Associators by Msvm_LogicalIdentity":                          "which of the boot sources a VM's first disk is",
	"Msvm_ComputerSystem Get":                                                                 "wait for a guest to shut down",
	"Msvm_ComputerSystem Query":                                                               "whether VMs have power, and are well",
	"Msvm_ComputerSystem RequestStateChange":                                                  "start a VM, or turn it off",
	"Msvm_ConcreteJob Get":                                                                    "wait for work that goes on as a job",
	"Msvm_EthernetPortAllocationSettingData GetText_":                                         "connect a NIC to a switch",
	"Msvm_EthernetSwitchPortVlanSettingData Associators by Msvm_EthernetPortSettingDataComponent": "which VLAN a NIC is in",
	"Msvm_EthernetSwitchPortVlanSettingData GetText_":                                             "put a NIC into a VLAN",
	"Msvm_HeartbeatComponent Associators by Msvm_SystemDevice":                                    "whether a guest lives",
	"Msvm_ImageManagementService CreateVirtualHardDisk":                                           "make a disk: of an image, or an empty one",
	"Msvm_ImageManagementService GetVirtualHardDiskSettingData":                                   "whether a file is a virtual disk, and how large that is",
	"Msvm_ImageManagementService Query":                                                           "find the service that makes disks",
	"Msvm_ImageManagementService ResizeVirtualHardDisk":                                           "make a disk larger",
	"Msvm_KvpExchangeComponent Associators by Msvm_SystemDevice":                                  "which addresses a guest reports",
	"Msvm_MemorySettingData GetText_":                                                             "set the memory, all of it fixed",
	"Msvm_ProcessorSettingData GetText_":                                                          "set the processors",
	"Msvm_ResourceAllocationSettingData GetText_":                                                 "add the SCSI controller, and drives",
	"Msvm_ShutdownComponent Associators by Msvm_SystemDevice":                                     "find whom to ask to shut a guest down",
	"Msvm_ShutdownComponent InitiateShutdown":                                                     "ask a guest to shut down",
	"Msvm_StorageAllocationSettingData GetText_":                                                  "put a disk or the seed into a drive",
	"Msvm_SyntheticEthernetPortSettingData GetText_":                                              "add a NIC with its static address",
	"Msvm_VirtualEthernetSwitch Query":                                                            "which switches there are",
	"Msvm_VirtualHardDiskSettingData GetText_":                                                    "say what disk to make",
	"Msvm_VirtualSystemManagementService AddFeatureSettings":                                      "put a NIC into a VLAN",
	"Msvm_VirtualSystemManagementService AddResourceSettings":                                     "add a device",
	"Msvm_VirtualSystemManagementService DefineSystem":                                            "make a VM, with its stamp in its notes",
	"Msvm_VirtualSystemManagementService DestroySystem":                                           "remove a VM's configuration",
	"Msvm_VirtualSystemManagementService ModifyResourceSettings":                                  "change processors and memory",
	"Msvm_VirtualSystemManagementService ModifySystemSettings":                                    "bring a VM's notes in step, its name, secure boot and the order of its boot sources",
	"Msvm_VirtualSystemManagementService Query":                                                   "find the service that manages VMs",
	"Msvm_VirtualSystemManagementService RemoveResourceSettings":                                  "take the seed out of its drive",
	"Msvm_VirtualSystemSettingData Get":                                                           "in which order a VM's boot sources are tried",
	"Msvm_VirtualSystemSettingData GetText_":                                                      "say what VM to make, or how to change it",
	"Msvm_VirtualSystemSettingData Query":                                                         "find VMs by the stamp in their notes; checkpoints are left out",
	"Win32_ComputerSystem Query":                                                                  "how many processors and how much memory the host has, and its short name",
	"Win32_OperatingSystem Query":                                                                 "the version of Windows, and how much memory is free",
	"Win32_Process Query":                                                                         "since when the host is up, by a process that never restarts",
	"Win32_Volume Query":                                                                          "how large a stand-alone host's volumes are",
}

// preface begins the document, with ' for what Go has no way to quote.
const preface = `# What the Hyper-V driver asks of Windows

Every call to WMI that the conformance suite of the driver makes, as the fake host records it. This page is written by the
test that runs the suite ('go test ./internal/driver/hyperv -run TestDriverConforms -update'), which fails when they are out of
step. The account of the agent needs the right to make these calls in 'root\virtualization\v2', in 'root\cimv2' and, in a failover
cluster, in 'root\mscluster', on every node.

'Query', 'Get' and 'Associators' read. 'GetText_' makes a draft that a method of a service is handed, and changes nothing. 'Put_'
writes the instance itself.

| Class | Call | Given | Returned | Why |
|---|---|---|---|---|
`

// expectDocumented asserts that the document says what was called, and only that.
func expectDocumented(t *testing.T, calls []wmifake.Call) {
	t.Helper()
	g := NewWithT(t)
	if len(calls) == 0 {
		t.Skip("the suite did not run")
	}
	var text strings.Builder
	text.WriteString(strings.ReplaceAll(preface, "'", "`"))
	seen := map[string]bool{}
	for _, c := range calls {
		key := c.Class + " " + c.Method
		seen[key] = true
		g.Expect(why).To(HaveKey(key), "say what the call is for")
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", c.Class, strings.ReplaceAll(c.Method, "_", `\_`), strings.Join(c.In, ", "), strings.Join(c.Out, ", "), why[key])
	}
	for key := range why {
		g.Expect(seen).To(HaveKey(key), "nobody calls it any more")
	}
	path := filepath.Join("..", "..", "..", "docs", "wmi-calls.md")
	if *update {
		g.Expect(os.WriteFile(path, []byte(text.String()), 0o600)).To(Succeed())
	}
	have, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(have)).To(Equal(text.String()), "run this test with -update")
}
