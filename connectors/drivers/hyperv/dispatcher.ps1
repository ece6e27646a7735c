# The one script that runs on a Hyper-V host. Each line of standard input is a request as JSON, answered by a
# line of JSON on standard output, both in ASCII; dispatcher.py says what stands in them. After a request that
# fails it ends. It never changes: its hash is pinned, and no value ever becomes part of a script. Windows takes
# 8191 characters of command line, so these comments and all indentation are left out of what is sent, and
# names are short. Written for Windows PowerShell 5.1.
$ErrorActionPreference = 'Stop'
$ProgressPreference = $WarningPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'
# What may be called: names without a module are functions of this script, the others follow their module's.
$ok = foreach ($w in -split @'
Read-Chunk
Write-Chunk
Hyper-V\
Add-VMHardDiskDrive
Checkpoint-VM
Convert-VHD
Enable-VMResourceMetering
Get-VHD
Get-VM
Get-VMFirmware
Get-VMHardDiskDrive
Get-VMHost
Get-VMSnapshot
Measure-VM
Move-VM
Move-VMStorage
New-VHD
New-VM
Remove-VM
Remove-VMHardDiskDrive
Remove-VMNetworkAdapter
Remove-VMSavedState
Resize-VHD
Restore-VMSnapshot
Resume-VM
Save-VM
Set-VM
Set-VMHardDiskDrive
Start-VM
Stop-VM
FailoverClusters\
Add-ClusterVirtualMachineRole
Get-Cluster
Get-ClusterGroup
Get-ClusterNode
Move-ClusterVirtualMachineRole
Remove-ClusterGroup
CimCmdlets\
Get-CimInstance
Storage\
Get-Volume
Microsoft.PowerShell.Management\
Remove-Item
Rename-Item
'@) {
    if ($w -like '*\') {
        $mod = $w
    }
    else {
        $mod + $w
    }
}
# Nothing but folders that the driver made for its machines, and the disks in them, can be removed, read or written,
# and machines' files go nowhere else.
$ours = '\\tierwise-[0-9a-f-]{36}-(\*|[0-9a-f]{8}(|\*|\\disk\[s\]|\\disks\\(disk|part-|added-)[\w-]*(\*|\.a?vhdx?)))$'
# What they leave open when they fail ends with the process.
function Read-Chunk($Path, $Offset, $Count) {
    $f = [IO.File]::OpenRead($Path)
    $f.Position = $Offset
    $b = New-Object byte[] $Count
    @{ Data = [Convert]::ToBase64String($b, 0, $f.Read($b, 0, $Count)); Size = $f.Length }
    $f.Close()
}
function Write-Chunk($Path, $Offset, $Data) {
    $f = [IO.File]::OpenWrite($Path)
    $f.Position = $Offset
    $b = [Convert]::FromBase64String($Data)
    $f.Write($b, 0, $b.Length)
    $f.Close()
}
function Get-Plain($v) {
    if ($v -is [timespan]) {
        [long]$v.TotalMilliseconds
    }
    elseif ($v -is [datetime]) {
        $v.ToUniversalTime().ToString('o')
    }
    elseif ($null -eq $v -or $v -is [string] -or $v.GetType().IsPrimitive) {
        $v
    }
    else {
        "$v"
    }
}
function Get-Path($r, $path) {
    $now = @($r)
    foreach ($name in $path.Split('.')) {
        $now = @(foreach ($o in $now) { $o.$name })
    }
    if ($path.Contains('.')) {
        return , [Collections.ArrayList]@(foreach ($o in $now) { Get-Plain $o })
    }
    return Get-Plain $now[0]
}
foreach ($l in $input) {
    $y = @{}
    $s = @()
    $out = [Collections.ArrayList]@()
    try {
        foreach ($c in (ConvertFrom-Json $l).commands) {
            $name = $c.name
            $a = @{}
            foreach ($p in $c.params.PSObject.Properties) {
                $v = $p.Value
                if ($v -is [array]) {
                    $i, $k = $v
                    $v = @($s[$i])
                    if ($k) {
                        $v = @(foreach ($o in $v) { $o.$k })
                    }
                    if ($v.Count -eq 1) {
                        $v = $v[0]
                    }
                }
                elseif ($v.From) {
                    $v = @{
                        SourceFilePath = $v.From
                        DestinationFilePath = $v.To
                    }
                }
                $a[$p.Name] = $v
            }
            $paths = @(
                foreach ($p in @($a.Keys) -like '*Path') { $a[$p] }
                foreach ($p in $a.Vhds.Values) { $p }
            )
            if ($ok -cnotcontains $name -or ($name -match '(Item|Chunk|Convert-VHD|New-VHD|Move-VM.*)$' -and (@($paths) -cnotmatch $ours))) {
                throw "not allowed: $name $paths"
            }
            if ($c.optional) {
                $a.ErrorAction = 'SilentlyContinue'
            }
            $r = @(
                try {
                    & $name @a
                }
                catch {
                    if (-not $c.optional) {
                        throw
                    }
                }
            )
            $s += , $r
            [void]$out.Add([Collections.ArrayList]@(foreach ($o in $r) {
                if ($c.select) {
                    $row = @{}
                    foreach ($path in $c.select) {
                        $row[$path] = Get-Path $o $path
                    }
                    $row
                }
            }))
        }
    }
    catch {
        $y = @{
            id = $_.FullyQualifiedErrorId
            category = "$($_.CategoryInfo.Category)"
            message = $_.Exception.Message
        }
    }
    $y.out = $out
    $t = ConvertTo-Json $y -Depth 8 -Compress
    [Console]::Out.WriteLine([regex]::Replace($t, '[^ -~]', { param($m) '\u{0:x4}' -f [int][char]$m.Value }))
    if ($y.category) {
        break
    }
}
