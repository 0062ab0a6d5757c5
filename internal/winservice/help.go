package winservice

const help = program + ` installs and looks after the agent as a service of Windows.

Usage:
  ` + program + ` install [flags] [-- flags of the agent]
  ` + program + ` uninstall [--dry-run]
  ` + program + ` start [--dry-run]
  ` + program + ` stop [--dry-run]
  ` + program + ` status

All need an administrator's console, status alone does not. Each says what it does,
and does nothing where there is nothing to do, so any of them can be repeated.
'` + program + ` COMMAND --help' tells more of one.
`

const installHelp = `Installs the service, or brings one that is there up to what is asked for.

Usage:
  ` + program + ` install [flags] [-- flags of the agent]

The service runs this very file: copy it to where only administrators may write,
such as C:\Program Files\Capstan. It starts with Windows, a little delayed, is
started again after 5 s, 30 s and then every 2 min when it fails, and writes to
the event log Application. The state folder is left to administrators and to the
service. Where a running service must change, it is stopped for that; virtual
machines keep running.

The account needs the rights of the local group Hyper-V Administrators, which
hack/install-agent.ps1 gives it, and no more. Its password, if it has one, is never
taken from the command line.

Example:
  ` + program + ` install --enrol-token-file C:\token.txt -- --listen :7443

Flags:
`

const uninstallHelp = `Stops and removes the service and its event source. Virtual machines keep
running. The state folder stays, for the agent's identity is in it.

Flags:
`

const startHelp = `Starts the service and waits until the manager can reach the agent.

Flags:
`

const stopHelp = `Stops the service and waits until it has answered what it was asked; longer work
goes on from the journal at the next start. Virtual machines keep running.

Flags:
`

const statusHelp = `Tells how the service is. The exit code is 0 if it runs, 3 if it does not, and 4 if
it is not installed.
`
