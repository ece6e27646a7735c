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
New-Folder
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
Remove-VMSnapshot
Resize-VHD
Restore-VMSnapshot
Resume-VM
Save-VM
Set-VM
Set-VMFirmware
Set-VMHardDiskDrive
Set-VMMemory
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
Get-Item
Remove-Item
Rename-Item
'@) {
    if ($w -like '*\') {
        $m = $w
    }
    else {
        $m + $w
    }
}
# Nothing but folders that the driver made for its machines, and the disks in them, can be made, removed, read or
# written, and machines' files go nowhere else. What is converted may come from elsewhere: a template.
$ours = '\\tierwise-[0-9a-f-]{36}-(\*|[0-9a-f]{8}(|\*|\\disk(s|\[s\])|\\disks\\(disk|part-|added-)[\w-]*(\*|\.a?vhdx?)))$'
function New-Folder($Path) {
    [void][IO.Directory]::CreateDirectory($Path)
}
# What they leave open when they fail ends with the process.
function Read-Chunk($Path, $At, $Count) {
    $f = [IO.File]::OpenRead($Path)
    $f.Position = $At
    $b = [byte[]]::new($Count)
    @{ Data = [Convert]::ToBase64String($b, 0, $f.Read($b, 0, $Count)); Size = $f.Length }
    $f.Close()
}
function Write-Chunk($Path, $At, $Data) {
    $f = [IO.File]::OpenWrite($Path)
    $f.Position = $At
    $b = [Convert]::FromBase64String($Data)
    $f.Write($b, 0, $b.Length)
    $f.Close()
}
function Plain($v) {
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
function Pick($r, $q) {
    $r = @($r)
    foreach ($n in $q.Split('.')) {
        $r = @(foreach ($o in $r) { $o.$n })
    }
    if ($q.Contains('.')) {
        return , [Collections.ArrayList]@(foreach ($o in $r) { Plain $o })
    }
    return Plain $r[0]
}
foreach ($l in $input) {
    $y = @{}
    $s = @()
    $u = [Collections.ArrayList]@()
    try {
        foreach ($c in (ConvertFrom-Json $l).commands) {
            $n = $c.name
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
            $q = @(
                foreach ($p in @($a.Keys) -like '*Path') { if ("$n$p" -notlike '*Convert-VHDPath') { $a[$p] } }
                foreach ($p in $a.Vhds.Values) { $p }
            )
            if ($ok -cnotcontains $n -or ($n -match '(Item|Folder|Chunk|Convert-VHD|New-VHD|Move-VM.*)$' -and (@($q) -cnotmatch $ours))) {
                throw "not allowed: $n $q"
            }
            if ($c.optional) {
                $a.ErrorAction = 'SilentlyContinue'
            }
            $r = @(
                try {
                    & $n @a
                }
                catch {
                    if (!$c.optional) {
                        throw
                    }
                }
            )
            $s += , $r
            [void]$u.Add([Collections.ArrayList]@(foreach ($o in $r) {
                if ($c.select) {
                    $row = @{}
                    foreach ($q in $c.select) {
                        $row[$q] = Pick $o $q
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
    $y.out = $u
    $t = ConvertTo-Json $y -Depth 8 -Compress
    [Console]::Out.WriteLine([regex]::Replace($t, '[^ -~]', { param($m) '\u{0:x4}' -f [int][char]$m.Value }))
    if ($y.category) {
        break
    }
}
