# The one script that runs on a Hyper-V host. It reads a request as JSON from standard input and answers in
# JSON on standard output, both in ASCII; dispatcher.py says what stands in them. It never changes: its hash
# is pinned, and no value ever becomes part of a script. Windows takes 8191 characters of command line, so
# these comments and all indentation are left out of what is sent. Written for Windows PowerShell 5.1.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'
$allowed = -split @'
Hyper-V\Checkpoint-VM
Hyper-V\Enable-VMResourceMetering
Hyper-V\Get-VHD
Hyper-V\Get-VM
Hyper-V\Get-VMHost
Hyper-V\Get-VMSnapshot
Hyper-V\Measure-VM
Hyper-V\New-VM
Hyper-V\Remove-VM
Hyper-V\Remove-VMNetworkAdapter
Hyper-V\Remove-VMSavedState
Hyper-V\Resize-VHD
Hyper-V\Restore-VMSnapshot
Hyper-V\Resume-VM
Hyper-V\Save-VM
Hyper-V\Set-VM
Hyper-V\Start-VM
Hyper-V\Stop-VM
FailoverClusters\Get-Cluster
CimCmdlets\Get-CimInstance
Storage\Get-Volume
Microsoft.PowerShell.Management\Remove-Item
'@
# Nothing but folders that the driver made for its machines can be removed.
$ours = '\\tierwise-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-(\*|[0-9a-f]{8}(\*|\\disk\[s\]))$'
function Get-Plain($value) {
    if ($null -eq $value) {
        return $null
    }
    if ($value -is [timespan]) {
        return [long]$value.TotalMilliseconds
    }
    if ($value -is [datetime]) {
        return $value.ToUniversalTime().ToString('o')
    }
    if ($value -is [string] -or $value -is [bool] -or ($value -is [ValueType] -and $value.GetType().IsPrimitive)) {
        return $value
    }
    return "$value"
}
function Get-Path($found, $path) {
    $now = @($found)
    foreach ($name in $path.Split('.')) {
        $now = @(foreach ($one in $now) { $one.$name })
    }
    if ($path.Contains('.')) {
        return , [System.Collections.ArrayList]@(foreach ($one in $now) { Get-Plain $one })
    }
    return Get-Plain $now[0]
}
function Invoke-One($command, $results) {
    $name = $command.name
    $splat = @{}
    foreach ($p in $command.params.PSObject.Properties) {
        $splat[$p.Name] = $p.Value
    }
    foreach ($p in $command.refs.PSObject.Properties) {
        $index, $property = $p.Value.Split('.')
        $kept = @($results[[int]$index])
        if ($property) {
            $kept = @(foreach ($one in $kept) { $one.$property })
        }
        if ($kept.Count -eq 1) {
            $kept = $kept[0]
        }
        $splat[$p.Name] = $kept
    }
    if ($allowed -cnotcontains $name) {
        throw "not allowed: $name"
    }
    if ($name -like '*\Remove-Item' -and "$($splat.Path)" -cnotmatch $ours) {
        throw "not allowed: $name $($splat.Path)"
    }
    if ($command.optional) {
        $splat.ErrorAction = 'SilentlyContinue'
    }
    try {
        return @(& $name @splat)
    }
    catch {
        if (-not $command.optional) {
            throw
        }
    }
}
$reply = @{ ok = $true }
$results = @{}
$out = New-Object System.Collections.ArrayList
try {
    $request = ConvertFrom-Json (@($input) -join '')
    foreach ($command in $request.commands) {
        $found = @(Invoke-One $command $results)
        $results[$results.Count] = $found
        $rows = New-Object System.Collections.ArrayList
        if ($command.select) {
            foreach ($one in $found) {
                $row = @{}
                foreach ($path in $command.select) {
                    $row[$path] = Get-Path $one $path
                }
                [void]$rows.Add($row)
            }
        }
        [void]$out.Add($rows)
    }
}
catch {
    $reply = @{
        ok = $false
        id = "$($_.FullyQualifiedErrorId)"
        category = "$($_.CategoryInfo.Category)"
        message = "$($_.Exception.Message)"
    }
}
$reply.done = $results.Count
$reply.out = $out
$text = ConvertTo-Json $reply -Depth 8 -Compress
[Console]::Out.Write([regex]::Replace($text, '[^ -~]', { param($m) '\u{0:x4}' -f [int][char]$m.Value }))
