<#
.SYNOPSIS
Runs kubelet with what kubeadm wrote for it. The service kubelet runs this.

.DESCRIPTION
kubeadm hands flags of this node, its provider ID, labels and taints among them, to kubelet by an environment file. That
is systemd's way; services of Windows have none, so the file is read here.
#>
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$arguments = @(
    '--config=C:\var\lib\kubelet\config.yaml',
    '--bootstrap-kubeconfig=C:\etc\kubernetes\bootstrap-kubelet.conf',
    '--kubeconfig=C:\etc\kubernetes\kubelet.conf',
    '--cert-dir=C:\var\lib\kubelet\pki'
)
$file = 'C:\var\lib\kubelet\kubeadm-flags.env'
if (Test-Path -LiteralPath $file) {
    $text = [System.IO.File]::ReadAllText($file)
    if ($text -match '(?m)^KUBELET_KUBEADM_ARGS="(.*)"\s*$') {
        # kubeadm's flags have no spaces in them.
        $arguments += @($Matches[1] -split '\s+' | Where-Object { $_ })
    }
}
& 'C:\k\kubelet.exe' @arguments
exit $LASTEXITCODE
