<#
.SYNOPSIS
Tells the host why this machine did not become a node. A task runs it after each start of Windows.

.DESCRIPTION
It waits for Cluster API's marker of success. Where that does not come, the lines that explain go to the serial port
COM1, which is the console of the VM to its host, and their end into a key-value pair of Hyper-V's data exchange; so
nobody has to log in. Tokens and keys are left out. It ends in silence on a machine that was never asked to join.
#>
param(
    [int]$WaitMinutes = 15,
    [string]$Marker = 'C:\run\cluster-api\bootstrap-success.complete'
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Continue'

$end = (Get-Date).AddMinutes($WaitMinutes)
while ((Get-Date) -lt $end) {
    if (Test-Path -LiteralPath $Marker) { exit 0 }
    Start-Sleep -Seconds 10
}
if (-not (Test-Path -LiteralPath (Split-Path $Marker))) { exit 0 }

function Get-Tail {
    param([string]$Title, [string]$Path, [int]$Count)
    if (-not (Test-Path -Path $Path)) { return "${Title}: there is no $Path" }
    Get-ChildItem -Path $Path | Sort-Object LastWriteTime | Select-Object -Last 1 |
        Get-Content -Tail $Count -ErrorAction SilentlyContinue | ForEach-Object { "${Title}: $_" }
}

function Hide-Secret {
    param([Parameter(ValueFromPipeline)][string]$Line)
    process {
        # Bootstrap tokens, then what looks like a key.
        $Line = $Line -replace '\b[a-z0-9]{6}\.[a-z0-9]{16}\b', '(token)'
        $Line = $Line -replace '(?<![A-Za-z0-9+/:])[A-Za-z0-9+/]{40,}={0,2}', '(key)'
        $Line -replace '(?i)((password|passwd|secret|token)["'']?\s*[:=]\s*)\S+', '$1(left out)'
    }
}

$lines = @('failed: this machine did not join its cluster')
foreach ($name in 'containerd', 'kubelet', 'cloudbase-init') {
    $service = Get-Service -Name $name -ErrorAction SilentlyContinue
    if ($service) { $lines += "service ${name}: $($service.Status)" } else { $lines += "failed: there is no service $name" }
}
$lines += Get-Tail -Title 'cloudbase-init' -Path 'C:\Program Files\Cloudbase Solutions\Cloudbase-Init\log\cloudbase-init.log' -Count 20
$lines += Get-Tail -Title 'kubelet' -Path 'C:\var\log\kubelet\*.log' -Count 40
$lines += Get-Tail -Title 'containerd' -Path 'C:\ProgramData\containerd\*.log' -Count 10
$lines = @($lines | Hide-Secret)

try {
    $port = New-Object System.IO.Ports.SerialPort 'COM1', 115200, 'None', 8, 'One'
    # A port that nobody reads must not keep this from its end.
    $port.WriteTimeout = 10000
    $port.Open()
    foreach ($line in $lines) { $port.WriteLine($line) }
    $port.Close()
}
catch { Write-Warning "COM1 cannot be written to: $_" }

# Hyper-V hands on values of at most 1,024 characters.
$text = $lines -join "`n"
if ($text.Length -gt 1000) { $text = $text.Substring(0, 200) + "`n..`n" + $text.Substring($text.Length - 790) }
$exchange = 'HKLM:\SOFTWARE\Microsoft\Virtual Machine\Guest'
if (Test-Path -LiteralPath $exchange) {
    Set-ItemProperty -LiteralPath $exchange -Name 'capstan-failure' -Value $text -Type String
}
exit 1
