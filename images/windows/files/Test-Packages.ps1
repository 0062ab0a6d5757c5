<#
.SYNOPSIS
Says what is wrong with the packages of an image, all at once and before anything is installed.

.DESCRIPTION
Every package must have its checksum in packages.json, as its publisher states it, and lie in the folder packages with that
checksum. A checksum that is missing is not made up from what was downloaded: that would say nothing. Run it where you
gather the packages, on any Windows; Install-Node.ps1 begins with it.

.PARAMETER Root
The copy of images/windows.

.PARAMETER Download
Gets packages that are not there yet from their sources.
#>
#Requires -Version 5.1
[CmdletBinding()]
param(
    [string]$Root = (Split-Path -Parent $PSScriptRoot),
    [switch]$Download
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$list = Get-Content -LiteralPath (Join-Path $Root 'packages.json') -Raw | ConvertFrom-Json
$folder = Join-Path $Root 'packages'
$faults = @()
foreach ($package in $list.packages) {
    $path = Join-Path $folder $package.file
    if ($Download -and -not (Test-Path -LiteralPath $path)) {
        New-Item -ItemType Directory -Path $folder -Force | Out-Null
        # Windows PowerShell draws a bar for each block otherwise, and takes ten times as long.
        $ProgressPreference = 'SilentlyContinue'
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        Invoke-WebRequest -Uri $package.source -OutFile "$path.part" -UseBasicParsing
        Move-Item -LiteralPath "$path.part" -Destination $path
    }
    if ($package.sha256 -notmatch '^[0-9a-f]{64}$') {
        $faults += "$($package.name) has no checksum in packages.json: take it from where $($package.source) is published"
        continue
    }
    if (-not (Test-Path -LiteralPath $path)) {
        $faults += "there is no $path"
        continue
    }
    $hash = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash
    if ($hash -ne $package.sha256) { $faults += "$path has the checksum $($hash.ToLower()), and not $($package.sha256)" }
}
foreach ($name in 'kubeadm', 'kubelet', 'kube-proxy') {
    $package = $list.packages | Where-Object { $_.name -eq $name }
    if (-not $package -or "v$($package.version)" -ne $list.kubernetesVersion) { $faults += "$name is not of $($list.kubernetesVersion)" }
}
if ($faults.Count -gt 0) { throw "These packages make no image: $($faults -join '; ')." }
Write-Output 'All packages are there and are what their publishers say.'
