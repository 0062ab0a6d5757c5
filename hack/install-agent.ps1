<#
.SYNOPSIS
Makes this Hyper-V host ready for Capstan, and installs, updates or removes Capstan's host agent.

.DESCRIPTION
Run it in an administrator's console on each host, with capstan-agent.exe beside it. It looks whether the host is fit
(Windows Server 2022 or later, the Hyper-V role, the failover cluster and its cluster shared volumes where there is one),
copies the agent to Program Files, installs it as a service under an account with few rights, opens the firewall for the
manager, lets the account into the local group Hyper-V Administrators and into a folder on each volume (and, in a
failover cluster, into Distributed COM Users and the cluster), hands over the
one-time enrolment token and starts the service. It can be run again at any time: what is as it should be is left alone.
Virtual machines keep running through all of it.

The account never needs to be a domain administrator, nor an administrator of the host.

Nobody who makes Capstan could run PowerShell against Hyper-V yet: this script is parsed and compared with the agent's
own flags by tests, and was not run by them. Use -WhatIf first, and read what it says. docs/hosts.md is the guide, and
has every step for doing it by hand.

.PARAMETER AgentPath
The agent's program. Default: capstan-agent.exe in the folder of this script.

.PARAMETER Sha256
The checksum that the program must have. Take it from the release, not from where the program came from.

.PARAMETER Account
Who the service runs as. The default, NT SERVICE\capstan-agent, is an account of the service's own without a password,
which is the computer itself to the network: right for stand-alone hosts. For members of a failover cluster give a
group managed service account, DOMAIN\name$: all members know it, and nobody its password. A user, DOMAIN\name, is
possible and needs -Credential.

.PARAMETER Credential
Name and password of a user's account, in place of -Account. The password goes to the agent's installer by a pipe and
to Windows from there; it is in no command line and in no log.

.PARAMETER TokenFile
The file with the one-time enrolment token of this host. Needed until the agent is enrolled. The file is removed.

.PARAMETER Port
The TCP port that the manager dials.

.PARAMETER ManagerAddress
The addresses, or subnets, that the manager dials from: nodes of the management cluster. The firewall lets in no others.
Without it the port is open to all: every connection is still authenticated both ways by TLS.

.PARAMETER StateDir
The agent's folder for its identity and journal.

.PARAMETER Volume
Where virtual machines may be put. On a stand-alone host it is needed: folders with the names that Capstan is to call
them by, such as data=D:\. In a failover cluster the volumes are the cluster shared volumes, and it is left out.

.PARAMETER AgentArgument
Further flags for the agent, such as --log-level=debug. 'capstan-agent.exe --help' lists them.

.PARAMETER NoStart
Leaves the service stopped.

.PARAMETER Uninstall
Removes the service, its firewall rule, its places in groups, and the program. Virtual machines, their disks and the
agent's identity stay.

.PARAMETER RemoveState
With -Uninstall: removes the agent's identity and journal, too. The host must be enrolled again afterwards.

.EXAMPLE
.\install-agent.ps1 -TokenFile C:\hv1.token -ManagerAddress 10.20.0.0/24 -Volume data=D:\ -WhatIf

Says what would be done on a stand-alone host, and does nothing.

.EXAMPLE
.\install-agent.ps1 -Account 'CORP\capstan$' -TokenFile C:\hv1.token -ManagerAddress 10.20.0.0/24

Installs on a member of a failover cluster.

.EXAMPLE
.\install-agent.ps1 -Account 'CORP\capstan$' -ManagerAddress 10.20.0.0/24

Updates the agent to the program beside the script, and mends whatever is not as it should be.

.EXAMPLE
.\install-agent.ps1 -Uninstall

Removes the agent and leaves its identity, so that it can be installed again without a new token.

