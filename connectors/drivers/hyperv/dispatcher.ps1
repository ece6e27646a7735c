# The one script that runs on a Hyper-V host. Each line of standard input is a request as JSON, answered by a
# line of JSON on standard output, both in ASCII; dispatcher.py says what stands in them. After a request that
# fails it ends. It never changes: its hash is pinned, and no value ever becomes part of a script. Windows takes
# 8191 characters of command line, so these comments and all indentation are left out of what is sent, and
# names are short. Written for Windows PowerShell 5.1.
$ErrorActionPreference = 'Stop'
$ProgressPreference = $WarningPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'
# What may be called: names without a module are functions of this script, the others follow their module's.
$allowed = foreach ($word in -split @'
Read-Chunk
Write-Chunk
Hyper-V\
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
New-VM
Remove-VM
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
Get-Cluster
CimCmdlets\
Get-CimInstance
Storage\
Get-Volume
Microsoft.PowerShell.Management\
Remove-Item
Rename-Item
'@) {
    if ($word -like '*\') {
        $module = $word
    }
    else {
        $module + $word
    }
}
# Nothing but folders that the driver made for its machines, and the disks in them, can be removed, read or written.
$ours = '\\tierwise-[0-9a-f-]{36}-(\*|[0-9a-f]{8}(\*|\\disk\[s\]|\\disks\\(disk|part-)[\w-]*(\*|\.a?vhdx?)))$'
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
function Get-Path($found, $path) {
    $now = @($found)
    foreach ($name in $path.Split('.')) {
        $now = @(foreach ($one in $now) { $one.$name })
    }
    if ($path.Contains('.')) {
        return , [Collections.ArrayList]@(foreach ($one in $now) { Get-Plain $one })
    }
    return Get-Plain $now[0]
}
foreach ($line in $input) {
    $reply = @{}
    $seen = @()
    $out = [Collections.ArrayList]@()
    try {
        foreach ($c in (ConvertFrom-Json $line).commands) {
            $name = $c.name
            $splat = @{}
            foreach ($p in $c.params.PSObject.Properties) {
                $v = $p.Value
                if ($v -is [array]) {
                    $index, $part = $v
                    $v = @($seen[$index])
                    if ($part) {
                        $v = @(foreach ($one in $v) { $one.$part })
                    }
                    if ($v.Count -eq 1) {
                        $v = $v[0]
                    }
                }
                $splat[$p.Name] = $v
            }
            $paths = foreach ($p in @($splat.Keys) -like '*Path') { $splat[$p] }
            if ($allowed -cnotcontains $name -or ($name -match '(Item|Chunk|Convert-VHD)$' -and (@($paths) -cnotmatch $ours))) {
                throw "not allowed: $name $paths"
            }
            if ($c.optional) {
                $splat.ErrorAction = 'SilentlyContinue'
            }
            $found = @(
                try {
                    & $name @splat
                }
                catch {
                    if (-not $c.optional) {
                        throw
                    }
                }
            )
            $seen += , $found
            [void]$out.Add([Collections.ArrayList]@(foreach ($one in $found) {
                if ($c.select) {
                    $row = @{}
                    foreach ($path in $c.select) {
                        $row[$path] = Get-Path $one $path
                    }
                    $row
                }
            }))
        }
    }
    catch {
        $reply = @{
            id = $_.FullyQualifiedErrorId
            category = "$($_.CategoryInfo.Category)"
            message = $_.Exception.Message
        }
    }
    $reply.out = $out
    $text = ConvertTo-Json $reply -Depth 8 -Compress
    [Console]::Out.WriteLine([regex]::Replace($text, '[^ -~]', { param($m) '\u{0:x4}' -f [int][char]$m.Value }))
    if ($reply.category) {
        break
    }
}
