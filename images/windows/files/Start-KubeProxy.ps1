<#
.SYNOPSIS
Runs kube-proxy with what kubeadm wrote for it. The pods of kube-proxy.yaml run this on their node.

.DESCRIPTION
kubeadm's own kube-proxy is for Linux. Its settings, kubeconfig and token are mounted here, and follow the cluster; what
Windows has beside is put into a copy of the settings: kernelspace, the network of the network plugin, and on networks that
wrap packets the address that the plugin has given to this node.
#>
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$settings = 'C:\var\lib\kube-proxy\config.conf'
$copy = 'C:\ProgramData\kube-proxy\config.conf'

function Wait-For {
    param([string]$What, [scriptblock]$Look)
    while (-not ($found = & $Look)) {
        Write-Output "waiting for $What" | Out-Host
        Start-Sleep -Seconds 5
    }
    return $found
}

function Set-Setting {
    <# Sets a line that kubeadm always writes. Without it the settings are another version's, and guessing is worse. #>
    param([string]$Text, [string]$Name, [string]$Value)
    $line = [regex]"(?m)^(\s*)${Name}:.*$"
    if (-not $line.IsMatch($Text)) { throw "$settings has no $Name" }
    return $line.Replace($Text, "`${1}${Name}: $Value", 1)
}

$network = Wait-For "the network $env:HNS_NETWORK of the network plugin" { Get-HnsNetwork | Where-Object { $_.Name -eq $env:HNS_NETWORK } | Select-Object -First 1 }
$text = [System.IO.File]::ReadAllText($settings)
$text = Set-Setting -Text $text -Name 'mode' -Value 'kernelspace'
$text = Set-Setting -Text $text -Name 'enableDSR' -Value 'true'
$text = Set-Setting -Text $text -Name 'networkName' -Value "'$($network.Name)'"
if ($network.Type -eq 'Overlay') {
    $endpoint = Wait-For "the endpoint $env:HNS_ENDPOINT of this node" { Get-HnsEndpoint | Where-Object { $_.Name -eq $env:HNS_ENDPOINT } | Select-Object -First 1 }
    $text = Set-Setting -Text $text -Name 'sourceVip' -Value "'$($endpoint.IPAddress)'"
}
New-Item -ItemType Directory -Path (Split-Path -Parent $copy) -Force | Out-Null
[System.IO.File]::WriteAllText($copy, $text)

# What an earlier one left would be beside what this one makes.
Get-HnsPolicyList | Remove-HnsPolicyList
& 'C:\k\kube-proxy.exe' "--config=$copy" "--hostname-override=$env:NODE_NAME" '--v=2'
exit $LASTEXITCODE
