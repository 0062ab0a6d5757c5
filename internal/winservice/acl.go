package winservice

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Rights to files and folders.
const (
	fullAccess = 0x1f01ff
	// modify is all but changing the access control list or the owner.
	modify = 0x1301bf
	// anyWrite are the rights by which a folder's content can become another: to
	// make files and folders in it, to delete from it, and to change who may.
	anyWrite = 0x2 | 0x4 | 0x40 | 0x10000 | 0x40000 | 0x80000 | genericAll | genericWrite

	genericAll   = 0x10000000
	genericWrite = 0x40000000
)

// rightsByName are the rights' names in security descriptors.
var rightsByName = map[string]uint32{
	"GA": genericAll, "GW": genericWrite, "GR": 0x80000000, "GX": 0x20000000,
	"FA": fullAccess, "FR": 0x120089, "FW": 0x120116, "FX": 0x1200a0,
	"RC": 0x20000, "SD": 0x10000, "WD": 0x40000, "WO": 0x80000,
	"CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
}

// trusteesByName are those names of trustees that stand in folders of ours.
var trusteesByName = map[string]string{
	"SY": "S-1-5-18", "BA": "S-1-5-32-544", "BU": "S-1-5-32-545", "AU": "S-1-5-11", "WD": "S-1-1-0", "CO": "S-1-3-0", "OW": "S-1-3-4",
}

// trustedInstaller owns what came with Windows.
const trustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

// security is a security descriptor without what we never set.
type security struct {
	owner string
	// protected folders inherit nothing.
	protected bool
	entries   []entry
}

type entry struct {
	allow bool
	// inherits tells that files and folders below get it too; only says that the
	// folder itself does not.
	inherits, only bool
	rights         uint32
	trustee        string
}

var descriptorForm = regexp.MustCompile(`^(?:O:([A-Z]{2}|S-[0-9-]+))?(?:G:(?:[A-Z]{2}|S-[0-9-]+))?D:([A-Z]*)((?:\([^()]*\))*)(?:S:.*)?$`)

// parseSecurity reads the text form. What it cannot read it does not take for
// harmless.
func parseSecurity(text string) (security, error) {
	match := descriptorForm.FindStringSubmatch(text)
	if len(match) == 0 || strings.Contains(match[2], "NO_ACCESS_CONTROL") {
		return security{}, fmt.Errorf("security descriptor %q has no access control list that can be judged", text)
	}
	s := security{owner: sidOf(match[1]), protected: strings.Contains(match[2], "P")}
	for _, body := range strings.FieldsFunc(match[3], func(r rune) bool { return r == '(' || r == ')' }) {
		e, err := parseEntry(body)
		if err != nil {
			return security{}, fmt.Errorf("security descriptor %q: %w", text, err)
		}
		s.entries = append(s.entries, e)
	}
	return s, nil
}

func parseEntry(body string) (entry, error) {
	fields := strings.Split(body, ";")
	if len(fields) != 6 || fields[0] != "A" && fields[0] != "D" {
		return entry{}, fmt.Errorf("entry %q is of a kind that is not known", body)
	}
	rights, err := parseRights(fields[2])
	if err != nil {
		return entry{}, err
	}
	var flags []string
	for i := 0; i+1 < len(fields[1]); i += 2 {
		flags = append(flags, fields[1][i:i+2])
	}
	return entry{
		allow: fields[0] == "A", rights: rights, trustee: sidOf(fields[5]),
		inherits: slices.Contains(flags, "OI") && slices.Contains(flags, "CI"), only: slices.Contains(flags, "IO"),
	}, nil
}

func parseRights(text string) (uint32, error) {
	if strings.HasPrefix(text, "0x") {
		rights, err := strconv.ParseUint(text[2:], 16, 32)
		if err != nil {
			return 0, fmt.Errorf("rights %q are no number", text)
		}
		return uint32(rights), nil
	}
	if len(text)%2 != 0 {
		return 0, fmt.Errorf("rights %q are not known", text)
	}
	var rights uint32
	for i := 0; i < len(text); i += 2 {
		right, known := rightsByName[text[i:i+2]]
		if !known {
			return 0, fmt.Errorf("rights %q are not known", text)
		}
		rights |= right
	}
	return rights, nil
}

func sidOf(trustee string) string {
	if sid, known := trusteesByName[trustee]; known {
		return sid
	}
	return trustee
}

// administrators are who may do anything on a host anyway.
func administrators(sid string) bool {
	return sid == trusteesByName["SY"] || sid == trusteesByName["BA"] || sid == trustedInstaller
}

// others returns who else may use the folder in one of the ways of mask.
func (s security) others(mask uint32, service string) []string {
	var found []string
	for _, e := range s.entries {
		// Whoever creates something, or owns it, had to be let in by another entry.
		special := e.trustee == trusteesByName["CO"] || e.trustee == trusteesByName["OW"]
		if e.allow && e.rights&mask != 0 && !special && !administrators(e.trustee) && e.trustee != service && !slices.Contains(found, e.trustee) {
			found = append(found, e.trustee)
		}
	}
	return found
}

// others that may write into the folder itself.
func (s security) writers(service string) []string {
	here := security{entries: slices.DeleteFunc(slices.Clone(s.entries), func(e entry) bool { return e.only })}
	return here.others(anyWrite, service)
}

// guarded tells whether nobody but administrators and the service is let in.
func (s security) guarded(service string) error {
	if owner := s.owner; !administrators(owner) && owner != service {
		return fmt.Errorf("it belongs to %s, who is neither the system nor an administrator", owner)
	}
	if others := s.others(^uint32(0), service); len(others) > 0 {
		return fmt.Errorf("%s may use it", strings.Join(others, ", "))
	}
	if !s.protected {
		return errors.New("it inherits who may use it from the folder above")
	}
	return nil
}

// stateSecurity is who may use the state folder: the service, whoever it runs as,
// and administrators, who need it to look after the host.
func stateSecurity(name string) string {
	return fmt.Sprintf("O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;%#x;;;%s)", modify, ServiceSID(name))
}
