package hostapi

import (
	"flag"
	"os"
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
)

// released is protocol version 1 as agents in the field speak it. Run the tests
// with -release to take over what was added; what was changed or removed stays
// an error.
const released = "testdata/host_v1.txtpb"

var release = flag.Bool("release", false, "take over what was added to the protocol")

func TestWhatAgentsInTheFieldSpeakIsStillSpoken(t *testing.T) {
	g := NewWithT(t)
	raw, err := os.ReadFile(released)
	g.Expect(err).NotTo(HaveOccurred())
	var old descriptorpb.FileDescriptorProto
	g.Expect(prototext.Unmarshal(raw, &old)).To(Succeed())
	now := protodesc.ToFileDescriptorProto(hostpb.File_internal_hostapi_hostpb_host_proto)

	g.Expect(breaks(&old, now)).To(BeEmpty())
	g.Expect(old.GetService()).To(HaveLen(1))
	if *release {
		text, err := prototext.MarshalOptions{Multiline: true}.Marshal(now)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.WriteFile(released, text, 0o600)).To(Succeed())
	}
}

// breaks names what of old is not in now, or is otherwise there.
func breaks(old, now *descriptorpb.FileDescriptorProto) []string {
	var broken []string
	methods := map[string]*descriptorpb.MethodDescriptorProto{}
	for _, service := range now.GetService() {
		for _, m := range service.GetMethod() {
			methods[service.GetName()+"/"+m.GetName()] = m
		}
	}
	for _, service := range old.GetService() {
		for _, m := range service.GetMethod() {
			if name := service.GetName() + "/" + m.GetName(); !proto.Equal(methods[name], m) {
				broken = append(broken, name)
			}
		}
	}
	fields := map[string]map[int32]*descriptorpb.FieldDescriptorProto{}
	for _, message := range now.GetMessageType() {
		numbers := map[int32]*descriptorpb.FieldDescriptorProto{}
		for _, f := range message.GetField() {
			numbers[f.GetNumber()] = f
		}
		fields[message.GetName()] = numbers
	}
	for _, message := range old.GetMessageType() {
		for _, f := range message.GetField() {
			if !proto.Equal(fields[message.GetName()][f.GetNumber()], f) {
				broken = append(broken, message.GetName()+"."+f.GetName())
			}
		}
	}
	return broken
}

func TestABrokenProtocolIsNoticed(t *testing.T) {
	now := protodesc.ToFileDescriptorProto(hostpb.File_internal_hostapi_hostpb_host_proto)
	for name, change := range map[string]func(f *descriptorpb.FileDescriptorProto){
		"Stamp.id":       func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[1].Number = proto.Int32(3) },
		"HostAgent/Bury": func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Method = f.Service[0].Method[:9] },
		"VM.processors": func(f *descriptorpb.FileDescriptorProto) {
			for _, m := range f.MessageType {
				if m.GetName() == "VM" {
					m.Field[5].Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			changed := proto.Clone(now).(*descriptorpb.FileDescriptorProto)
			change(changed)
			NewWithT(t).Expect(breaks(now, changed)).To(Equal([]string{name}))
		})
	}
}

// newer adds a field that this code does not know to a message and to all of
// ours in it.
func newer(m protoreflect.Message) {
	m.SetUnknown(append(m.GetUnknown(), 0xc2, 0x3e, 5, 'l', 'a', 't', 'e', 'r'))
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.Message().ParentFile() != m.Descriptor().ParentFile():
		case f.IsList():
			for i := range v.List().Len() {
				newer(v.List().Get(i).Message())
			}
		default:
			newer(v.Message())
		}
		return true
	})
}

func TestWhatANewerAgentAddsIsIgnored(t *testing.T) {
	g := NewWithT(t)
	want := VM{
		Stamp: Stamp{Installation: "here", ID: "vm-1"}, State: "Hibernated", Processors: 2,
		Disks: []DiskStatus{{Name: "boot", Bytes: 1}}, NICs: []NICStatus{{MAC: "02:00:00:00:00:01"}},
		Operation: &Operation{Ref: "r", Err: &Error{Class: Conflict, Message: "busy"}},
	}
	message := VMToProto(want)
	newer(message.ProtoReflect())
	raw, err := proto.Marshal(message)
	g.Expect(err).NotTo(HaveOccurred())
	received := &hostpb.VM{}
	g.Expect(proto.Unmarshal(raw, received)).To(Succeed())
	g.Expect(received.GetOperation().GetErr().ProtoReflect().GetUnknown()).NotTo(BeEmpty())
	g.Expect(VMFromProto(received)).To(Equal(want), "a word that is not known is handed on")
}

func TestWhatAnOlderAgentLeavesOutIsEmpty(t *testing.T) {
	g := NewWithT(t)
	g.Expect(VMFromProto(nil)).To(BeZero())
	g.Expect(InventoryFromProto(&hostpb.InventoryResponse{Host: "hv-1"})).To(Equal(Inventory{Host: "hv-1"}))
	g.Expect(EnsureVMRequestFromProto(&hostpb.EnsureVMRequest{})).To(BeZero())
}
