package wmi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

func TestValuesAreReadAsCOMGivesThem(t *testing.T) {
	g := NewWithT(t)
	v := wmi.Values{
		"uint16": int32(2), "uint32": int32(-1), "uint64": "18446744073709551615", "size": "42949672960", "unset": nil,
		"text": "a", "list": []any{"a", "b"}, "states": []any{int32(2), int32(32768)}, "is": true,
		"sint8": int8(-1), "uint8": uint8(255), "sint16": int16(-1), "word": uint16(65535), "quad": uint64(1 << 63),
	}
	g.Expect(v.Number("uint16")).To(Equal(int64(2)))
	g.Expect(v.Number("uint32")).To(Equal(int64(4294967295)), "a negative number is a large one")
	g.Expect(v.Number("uint64")).To(BeNumerically(">", 0), "no size wraps around")
	g.Expect(v.Number("size")).To(Equal(int64(40 << 30)))
	g.Expect([]int64{v.Number("sint8"), v.Number("uint8")}).To(Equal([]int64{255, 255}))
	g.Expect([]int64{v.Number("sint16"), v.Number("word")}).To(Equal([]int64{65535, 65535}))
	g.Expect(v.Number("quad")).To(Equal(int64(1<<63 - 1)))
	g.Expect(v.Number("unset")).To(BeZero())
	g.Expect(v.Number("text")).To(BeZero())
	g.Expect(v.String("unset")).To(BeEmpty())
	g.Expect(v.String("uint16")).To(BeEmpty())
	g.Expect(v.Strings("list")).To(Equal([]string{"a", "b"}))
	g.Expect(v.Strings("unset")).To(BeEmpty())
	g.Expect(v.Numbers("states")).To(Equal([]int64{2, 32768}))
	g.Expect(v.Bool("is")).To(BeTrue())
	g.Expect(v.Bool("unset")).To(BeFalse())
}

func TestQueriesAreWQL(t *testing.T) {
	for name, test := range map[string]struct {
		query wmi.Query
		want  string
	}{
		"of everything": {wmi.Query{Class: "Msvm_ComputerSystem"}, "SELECT * FROM Msvm_ComputerSystem"},
		"of some properties, with the path that needs the others": {wmi.Query{Class: "A", Properties: []string{"B", "C"}}, "SELECT * FROM A"},
		"with a condition": {
			wmi.Query{Class: "A", Where: wmi.Values{"Name": "b", "Id": 3, "Core": false}}, "SELECT * FROM A WHERE Core = FALSE AND Id = 3 AND Name = 'b'",
		},
		"with a path":        {wmi.Query{Class: "A", Where: wmi.Values{"Name": `C:\x`}}, `SELECT * FROM A WHERE Name = 'C:\\x'`},
		"with a hostile one": {wmi.Query{Class: "A", Where: wmi.Values{"Name": `' OR 'a' = 'a`}}, `SELECT * FROM A WHERE Name = '\' OR \'a\' = \'a'`},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(test.query.WQL()).To(Equal(test.want))
		})
	}
}

// FuzzWhateverIsComparedStaysAValue reads back the one string of a query.
func FuzzWhateverIsComparedStaysAValue(f *testing.F) {
	for _, seed := range []string{"", "'", `\`, `\'`, `"`, "\x00' OR 1=1", `' OR ''='`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		text := wmi.Query{Class: "A", Where: wmi.Values{"Name": value}}.WQL()
		literal := strings.TrimPrefix(text, "SELECT * FROM A WHERE Name = ")
		if len(literal) < 2 || literal[0] != '\'' || literal[len(literal)-1] != '\'' {
			t.Fatalf("%q has no string at its end", text)
		}
		var read strings.Builder
		for body := literal[1 : len(literal)-1]; body != ""; {
			switch {
			case body[0] == '\\' && len(body) > 1:
				body = body[1:]
			case body[0] == '\\' || body[0] == '\'':
				t.Fatalf("%q ends before its end", text)
			}
			read.WriteByte(body[0])
			body = body[1:]
		}
		if want := strings.ReplaceAll(value, "\x00", ""); read.String() != want {
			t.Fatalf("%q reads as %q, not %q", text, read.String(), want)
		}
	})
}

