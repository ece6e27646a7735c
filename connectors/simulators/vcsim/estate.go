package main

import (
	"flag"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// estate is the inventory the simulator starts with.
type estate struct {
	datacenters    int
	clusters       int
	hosts          int
	standalone     int
	datastores     int
	vms            int
	hostThreads    int
	hostMemoryMiB  int64
	datastoreGiB   int64
	withoutHA      string
	withoutDRS     string
	withoutMonitor string
	haAdmission    bool
	drsBehavior    string
	storeTypes     string
	managedBy      string
	storePolicies  string
	noPrivileges   string
	machinesAreOff bool
}

func (e *estate) flags() {
	flag.IntVar(&e.datacenters, "datacenters", 1, "datacenters")
	flag.IntVar(&e.clusters, "clusters", 1, "clusters a datacenter")
	flag.IntVar(&e.hosts, "hosts", 3, "hosts a cluster")
	flag.IntVar(&e.standalone, "standalone-hosts", 0, "hosts outside of clusters, a datacenter")
	flag.IntVar(&e.datastores, "datastores", 1, "datastores a datacenter")
	flag.IntVar(&e.vms, "vms", 0, "machines a cluster and a standalone host")
	flag.IntVar(&e.hostThreads, "host-threads", 32, "hardware threads a host; half as many cores")
	flag.Int64Var(&e.hostMemoryMiB, "host-memory-mib", 256*1024, "memory of a host")
	flag.Int64Var(&e.datastoreGiB, "datastore-gib", 10*1024, "capacity of a datastore, all of it free")
	flag.StringVar(&e.withoutHA, "without-ha", "", "clusters that have vSphere HA off, separated by commas")
	flag.StringVar(&e.withoutDRS, "without-drs", "", "clusters that have DRS off, separated by commas")
	flag.StringVar(&e.withoutMonitor, "without-host-monitoring", "", "clusters whose vSphere HA looks at no host, separated by commas")
	flag.BoolVar(&e.haAdmission, "ha-admission-control", false, "vSphere HA keeps room for restarts")
	flag.StringVar(&e.drsBehavior, "drs-behavior", "", "how much DRS does by itself, in vSphere's words")
	flag.StringVar(&e.storeTypes, "datastore-types", "", "file systems of the datastores in turn, separated by commas")
	flag.StringVar(&e.storePolicies, "storage-policies", "", "storage policies and a datastore that satisfies each: gold@LocalDS_0, separated by commas")
	flag.StringVar(&e.noPrivileges, "without-privileges", "", "privileges that the user lacks, everywhere or below an object: Datastore.AllocateSpace@LocalDS_0, separated by commas")
	flag.StringVar(&e.managedBy, "managed-by", "", "extension key that all machines are marked with")
	flag.BoolVar(&e.machinesAreOff, "machines-off", false, "machines start powered off")
}

// build makes the model and sets the facts that the simulator has no call for. It must run before NewServer:
// afterwards the same fields would be written under running requests.
func (e *estate) build() (*simulator.Model, error) {
	model := simulator.VPX()
	model.Datacenter = e.datacenters
	model.Cluster = e.clusters
	model.ClusterHost = e.hosts
	model.Host = e.standalone
	model.Datastore = e.datastores
	model.Machine = e.vms
	model.Autostart = !e.machinesAreOff
	model.ServiceContent.About.FullName += " (govmomi simulator)"
	if err := model.Create(); err != nil {
		return nil, err
	}
	e.configureClusters()
	e.configureHosts()
	e.configureDatastores()
	e.markMachines()
	return model, nil
}

func (e *estate) configureClusters() {
	noHA, noDRS, noMonitor := names(e.withoutHA), names(e.withoutDRS), names(e.withoutMonitor)
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		cluster := entity.(*simulator.ClusterComputeResource)
		config := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
		config.DasConfig.Enabled = types.NewBool(!noHA[cluster.Name])
		config.DrsConfig.Enabled = types.NewBool(!noDRS[cluster.Name])
		config.DrsConfig.DefaultVmBehavior = types.DrsBehavior(e.drsBehavior)
		config.DasConfig.AdmissionControlEnabled = types.NewBool(e.haAdmission)
		if noMonitor[cluster.Name] {
			config.DasConfig.HostMonitoring = string(types.ClusterDasConfigInfoServiceStateDisabled)
		}
	}
}

func (e *estate) configureHosts() {
	for _, entity := range simulator.Map.All("HostSystem") {
		hardware := entity.(*simulator.HostSystem).Summary.Hardware
		hardware.NumCpuThreads = int16(e.hostThreads)
		hardware.NumCpuCores = int16(e.hostThreads / 2)
		hardware.MemorySize = e.hostMemoryMiB << 20
	}
}

func (e *estate) configureDatastores() {
	kinds := strings.Split(e.storeTypes, ",")
	for i, entity := range simulator.Map.All("Datastore") {
		store := entity.(*simulator.Datastore)
		if e.storeTypes != "" {
			store.Summary.Type = kinds[i%len(kinds)]
		}
		store.Summary.Capacity = e.datastoreGiB << 30
		store.Summary.FreeSpace = e.datastoreGiB << 30
		store.Summary.MultipleHostAccess = types.NewBool(true)
	}
}

func (e *estate) markMachines() {
	if e.managedBy == "" {
		return
	}
	for _, entity := range simulator.Map.All("VirtualMachine") {
		machine := entity.(*simulator.VirtualMachine)
		machine.Config.ManagedBy = &types.ManagedByInfo{ExtensionKey: e.managedBy, Type: "machine"}
	}
}

func names(list string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		set[name] = true
	}
	return set
}