.LINK
docs/hosts.md
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium', DefaultParameterSetName = 'Install')]
param(
    [Parameter(ParameterSetName = 'Install')]
    [ValidateNotNullOrEmpty()]
    [string]$AgentPath = (Join-Path $PSScriptRoot 'capstan-agent.exe'),

    [Parameter(ParameterSetName = 'Install')]
    [ValidatePattern('^[0-9A-Fa-f]{64}$')]
    [string]$Sha256,

    [ValidateNotNullOrEmpty()]
    [string]$Account = 'NT SERVICE\capstan-agent',

    [Parameter(ParameterSetName = 'Install')]
    [pscredential]$Credential,

    [Parameter(ParameterSetName = 'Install')]
    [string]$TokenFile,

    [Parameter(ParameterSetName = 'Install')]
    [ValidateRange(1, 65535)]
    [int]$Port = 7443,

    [Parameter(ParameterSetName = 'Install')]
    [string[]]$ManagerAddress = @('Any'),

    [ValidatePattern('^[A-Za-z]:\\[^"]+$')]
    [string]$StateDir = (Join-Path $env:ProgramData 'Capstan'),

    [Parameter(ParameterSetName = 'Install')]
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9._-]*=[A-Za-z]:\\[^"]*$')]
    [string[]]$Volume = @(),

    [Parameter(ParameterSetName = 'Install')]
    [ValidatePattern('^--[a-z][^"]*$')]
    [string[]]$AgentArgument = @(),

    [Parameter(ParameterSetName = 'Install')]
    [switch]$NoStart,

    [Parameter(ParameterSetName = 'Uninstall', Mandatory)]
    [switch]$Uninstall,

    [Parameter(ParameterSetName = 'Uninstall')]
    [switch]$RemoveState
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$ServiceName = 'capstan-agent'
$RuleName = 'capstan-agent-in'
$ProgramDir = Join-Path $env:ProgramFiles 'Capstan'
$Program = Join-Path $ProgramDir 'capstan-agent.exe'
# Below each volume; the agent makes nothing elsewhere.
$FolderOnVolume = 'capstan'
# By identifiers, which are the same in every language of Windows.
$HyperVAdministrators = 'S-1-5-32-578'
$DistributedComUsers = 'S-1-5-32-562'
$Administrators = 'S-1-5-32-544'
$System = 'S-1-5-18'
$VirtualMachines = 'S-1-5-83-0'
$OldestBuild = 20348 # Windows Server 2022

if ($Credential) { $Account = $Credential.UserName }
$StateDir = $StateDir.TrimEnd('\')
$isVirtual = $Account -like 'NT SERVICE\*'
$isManaged = $Account.EndsWith('$')

function Test-Host {
    <# Returns what keeps this host from being one of Capstan's, and warns of what may. #>
    $faults = @()
    $build = [Environment]::OSVersion.Version.Build
    if ($build -lt $OldestBuild) { $faults += "Windows build $build is older than Windows Server 2022 ($OldestBuild)" }
    if (-not (Get-WindowsFeature -Name Hyper-V).Installed) {
        $faults += 'the Hyper-V role is not installed: Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart'
        return $faults
    }
    $management = Get-Service -Name vmms -ErrorAction SilentlyContinue
    if (-not $management -or $management.Status -ne 'Running') {
        $faults += 'the service vmms (Hyper-V Virtual Machine Management) does not run: restart the host if the role was just installed'
        return $faults
    }
    if (-not (Get-VMSwitch -SwitchType External)) {
        Write-Warning 'There is no external virtual switch. LogicalNetworks name one; make it before clusters are made.'
    }
    $member = Get-Service -Name ClusSvc -ErrorAction SilentlyContinue
    if ($member -and $member.Status -ne 'Running' -and "$($member.StartType)" -ne 'Disabled') {
        # It would be taken for a stand-alone host.
        $faults += 'this host is a member of a failover cluster whose service ClusSvc does not run: Start-ClusterNode'
        return $faults
    }
    if (Test-Clustered) {
        $node = Get-ClusterNode -Name $env:COMPUTERNAME
        if ($node.State -ne 'Up') { $faults += "this host is $($node.State) in its failover cluster: Resume-ClusterNode" }
        $shared = @(Get-ClusterSharedVolume)
        if ($shared.Count -eq 0) { $faults += 'the failover cluster has no cluster shared volume: Add-ClusterSharedVolume' }
        foreach ($one in $shared) {
            if ($one.State -ne 'Online') { Write-Warning "Cluster shared volume $($one.Name) is $($one.State)." }
        }
        if ($isVirtual) {
            Write-Warning "$Account is an account of this host alone. Members of a failover cluster are best run as one group managed service account."
        }
    }
    elseif ($Volume.Count -eq 0) {
        $faults += 'this host is in no failover cluster, so -Volume must say where virtual machines may be put, such as -Volume data=D:\'
    }
    foreach ($item in $Volume) {
        $folder = ($item -split '=', 2)[1]
        if (-not (Test-Path -LiteralPath $folder -PathType Container)) { $faults += "there is no $folder" }
    }
    if ($Volume.Count -gt 0 -and (Test-Clustered)) { $faults += 'this host is in a failover cluster, whose cluster shared volumes are used: leave -Volume out' }
    if ($isManaged -and (Get-Command Test-ADServiceAccount -ErrorAction SilentlyContinue)) {
        $name = $Account.Split('\')[-1].TrimEnd('$')
        if (-not (Test-ADServiceAccount -Identity $name)) {
            $faults += "this host may not use $Account`: let it retrieve the password (PrincipalsAllowedToRetrieveManagedPassword), then Install-ADServiceAccount $name"
        }
    }
    if ($ManagerAddress -contains 'Any') {
        Write-Warning "Port $Port will be open to all addresses. -ManagerAddress names those that need it."
    }
    $faults
}

function Test-Clustered {
    $service = Get-Service -Name ClusSvc -ErrorAction SilentlyContinue
    return [bool]($service -and $service.Status -eq 'Running')
}

function Get-VmVolume {
    <# Returns the roots of the volumes on which virtual machines are put. #>
    if (Test-Clustered) {
        return @(Get-ClusterSharedVolume | ForEach-Object { $_.SharedVolumeInfo.FriendlyVolumeName })
    }
    return @($Volume | ForEach-Object { ($_ -split '=', 2)[1] })
}

function Invoke-Agent {
    <# Runs the installed agent's own installer, which tells what it does. Input goes to it by a pipe. #>
    param([string[]]$Argument, [string]$InputLine)
    if ($InputLine) {
        # Windows PowerShell writes pipes in ASCII otherwise, and turns other letters into question marks.
        $before = $OutputEncoding
        try {
            $script:OutputEncoding = New-Object System.Text.UTF8Encoding $false
            $InputLine | & $Program @Argument
        }
        finally { $script:OutputEncoding = $before }
    }
    else { & $Program @Argument }
    if ($LASTEXITCODE -ne 0) { throw "capstan-agent.exe $($Argument[0]) $($Argument[1]) ended with code $LASTEXITCODE; its message is above." }
}

function Install-Program {
    <# Puts the program where only administrators may write. #>
    $source = (Resolve-Path -LiteralPath $AgentPath).ProviderPath
    $hash = (Get-FileHash -LiteralPath $source -Algorithm SHA256).Hash
    if ($Sha256 -and $hash -ne $Sha256) { throw "$source has the checksum $hash, and not the one that was asked for." }
    if (Test-Path -LiteralPath $Program) {
        if ((Get-FileHash -LiteralPath $Program -Algorithm SHA256).Hash -eq $hash) {
            Write-Verbose "$Program is up to date."
            return
        }
    }
    if (-not $PSCmdlet.ShouldProcess($Program, 'copy the agent')) { return }
    New-Item -ItemType Directory -Path $ProgramDir -Force | Out-Null
    if (Get-Service -Name $ServiceName -ErrorAction SilentlyContinue) { Invoke-Agent -Argument 'service', 'stop' }
    # A copy that is cut off leaves the old program.
    $part = "$Program.new"
    Copy-Item -LiteralPath $source -Destination $part -Force
    Move-Item -LiteralPath $part -Destination $Program -Force
}

function Install-AgentService {
    $arguments = @('service', 'install', '--no-start', '--account', $Account)
    if ($TokenFile) { $arguments += '--enrol-token-file', (Resolve-Path -LiteralPath $TokenFile).ProviderPath }
    if ($Credential) { $arguments += '--password-stdin' }
    $arguments += '--', '--listen', ":$Port", '--state-dir', $StateDir
    if (-not (Test-Clustered)) {
        # A folder with a space in it and a backslash at its end would be quoted wrongly.
        foreach ($item in $Volume) { $arguments += "--hyperv-volume=$($item.TrimEnd('\'))" }
    }
    $arguments += $AgentArgument
    if (-not $PSCmdlet.ShouldProcess("service $ServiceName", "install, as $Account")) { return }
    $line = ''
    if ($Credential) { $line = $Credential.GetNetworkCredential().Password }
    Invoke-Agent -Argument $arguments -InputLine $line
}

function Get-AccountSid {
    $name = $Account
    if ($name.StartsWith('.\')) { $name = "$env:COMPUTERNAME\$($name.Substring(2))" }
    (New-Object System.Security.Principal.NTAccount $name).Translate([System.Security.Principal.SecurityIdentifier]).Value
}

function Test-GroupMember {
    param([string]$Group, [string]$Sid)
    # Get-LocalGroupMember fails where a member was deleted meanwhile.
    $entry = [ADSI]"WinNT://./$((Get-LocalGroup -SID $Group).Name),group"
    foreach ($member in @($entry.Invoke('Members'))) {
        $bytes = ([ADSI]$member).InvokeGet('objectSid')
        if ((New-Object System.Security.Principal.SecurityIdentifier $bytes, 0).Value -eq $Sid) { return $true }
    }
    return $false
}

function Add-Right {
    <# Lets the account manage Hyper-V, the failover cluster, and folders on the volumes. #>
    if ($WhatIfPreference -and -not (Get-Service -Name $ServiceName -ErrorAction SilentlyContinue) -and $isVirtual) {
        # The account comes into being with the service.
        $null = $PSCmdlet.ShouldProcess($Account, 'add to Hyper-V Administrators and let into folders on the volumes')
        return
    }
    $sid = Get-AccountSid
    if (-not (Test-GroupMember -Group $HyperVAdministrators -Sid $sid) -and $PSCmdlet.ShouldProcess($Account, 'add to Hyper-V Administrators')) {
        Add-LocalGroupMember -SID $HyperVAdministrators -Member $sid
    }
    if ((Test-Clustered) -and -not $isVirtual) {
        # The agents of a failover cluster ask Hyper-V of the other members, too.
        if (-not (Test-GroupMember -Group $DistributedComUsers -Sid $sid) -and $PSCmdlet.ShouldProcess($Account, 'add to Distributed COM Users')) {
            Add-LocalGroupMember -SID $DistributedComUsers -Member $sid
        }
        $granted = @(Get-ClusterAccess | Where-Object { "$($_.IdentityReference)" -eq $Account })
        if ($granted.Count -eq 0 -and $PSCmdlet.ShouldProcess($Account, 'grant full access to the failover cluster')) {
            Grant-ClusterAccess -User $Account -Full | Out-Null
        }
    }
    foreach ($root in Get-VmVolume) {
        $folder = Join-Path $root $FolderOnVolume
        if (-not $PSCmdlet.ShouldProcess($folder, "leave to administrators, virtual machines and $Account")) { continue }
        New-Item -ItemType Directory -Path $folder -Force | Out-Null
        # M is all but changing who may.
        $grants = "*${System}:(OI)(CI)F", "*${Administrators}:(OI)(CI)F", "*${VirtualMachines}:(OI)(CI)M", "*${sid}:(OI)(CI)M"
        & icacls.exe $folder /inheritance:r /grant:r $grants /Q | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "icacls.exe ended with code $LASTEXITCODE for $folder." }
    }
}

function Set-Firewall {
    # Windows gives addresses back in another form than they were given in, so the rule says what it was made from.
    $description = "Lets Capstan's manager dial the agent of this host: from $($ManagerAddress -join ', ') to TCP port $Port."
    $rule = Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue
    if ($rule -and $rule.Description -eq $description -and "$($rule.Enabled)" -eq 'True' -and "$($rule.Action)" -eq 'Allow') {
        Write-Verbose "Firewall rule $RuleName is up to date."
        return
    }
    if (-not $PSCmdlet.ShouldProcess("firewall rule $RuleName", "let $($ManagerAddress -join ', ') reach TCP port $Port")) { return }
    if ($rule) { Remove-NetFirewallRule -Name $RuleName }
    New-NetFirewallRule -Name $RuleName -DisplayName 'Capstan host agent' -Description $description `
        -Direction Inbound -Action Allow -Protocol TCP -LocalPort $Port -RemoteAddress $ManagerAddress -Program $Program -Profile Any | Out-Null
}

function Install-All {
    $faults = @(Test-Host)
    if ($faults.Count -gt 0) { throw "This host is not fit for Capstan: $($faults -join '; ')." }
    Install-Program
    Install-AgentService
    Add-Right
    Set-Firewall
    if (-not $NoStart -and $PSCmdlet.ShouldProcess("service $ServiceName", 'start')) {
        Invoke-Agent -Argument 'service', 'start'
        Invoke-Agent -Argument 'service', 'status'
    }
}

function Uninstall-All {
    $sid = $null
    try { $sid = Get-AccountSid } catch { Write-Verbose "Account $Account is not known any more." }
    if ((Test-Path -LiteralPath $Program) -and $PSCmdlet.ShouldProcess("service $ServiceName", 'uninstall')) {
        Invoke-Agent -Argument 'service', 'uninstall'
    }
    foreach ($group in $HyperVAdministrators, $DistributedComUsers) {
        if ($sid -and (Test-GroupMember -Group $group -Sid $sid) -and $PSCmdlet.ShouldProcess($Account, "remove from group $group")) {
            Remove-LocalGroupMember -SID $group -Member $sid
        }
    }
    if ((Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue) -and $PSCmdlet.ShouldProcess("firewall rule $RuleName", 'remove')) {
        Remove-NetFirewallRule -Name $RuleName
    }
    if ((Test-Path -LiteralPath $ProgramDir) -and $PSCmdlet.ShouldProcess($ProgramDir, 'remove')) {
        Remove-Item -LiteralPath $ProgramDir -Recurse -Force
    }
    if ($RemoveState -and (Test-Path -LiteralPath $StateDir) -and $PSCmdlet.ShouldProcess($StateDir, "remove the agent's identity and journal")) {
        Remove-Item -LiteralPath $StateDir -Recurse -Force
    }
    if (-not $RemoveState) { Write-Verbose "The agent's identity stays in $StateDir." }
}

if ($Uninstall) { Uninstall-All } else { Install-All }
