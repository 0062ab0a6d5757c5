<#
.SYNOPSIS
Turns a freshly installed Windows Server into a node image: installs what packages.json lists, then sets it up.

.DESCRIPTION
Run it in the VM that becomes the image, in an administrator's console, from a copy of images/windows that has the
packages in its folder packages. Nothing is downloaded here; every package must have its checksum. It can be repeated.
It was not run by Capstan's own tests, which have neither Windows nor PowerShell: README.md says what was tested.

.PARAMETER Root
The copy of images/windows.
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
[CmdletBinding()]
param([string]$Root = (Split-Path -Parent $PSScriptRoot))
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$list = Get-Content -LiteralPath (Join-Path $Root 'packages.json') -Raw | ConvertFrom-Json
$programs = 'C:\k'
$containerd = 'C:\Program Files\containerd'
$cloudbase = 'C:\Program Files\Cloudbase Solutions\Cloudbase-Init'

function Get-Package {
    param([string]$Name)
    $package = $list.packages | Where-Object { $_.name -eq $Name }
    if (-not $package) { throw "packages.json has no $Name" }
    $path = Join-Path (Join-Path $Root 'packages') $package.file
    if ($package.sha256 -notmatch '^[0-9a-f]{64}$') { throw "packages.json has no checksum for $Name" }
    $hash = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash
    if ($hash -ne $package.sha256) { throw "$path has the checksum $hash, and not $($package.sha256)" }
    return $path
}

function Invoke-Program {
    param([string]$Path, [string[]]$Argument)
    & $Path @Argument
    if ($LASTEXITCODE -ne 0) { throw "$Path $($Argument -join ' ') ended with code $LASTEXITCODE" }
}

function Expand-Package {
    param([string]$Name, [string]$Folder, [string[]]$Member = @())
    New-Item -ItemType Directory -Path $Folder -Force | Out-Null
    Invoke-Program -Path 'tar.exe' -Argument (@('-xf', (Get-Package $Name), '-C', $Folder) + $Member)
}

function Install-Feature {
    $result = Install-WindowsFeature -Name Containers
    if ("$($result.RestartNeeded)" -eq 'Yes') {
        throw 'Windows must be restarted for the feature Containers: restart it, and run this again'
    }
    # Nodes are replaced, not updated: an update of its own would restart a node under its pods.
    Set-Service -Name wuauserv -StartupType Disabled
    Set-Service -Name W32Time -StartupType Automatic
}

function Install-Containerd {
    if (Get-Service -Name containerd -ErrorAction SilentlyContinue) { Stop-Service -Name containerd -Force }
    Expand-Package -Name containerd -Folder $containerd
    Expand-Package -Name cni-plugins -Folder 'C:\opt\cni\bin'
    New-Item -ItemType Directory -Path "$containerd\certs.d", 'C:\etc\cni\net.d' -Force | Out-Null
    $config = (Get-Content -LiteralPath (Join-Path $PSScriptRoot 'containerd.toml') -Raw).Replace('@SANDBOX_IMAGE@', $list.sandboxImage)
    # Without a mark of UTF-8, which TOML does not know.
    [System.IO.File]::WriteAllText("$containerd\config.toml", $config)
    if (-not (Get-Service -Name containerd -ErrorAction SilentlyContinue)) {
        Invoke-Program -Path "$containerd\bin\containerd.exe" -Argument '--register-service', '--config', "$containerd\config.toml", '--log-file', 'C:\ProgramData\containerd\containerd.log'
    }
    Set-Service -Name containerd -StartupType Automatic
    Invoke-Program -Path 'sc.exe' -Argument 'failure', 'containerd', 'reset=', '86400', 'actions=', 'restart/5000/restart/30000/restart/120000'
    Start-Service -Name containerd
    # So that the first pod of a node does not wait for a registry.
    Invoke-Program -Path "$containerd\bin\ctr.exe" -Argument '--namespace', 'k8s.io', 'images', 'pull', $list.sandboxImage
}

