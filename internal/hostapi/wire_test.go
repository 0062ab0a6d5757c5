package hostapi

import (
	"reflect"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
)

// arbitrary generates values of T by reflection, so that a field that is added
// to a domain type and forgotten on the wire fails a test.
func arbitrary[T any]() *rapid.Generator[T] {
	return rapid.MakeCustom[T](rapid.MakeConfig{Types: map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[time.Time](): rapid.Custom(func(t *rapid.T) any {
			return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "seconds"), rapid.Int64Range(1, 999_999_999).Draw(t, "nanos")).UTC()
		}),
		reflect.TypeFor[Error](): rapid.Custom(func(t *rapid.T) any {
			return Error{
				Class: rapid.SampledFrom(classes()).Draw(t, "class"), Op: rapid.String().Draw(t, "op"),
				Resource: rapid.String().Draw(t, "resource"), Message: rapid.String().Draw(t, "message"),
			}
		}),
		reflect.TypeFor[func(done, total int64)](): rapid.Just[any]((func(done, total int64))(nil)),
	}})
}

func classes() []Class {
	return []Class{NotFound, Conflict, NotOwned, OutOfCapacity, VolumeFaulted, HostUnreachable, Transient, InvalidArgument}
}

// roundTrip checks that a domain type survives the wire. Empty lists and absent
// ones are the same there, so both are compared as absent; bytes are not.
func roundTrip[T any, P proto.Message](t *testing.T, to func(T) P, from func(P) T) {
	t.Helper()
	t.Run(reflect.TypeFor[T]().String(), rapid.MakeCheck(func(t *rapid.T) {
		want := arbitrary[T]().Draw(t, "value")
		raw, err := proto.Marshal(to(want))
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		message := to(want).ProtoReflect().New().Interface().(P)
		if err := proto.Unmarshal(raw, message); err != nil {
			t.Fatalf("unmarshal: %v", err)
		}
		got := from(message)
		dropEmptyLists(reflect.ValueOf(&want).Elem())
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	}))
}

func dropEmptyLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			dropEmptyLists(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			dropEmptyLists(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		if v.Len() == 0 {
			v.SetZero()
		}
		for i := range v.Len() {
			dropEmptyLists(v.Index(i))
		}
	}
}

func TestEveryTypeSurvivesTheWire(t *testing.T) {
	roundTrip(t, HelloToProto, HelloFromProto)
	roundTrip(t, InventoryToProto, InventoryFromProto)
	roundTrip(t, VMToProto, VMFromProto)
	roundTrip(t, ImageToProto, ImageFromProto)
	roundTrip(t, TombstoneToProto, TombstoneFromProto)
	roundTrip(t, StageImageRequestToProto, StageImageRequestFromProto)
	roundTrip(t, EnsureVMRequestToProto, EnsureVMRequestFromProto)
	roundTrip(t, SetPowerRequestToProto, SetPowerRequestFromProto)
	roundTrip(t, DeleteVMRequestToProto, DeleteVMRequestFromProto)
	roundTrip(t,
		func(o Operation) *hostpb.Operation { return OperationToProto(&o) },
		func(o *hostpb.Operation) Operation { return *OperationFromProto(o) })
}

func TestNoSeedAndAnEmptySeedAreToldApart(t *testing.T) {
	g := NewWithT(t)
	overWire := func(seed []byte) []byte {
		raw, err := proto.Marshal(EnsureVMRequestToProto(EnsureVMRequest{Seed: seed}))
		g.Expect(err).NotTo(HaveOccurred())
		message := &hostpb.EnsureVMRequest{}
		g.Expect(proto.Unmarshal(raw, message)).To(Succeed())
		return EnsureVMRequestFromProto(message).Seed
	}
	g.Expect(overWire(nil)).To(BeNil())
	g.Expect(overWire([]byte{})).To(And(Not(BeNil()), BeEmpty()))
}

func TestTextThatIsNotUTF8IsMadeFit(t *testing.T) {
	g := NewWithT(t)
	vm := VMToProto(VM{Console: []string{"boot\xff"}, Operation: &Operation{Err: &Error{Class: Transient, Message: "\xfe"}}})
	_, err := proto.Marshal(vm)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.Console).To(Equal([]string{"boot\uFFFD"}))
}

func TestCommonProtocolIsTheNewestThatBothSpeak(t *testing.T) {
	for name, test := range map[string]struct {
		peer []int32
		want int32
		ok   bool
	}{
		"the same":           {peer: []int32{1}, want: 1, ok: true},
		"a newer peer":       {peer: []int32{1, 2}, want: 1, ok: true},
		"a peer too new":     {peer: []int32{2, 3}},
		"a peer of no words": {},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			version, ok := CommonProtocol(test.peer)
			g.Expect(ok).To(Equal(test.ok))
			g.Expect(version).To(Equal(test.want))
		})
	}
}
