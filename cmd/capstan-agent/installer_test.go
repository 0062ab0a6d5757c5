package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
	"github.com/capstan-k8s/capstan/internal/winservice"
)

// installer is the script that administrators run on hosts. It cannot be run
// here, so what it says of the agent is compared with the agent.
func installer(g Gomega) (script, help, code string) {
	text, err := os.ReadFile("../../hack/install-agent.ps1")
	g.Expect(err).NotTo(HaveOccurred())
	help, code, found := strings.Cut(string(text), "\n#>\n")
	g.Expect(found).To(BeTrue())
	return string(text), help, code
}

// all returns what the first group of an expression matches.
func all(expression, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func TestTheInstallerUsesOnlyFlagsThatTheAgentHas(t *testing.T) {
	g := NewWithT(t)
	_, _, code := installer(g)
	var known logtest.Text
	agentcmd.Main(t.Context(), winservice.Name, []string{"--help"}, &known, &known)
	service := winservice.Command{Stdout: &known, Stderr: &known}
	service.Run(t.Context(), []string{"install", "--help"})
	used := all(`'(--[a-z-]+)'`, code)
	g.Expect(used).To(ContainElements("--listen", "--state-dir", "--account", "--password-stdin", "--enrol-token-file", "--no-start"))
	for _, flag := range used {
		g.Expect(known.String()).To(MatchRegexp(`(?m)^  %s( |$)`, flag))
	}
	commands := all(`-Argument 'service', '([a-z]+)'`, code)
	g.Expect(commands).To(ConsistOf("stop", "start", "status", "uninstall"))
	for _, command := range append(commands, all(`@\('service', '([a-z]+)'`, code)...) {
		g.Expect(service.Run(t.Context(), []string{command, "--help"})).To(Equal(0), command)
	}
}

func TestTheInstallerAgreesWithTheAgentOnNamesAndDefaults(t *testing.T) {
	g := NewWithT(t)
	_, _, code := installer(g)
	for _, line := range []string{
		`$ServiceName = '` + winservice.Name + `'`,
		`[string]$Account = '` + winservice.DefaultAccount + `'`,
		`[string]$StateDir = (Join-Path $env:ProgramData 'Capstan')`,
	} {
		g.Expect(code).To(ContainSubstring(line))
	}
	var help logtest.Text
	agentcmd.Main(t.Context(), winservice.Name, []string{"--help"}, &help, &help)
	port := all(`--listen address .*\(default :([0-9]+)\)`, help.String())
	g.Expect(all(`\[int\]\$Port = ([0-9]+)`, code)).To(Equal(port))
}

func TestTheInstallerUsesOnlyFlagsThatTheDriverHas(t *testing.T) {
	g := NewWithT(t)
	_, _, code := installer(g)
	driver, err := os.ReadFile("drivers_windows.go")
	g.Expect(err).NotTo(HaveOccurred())
	used := all(`--(hyperv-[a-z]+)=`, code)
	g.Expect(used).To(ConsistOf("hyperv-volume"), "the folder of claims follows the state folder by itself")
	for _, flag := range used {
		g.Expect(string(driver)).To(ContainSubstring(`"` + flag + `"`))
	}
}

// The driver alone says where on a volume it writes; the script opens that folder
// to it.
func TestTheInstallerOpensTheFolderThatTheDriverUses(t *testing.T) {
	g := NewWithT(t)
	_, _, code := installer(g)
	paths, err := os.ReadFile("../../internal/driver/hyperv/paths.go")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(all(`folderName += "([^"]+)"`, string(paths))).To(HaveLen(1))
	g.Expect(all(`\$FolderOnVolume = '([^']+)'`, code)).To(Equal(all(`folderName += "([^"]+)"`, string(paths))))
}

func TestTheInstallersHelpIsWhole(t *testing.T) {
	g := NewWithT(t)
	_, help, code := installer(g)
	head, _, _ := strings.Cut(code, "\n)\n")
	parameters := all(`(?m)^    \[[a-z]+(?:\[\])?\]\$([A-Za-z0-9]+)`, head)
	g.Expect(len(parameters)).To(BeNumerically(">", 10))
	g.Expect(all(`(?m)^\.PARAMETER ([A-Za-z0-9]+)$`, help)).To(ConsistOf(parameters))
	for _, section := range []string{".SYNOPSIS", ".DESCRIPTION", ".EXAMPLE"} {
		g.Expect(help).To(ContainSubstring("\n" + section + "\n"))
	}
	// The examples use parameters that there are.
	for _, parameter := range all(`(?m)^\.\\install-agent\.ps1.* -([A-Z][A-Za-z]+)`, help) {
		g.Expect(append(parameters, "WhatIf")).To(ContainElement(parameter))
	}
}

// Windows PowerShell reads a file without a mark in the code page of the host.
func TestTheInstallerIsASCII(t *testing.T) {
	g := NewWithT(t)
	script, _, _ := installer(g)
	g.Expect(strings.IndexFunc(script, func(r rune) bool { return r > '~' })).To(Equal(-1))
}

// What changes a host heeds -WhatIf by itself only if it is a cmdlet. All
// programs, and all changes, stand behind a question.
func TestNothingIsChangedWithoutShouldProcess(t *testing.T) {
	g := NewWithT(t)
	_, _, code := installer(g)
	g.Expect(code).To(ContainSubstring("[CmdletBinding(SupportsShouldProcess"))
	changes := regexp.MustCompile(`(?m)^\s+(& icacls|Invoke-Agent -|Copy-Item|Move-Item|Remove-Item|New-Item|Remove-NetFirewallRule|New-NetFirewallRule|Add-LocalGroupMember|Remove-LocalGroupMember|Grant-ClusterAccess)`)
	for _, function := range strings.Split(code, "\nfunction ")[1:] {
		name, _, _ := strings.Cut(function, " ")
		if name == "Invoke-Agent" {
			continue
		}
		change := changes.FindStringIndex(function)
		if change == nil {
			continue
		}
		g.Expect(strings.Index(function, "ShouldProcess(")).To(And(BeNumerically(">", 0), BeNumerically("<", change[0])), name)
	}
}

func TestSecretsPassTheInstallerByAPipeOnly(t *testing.T) {
	g := NewWithT(t)
	_, _, code := installer(g)
	g.Expect(all(`([^\n]*\.Password\b[^\n]*)`, code)).To(Equal([]string{"    if ($Credential) { $line = $Credential.GetNetworkCredential().Password }"}))
	g.Expect(all(`([^\n]*\$line\b[^\n]*)`, code)).To(HaveExactElements(
		"    $line = ''",
		"    if ($Credential) { $line = $Credential.GetNetworkCredential().Password }",
		"    Invoke-Agent -Argument $arguments -InputLine $line",
	))
	g.Expect(all(`([^\n]*\$InputLine\b[^\n]*)`, code)).To(HaveExactElements(
		"    param([string[]]$Argument, [string]$InputLine)",
		"    if ($InputLine) {",
		"            $InputLine | & $Program @Argument",
	))
}

func TestTheGuideListsAllEvents(t *testing.T) {
	g := NewWithT(t)
	guide, err := os.ReadFile("../../docs/hosts.md")
	g.Expect(err).NotTo(HaveOccurred())
	listed := all(`(?m)^\| ([1-9][0-9]{2}) \|`, string(guide))
	var numbers []string
	for _, event := range agentcmd.Events() {
		g.Expect(string(guide)).To(ContainSubstring(fmt.Sprintf("| %d | %s |", int(event), event)))
		numbers = append(numbers, strconv.Itoa(int(event)))
	}
	g.Expect(listed).To(ConsistOf(numbers))
}
