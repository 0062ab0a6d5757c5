<#
.SYNOPSIS
Says what an image lacks of what seeds rely on. Install-Node.ps1 ends with it; it ends with an error if anything is missing.
#>
#Requires -Version 5.1
[CmdletBinding()]
param([string]$Root = (Split-Path -Parent $PSScriptRoot))
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$faults = @()
$list = Get-Content -LiteralPath (Join-Path $Root 'packages.json') -Raw | ConvertFrom-Json

function Test-ServiceStart {
    param([string]$Name, [string]$Mode)
    $service = Get-CimInstance -ClassName Win32_Service -Filter "Name='$Name'"
    if (-not $service) { return "there is no service $Name" }
    if ($service.StartName -ne 'LocalSystem') { return "service $Name runs as $($service.StartName)" }
    if ($service.StartMode -ne $Mode) { return "service $Name starts $($service.StartMode), and not $Mode" }
}

$faults += @(Test-ServiceStart -Name containerd -Mode Auto)
$faults += @(Test-ServiceStart -Name kubelet -Mode Manual)
$faults += @(Test-ServiceStart -Name cloudbase-init -Mode Auto)

foreach ($name in 'kubeadm', 'kubelet', 'kube-proxy') {
    $version = (& "C:\k\$name.exe" $(if ($name -eq 'kubeadm') { 'version', '--output=short' } else { '--version' })) -join ' '
    if ($version -notmatch [regex]::Escape($list.kubernetesVersion)) { $faults += "$name is $version, and not $($list.kubernetesVersion)" }
}
foreach ($name in 'Start-Kubelet.ps1', 'Start-KubeProxy.ps1', 'Report-Failure.ps1') {
    if (-not (Test-Path -LiteralPath "C:\k\$name")) { $faults += "there is no C:\k\$name" }
}
foreach ($name in 'Get-HnsNetwork', 'Get-HnsEndpoint', 'Get-HnsPolicyList', 'Remove-HnsPolicyList') {
    if (-not (Get-Command -Name $name -ErrorAction SilentlyContinue)) { $faults += "there is no command $name, which Start-KubeProxy.ps1 needs" }
}
if (-not (Get-Command kubeadm.exe -ErrorAction SilentlyContinue)) { $faults += 'kubeadm is not in the path' }
if (Test-Path -LiteralPath 'C:\run') { $faults += 'C:\run is there: this machine was a node before' }
if (Test-Path -LiteralPath 'C:\etc\kubernetes\kubelet.conf') { $faults += 'a node''s credentials are in the image' }
$conf = Get-Content -LiteralPath 'C:\Program Files\Cloudbase Solutions\Cloudbase-Init\conf\cloudbase-init.conf' -Raw
if ($conf -notmatch '(?m)^metadata_services=cloudbaseinit\.metadata\.services\.nocloudservice\.NoCloudConfigDriveService\s*$') {
    $faults += 'cloudbase-init asks others than the seed who it is'
}
if (-not (Get-WindowsFeature -Name Containers).Installed) { $faults += 'the feature Containers is not installed' }
if (-not (Confirm-SecureBootUEFI)) { $faults += 'this VM does not use secure boot, as nodes do' }

$faults = @($faults | Where-Object { $_ })
if ($faults.Count -gt 0) { throw "This image is not fit: $($faults -join '; ')." }
Write-Output 'This image has what seeds rely on.'