func TestErrorsAreToldByTheirCodes(t *testing.T) {
	g := NewWithT(t)
	of := func(code uint32) error {
		return errors.Join(errors.New("while asking"), &wmi.Error{Doing: "get it", Code: code})
	}
	g.Expect(wmi.NotFound(of(0x80041002))).To(BeTrue())
	g.Expect(wmi.Denied(of(0x80041003))).To(BeTrue())
	for _, code := range []uint32{0x800706BA, 0x800706BE, 0x800706D9, 0x80010108, 0x80041033, 0x80070426, 0x800713BA, 0x800713BC} {
		g.Expect(wmi.Disconnected(of(code))).To(BeTrue())
		g.Expect(wmi.NotFound(of(code))).To(BeFalse(), "silence is no answer")
	}
	g.Expect(wmi.Disconnected(of(0x80041002))).To(BeFalse())
	g.Expect(wmi.NotFound(errors.New("not found"))).To(BeFalse())
}

// job is a host on which one method runs as a job with the states that are listed.
type job struct {
	wmi.Session
	returns int32
	states  []any
}

func (j *job) Call(context.Context, string, string, wmi.Values, ...string) (wmi.Values, error) {
	return wmi.Values{wmi.ReturnValue: j.returns, "Job": "the job", "Made": "the thing"}, nil
}

func (j *job) Get(context.Context, string, ...string) (wmi.Instance, error) {
	state := j.states[0]
	j.states = j.states[1:]
	if err, failed := state.(error); failed {
		return wmi.Instance{}, err
	}
	return wmi.Instance{Values: state.(wmi.Values)}, nil
}

func state(n int32) wmi.Values { return wmi.Values{"JobState": n, "PercentComplete": int32(100)} }

func TestAMethodHasEndedWhenItsJobHas(t *testing.T) {
	failed := func(code any, message string) wmi.Values {
		return wmi.Values{"JobState": int32(10), "ErrorCode": code, "ErrorDescription": message}
	}
	for name, test := range map[string]struct {
		returns int32
		states  []any
		looks   int
		want    func(error) bool
	}{
		"at once":                     {0, nil, 0, func(err error) bool { return err == nil }},
		"refused":                     {32775, nil, 0, refusal(32775, 0)},
		"after a while":               {4096, []any{state(3), state(4), state(7)}, 2, func(err error) bool { return err == nil }},
		"not while it shuts down":     {4096, []any{state(6), state(7)}, 1, func(err error) bool { return err == nil }},
		"with warnings":               {4096, []any{state(32768)}, 0, func(err error) bool { return err == nil }},
		"failed with a code":          {4096, []any{state(4), failed(int32(32768), "no room ('0x80070070')")}, 1, refusal(32768, wmi.CauseDiskFull)},
		"failed without any":          {4096, []any{failed(nil, "")}, 0, refusal(wmi.Failed, 0)},
		"gone":                        {4096, []any{state(4), &wmi.Error{Code: wmi.CodeNotFound}}, 1, func(err error) bool { return errors.Is(err, wmi.ErrJobLost) }},
		"the service does not answer": {4096, []any{&wmi.Error{Code: wmi.CodeServerUnavailable}}, 0, wmi.Disconnected},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			looks := 0
			runner := wmi.Runner{Session: &job{returns: test.returns, states: test.states}, Wait: func(context.Context) error {
				looks++
				return nil
			}}
			out, err := runner.Run(t.Context(), wmi.Instance{Class: "Msvm_Service"}, "Make", nil, "Made")
			g.Expect(err).To(Satisfy(test.want))
			g.Expect(looks).To(Equal(test.looks))
			if err == nil {
				g.Expect(out.String("Made")).To(Equal("the thing"))
			}
		})
	}
}

