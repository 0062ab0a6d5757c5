package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// row is one of a table that names tests: a Go function, or the words of a spec.
type row struct{ what, function, words, folder string }

var (
	tests  = regexp.MustCompile("(?m)^\\| ([^|]*?) ?\\| (?:`(Test\\w+)`|\"([^\"|]+)\")[^|]*\\| `([\\w/-]+)` \\|$")
	pains  = regexp.MustCompile(`(?m)^func (TestPain\w+)\(`)
	titles = regexp.MustCompile(`(?:Describe|DescribeTable|Context|When|It)\("([^"]+)"`)
)

// rows are those of the tables in tests.md.
func rows(g *WithT) []row {
	text, err := os.ReadFile("tests.md")
	g.Expect(err).NotTo(HaveOccurred())
	var all []row
	for _, found := range tests.FindAllStringSubmatch(string(text), -1) {
		all = append(all, row{found[1], found[2], found[3], found[4]})
	}
	// A row that the expression does not know would not be looked after.
	named := regexp.MustCompile("(?m)^\\| .*(`Test|\").* \\| `[^`]+` \\|$").FindAllString(string(text), -1)
	g.Expect(all).To(HaveLen(len(named)))
	g.Expect(all).NotTo(BeEmpty())
	return all
}

// sources are the test files of a folder, whole.
func sources(g *WithT, folder string) map[string]string {
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	g.Expect(err).NotTo(HaveOccurred())
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		texts[file] = string(text)
	}
	return texts
}

// isSpec tells whether the words begin as a spec of the file does: the title of a container,
// alone or with that of something in it.
func isSpec(text, words string) bool {
	container := ""
	for _, title := range titles.FindAllStringSubmatch(text, -1) {
		switch {
		case strings.HasPrefix(title[0], "Describe(") || strings.HasPrefix(title[0], "Context(") || strings.HasPrefix(title[0], "When("):
			container = title[1]
			if container == words {
				return true
			}
		case strings.HasPrefix(container+" "+title[1], words) && strings.HasPrefix(words, container+" "):
			return true
		}
	}
	return false
}

func TestEveryTestThatIsNamedIsThere(t *testing.T) {
	g := NewWithT(t)
	for _, r := range rows(g) {
		found := false
		for _, text := range sources(g, r.folder) {
			if r.function != "" {
				found = found || strings.Contains(text, "\nfunc "+r.function+"(t *testing.T) {")
			} else {
				found = found || isSpec(text, r.words)
			}
		}
		g.Expect(found).To(BeTrue(), "no test %s%s in %s", r.function, r.words, r.folder)
	}
}

func TestEveryRowNamesWhatItIsAbout(t *testing.T) {
	g := NewWithT(t)
	about := ""
	for _, r := range rows(g) {
		if r.what != "" {
			about = r.what
		}
		g.Expect(about).NotTo(BeEmpty(), r.function+r.words)
	}
}

func TestEveryPainThatIsTestedIsListed(t *testing.T) {
	g := NewWithT(t)
	listed := map[string]bool{}
	for _, r := range rows(g) {
		listed[r.function] = true
	}
	tested := 0
	g.Expect(filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, pain := range pains.FindAllStringSubmatch(string(text), -1) {
			g.Expect(listed).To(HaveKey(pain[1]), path)
			tested++
		}
		return nil
	})).To(Succeed())
	g.Expect(tested).To(BeNumerically(">", 0))
}
