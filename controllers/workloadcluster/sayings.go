package workloadcluster

import "strings"

// sayings are what is told of several. What is the same for some, such as that an
// image is missing, is told once, with all their names before it.
type sayings []saying

type saying struct {
	names []string
	// says is what is told of them, from behind the names on.
	says string
}

func (s *sayings) add(name, says string) {
	for i := range *s {
		if (*s)[i].says == says {
			(*s)[i].names = append((*s)[i].names, name)
			return
		}
	}
	*s = append(*s, saying{names: []string{name}, says: says})
}

// String implements fmt.Stringer.
func (s sayings) String() string {
	parts := make([]string, 0, len(s))
	for _, one := range s {
		parts = append(parts, strings.Join(one.names, ", ")+one.says)
	}
	return strings.Join(parts, "; ")
}