func refusal(code, cause uint32) func(error) bool {
	return func(err error) bool {
		var r *wmi.Refusal
		return errors.As(err, &r) && r.Code == code && r.Cause == cause && r.Method == "Msvm_Service.Make"
	}
}

// silent is a host on which a method returns without a return value.
type silent struct{ wmi.Session }

func (silent) Call(context.Context, string, string, wmi.Values, ...string) (wmi.Values, error) {
	return wmi.Values{"Job": nil}, nil
}

func TestAMethodThatReturnsNothingHasNotDoneItsWork(t *testing.T) {
	_, err := wmi.Runner{Session: silent{}}.Run(t.Context(), wmi.Instance{Class: "Msvm_Service"}, "Make", nil)
	NewWithT(t).Expect(wmi.CodeOf(err)).To(Equal(uint32(wmi.CodeProviderFailure)))
}

func TestErrorsSayWhatTheirCodesMean(t *testing.T) {
	g := NewWithT(t)
	for _, err := range []error{
		&wmi.Error{Doing: "query A", Code: wmi.CodeAccessDenied}, &wmi.Error{Doing: "query A", Code: 0x80004001},
		&wmi.Error{Doing: "query A", Code: wmi.CodeFailed, Err: errors.New("no")}, &wmi.Refusal{Method: "A.B", Code: wmi.InvalidState},
	} {
		g.Expect(err.Error()).NotTo(Or(ContainSubstring("<nil>"), ContainSubstring("%!")))
	}
	g.Expect(&wmi.Error{Doing: "query A", Code: wmi.CodeAccessDenied}).To(MatchError("query A: the account has not the right to do this (0x80041003)"))
}

func TestAJobThatStallsIsWaitedForAsLongAsItsCallerWaits(t *testing.T) {
	g := NewWithT(t)
	runner := wmi.Runner{
		Session: &job{returns: 4096, states: []any{state(4), state(4)}},
		Wait:    func(context.Context) error { return context.DeadlineExceeded },
	}
	_, err := runner.Run(t.Context(), wmi.Instance{Class: "Msvm_Service"}, "Make", nil)
	g.Expect(err).To(MatchError(context.DeadlineExceeded))
}

func TestEmbeddedInstancesAreRead(t *testing.T) {
	g := NewWithT(t)
	class, values, err := wmi.ParseText(`<INSTANCE CLASSNAME="Msvm_VirtualHardDiskSettingData">
<PROPERTY NAME="MaxInternalSize" TYPE="uint64"><VALUE>42949672960</VALUE></PROPERTY>
<PROPERTY NAME="ParentPath" TYPE="string"></PROPERTY>
<PROPERTY.ARRAY NAME="Notes" TYPE="string"><VALUE.ARRAY><VALUE>a</VALUE><VALUE>&lt;b&gt;</VALUE></VALUE.ARRAY></PROPERTY.ARRAY></INSTANCE>`)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(class).To(Equal("Msvm_VirtualHardDiskSettingData"))
	g.Expect(values.Number("MaxInternalSize")).To(Equal(int64(40 << 30)))
	g.Expect(values).NotTo(HaveKey("ParentPath"), "what is not set is not there")
	g.Expect(values.Strings("Notes")).To(Equal([]string{"a", "<b>"}))
	for name, text := range map[string]string{
		"nothing": "", "no instance": "<A/>", "no class": "<INSTANCE/>", "half of one": `<INSTANCE CLASSNAME="A">`,
		"too much": `<INSTANCE CLASSNAME="A">` + strings.Repeat(" ", 1<<20) + "</INSTANCE>",
	} {
		_, _, err := wmi.ParseText(text)
		g.Expect(err).To(HaveOccurred(), name)
	}
}
