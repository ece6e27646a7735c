"""The sheets of RVTools that are read: which column is meant by which heading, in any version and dialect.

Aliases are tokens (see `tierwise.estates.tables`) without unit and without the sheet's name before them, so that
``vInfoVMName``, ``VM Name`` and ``VM`` are one; the first that a sheet has is taken. RVTools itself writes English
only; headings in other languages come from people and from scripts, and only those of what is added up are known.
"""

from tierwise.estates.tables import Form

_IDENTITY = {
    "name": ("vm", "vmname", "virtualmachine", "virtualmachinename", "name"),
    "uuid": ("vmuuid", "uuid", "instanceuuid"),
    "vm_id": ("vmid", "vmref", "moref", "objectid"),
    "vcenter": ("visdkuuid", "vcenteruuid", "visdkserver", "vcenter"),
    "site": ("datacenter", "datacentre", "dc", "rechenzentrum", "centrededonnées"),
    "pool": ("cluster", "clustername"),
    "host": ("host", "hostname", "esxhost", "esxihost", "hôte"),
    "power": ("powerstate", "power", "state", "energiestatus", "betriebszustand", "état", "estado"),
    "template": ("template", "istemplate", "vorlage", "modèle", "plantilla"),
}

VINFO = Form(
    "vInfo",
    {
        **_IDENTITY,
        "vcpus": ("cpus", "cpu", "vcpus", "vcpu", "numcpu", "numcpus", "numberofcpus"),
        "memory": ("memory", "ram", "memorysize", "size", "arbeitsspeicher", "speicher", "mémoire", "memoria"),
        "provisioned": ("provisioned", "provisionedspace", "provisionedstorage", "bereitgestellt", "provisionné"),
        "in_use": ("inuse", "used", "usedspace", "usedstorage", "belegt", "verwendet", "utilisé"),
        "disk_total": ("totaldiskcapacity",),
        "disks": ("disks", "numvirtualdisks", "numberofdisks"),
        "active_memory": ("activememory",),
        "cpu_usage": ("cpuusage", "overallcpuusagepercent"),
        "os_config": ("osaccordingtotheconfigurationfile", "osaccordingtotheconfigfile", "osconfig", "os", "guestos"),
        "os_tools": ("osaccordingtothevmwaretools", "ostools"),
        "folder": ("folder",),
        "vapp": ("vapp",),
        "firmware": ("firmware",),
        "placeholder": ("srmplaceholder",),
        "dns": ("dnsname", "guesthostname"),
        "path": ("path",),
        **{f"network_{n}": (f"network{n}",) for n in range(1, 9)},
    },
    needs=frozenset({"name", "power", "vcpus", "memory"}),
    must=frozenset({"name"}),
)  # fmt: skip

VCPU = Form(
    "vCPU",
    {
        **_IDENTITY,
        "vcpus": ("cpus", "vcpus", "numcpu"),
        "used_mhz": ("overall",),
        "max_mhz": ("max",),
        "os_config": ("osaccordingtotheconfigurationfile", "os"),
        "os_tools": ("osaccordingtothevmwaretools", "ostools"),
        "folder": ("folder",),
    },
    needs=frozenset({"name", "vcpus"}),
    must=frozenset({"name"}),
)
VMEMORY = Form(
    "vMemory",
    {**_IDENTITY, "size": ("size", "memory"), "active": ("active",)},
    needs=frozenset({"name", "size"}),
    must=frozenset({"name"}),
)
VDISK = Form(
    "vDisk",
    {**_IDENTITY, "capacity": ("capacity", "size", "diskcapacity"), "path": ("diskpath", "path"), "path_2": ("path",)},
    needs=frozenset({"name", "capacity"}),
    must=frozenset({"name"}),
)  # fmt: skip
VNETWORK = Form(
    "vNetwork",
    {**_IDENTITY, "network": ("network", "portgroup")},
    needs=frozenset({"name", "network"}),
    must=frozenset({"name"}),
)
VHOST = Form(
    "vHost",
    {
        "name": ("host", "name", "hostname"),
        "site": ("datacenter", "datacentre"),
        "pool": ("cluster", "clustername"),
        "vcenter": ("visdkuuid", "vcenteruuid", "visdkserver"),
        "sockets": ("cpu", "numcpu", "cpus", "sockets", "numcpusockets"),
        "cores_per_socket": ("corespercpu", "corespersocket"),
        "cores": ("cores", "numcpucores", "cpucores", "numcores"),
        "memory": ("memory", "memorysize", "ram"),
        "mhz": ("speed", "cpumhz", "cpuspeed"),
        "cpu_model": ("cpumodel",),
        "vendor": ("vendor", "manufacturer"),
        "model": ("model",),
        "version": ("esxversion", "version", "fullname"),
        "maintenance": ("inmaintenancemode", "maintenancemode"),
    },
    needs=frozenset({"name", "cores", "memory"}),
    must=frozenset({"name"}),
)
VCLUSTER = Form(
    "vCluster",
    {
        "name": ("name", "cluster", "clustername"),
        "vcenter": ("visdkuuid", "vcenteruuid", "visdkserver"),
        "ha": ("haenabled",),
        "failover": ("failoverlevel",),
        "admission": ("admissioncontrolenabled",),
        "drs": ("drsenabled",),
    },
    needs=frozenset({"name", "ha", "drs"}),
    must=frozenset({"name"}),
)
VDATASTORE = Form(
    "vDatastore",
    {
        "name": ("name", "datastore"),
        "capacity": ("capacity",),
        "in_use": ("inuse", "used"),
        "free": ("free", "freespace"),
        "kind": ("type",),
        "hosts": ("hosts",),
        "url": ("url", "objectid", "address"),
    },
    needs=frozenset({"name", "capacity", "in_use", "kind"}),
    must=frozenset({"name"}),
)
VMETADATA = Form(
    "vMetaData",
    {
        "version": ("rvtoolsversion",),
        "major": ("rvtoolsmajorversion",),
        "created": ("xlsxcreationdatetime", "creationdatetime"),
        "server": ("server",),
    },
    needs=frozenset({"version", "created"}),
)

SHEETS = (
    "vinfo", "vcpu", "vmemory", "vdisk", "vpartition", "vnetwork", "vcd", "vusb", "vsnapshot", "vtools", "vsource", "vrp",
    "vcluster", "vhost", "vhba", "vnic", "vswitch", "vport", "dvswitch", "dvport", "vscvmk", "vdatastore", "vmultipath",
    "vlicense", "vfileinfo", "vhealth", "vmetadata", "vfloppy",
)  # fmt: skip
"""All sheets that RVTools writes, as tokens; a sheet of another name may be a renamed one."""