function Install-Kubernetes {
    New-Item -ItemType Directory -Path $programs, 'C:\var\log\kubelet', 'C:\var\lib\kubelet', 'C:\etc\kubernetes\manifests' -Force | Out-Null
    foreach ($name in 'kubeadm', 'kubelet', 'kube-proxy') { Copy-Item -LiteralPath (Get-Package $name) -Destination "$programs\$name.exe" -Force }
    foreach ($name in 'Start-Kubelet.ps1', 'Start-KubeProxy.ps1', 'Report-Failure.ps1') { Copy-Item -LiteralPath (Join-Path $PSScriptRoot $name) -Destination "$programs\$name" -Force }
    Expand-Package -Name nssm -Folder "$env:TEMP\nssm"
    Copy-Item -Path "$env:TEMP\nssm\nssm-*\win64\nssm.exe" -Destination "$programs\nssm.exe" -Force
    # Whoever may write here becomes the system.
    Invoke-Program -Path 'icacls.exe' -Argument $programs, '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F', '/Q'
    $path = [Environment]::GetEnvironmentVariable('Path', 'Machine')
    if (($path -split ';') -notcontains $programs) { [Environment]::SetEnvironmentVariable('Path', "$path;$programs", 'Machine') }

    $nssm = "$programs\nssm.exe"
    if (-not (Get-Service -Name kubelet -ErrorAction SilentlyContinue)) {
        Invoke-Program -Path $nssm -Argument 'install', 'kubelet', "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
    }
    $settings = [ordered]@{
        AppParameters = "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File $programs\Start-Kubelet.ps1"
        AppStdout = 'C:\var\log\kubelet\kubelet.log'; AppStderr = 'C:\var\log\kubelet\kubelet.log'
        AppRotateFiles = '1'; AppRotateOnline = '1'; AppRotateBytes = '10485760'
        DependOnService = 'containerd'
        # kubeadm starts it, and the seed has it start with Windows from then on.
        Start = 'SERVICE_DEMAND_START'
    }
    foreach ($name in $settings.Keys) { Invoke-Program -Path $nssm -Argument 'set', 'kubelet', $name, $settings[$name] }
    if (-not (Get-NetFirewallRule -Name kubelet -ErrorAction SilentlyContinue)) {
        New-NetFirewallRule -Name kubelet -DisplayName kubelet -Direction Inbound -Action Allow -Protocol TCP -LocalPort 10250 | Out-Null
    }
}

function Install-CloudbaseInit {
    $arguments = '/i', (Get-Package cloudbase-init), '/qn', '/norestart', 'RUN_SERVICE_AS_LOCAL_SYSTEM=1'
    $process = Start-Process -FilePath msiexec.exe -ArgumentList ($arguments | ForEach-Object { "`"$_`"" }) -Wait -PassThru
    if ($process.ExitCode -notin 0, 3010) { throw "msiexec.exe ended with code $($process.ExitCode)" }
    Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'cloudbase-init.conf') -Destination "$cloudbase\conf\cloudbase-init.conf" -Force
    # It must not run before the image is a node.
    Stop-Service -Name cloudbase-init -Force -ErrorAction SilentlyContinue
    Invoke-Program -Path 'sc.exe' -Argument 'config', 'cloudbase-init', 'obj=', 'LocalSystem'
    Set-Service -Name cloudbase-init -StartupType Automatic
}

function Register-Report {
    $action = New-ScheduledTaskAction -Execute powershell.exe -Argument "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File $programs\Report-Failure.ps1"
    $principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -RunLevel Highest
    Register-ScheduledTask -TaskName 'Capstan report failure' -Action $action -Trigger (New-ScheduledTaskTrigger -AtStartup) -Principal $principal -Force | Out-Null
}

# All of it first: a machine with half of its packages is no image, and hard to tell from one.
& (Join-Path $PSScriptRoot 'Test-Packages.ps1') -Root $Root
Install-Feature
Install-Containerd
Install-Kubernetes
Install-CloudbaseInit
Register-Report
& (Join-Path $PSScriptRoot 'Test-Node.ps1') -Root $Root
