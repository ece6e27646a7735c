package main

import (
	"regexp"
	"strconv"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// What vCenter refuses by its reference, and the simulator does: it asks little of the state in which a machine or a
// host is. Also what the simulator says that it did, and did not, is refused here, as NotSupported.

// pretended are the calls that the simulator answers with success, and does not or not rightly.
var pretended = map[string]bool{
	"CloneVApp_Task":      true, // the clones take the devices of their sources
	"CustomizeVM_Task":    true, // nothing is ever customised
	"PowerOnMultiVM_Task": true, // what fails is not told
	"PowerOnVApp_Task":    true,
	"RegisterVM_Task":     true, // the machine has none of its disks
	"SetVirtualDiskUuid":  true, // disks of machines keep theirs
}

// checked are the calls, besides those that make tasks, that refused is asked about.
var checked = map[string]bool{
	"ImportVApp": true, "MarkAsVirtualMachine": true, "SetVirtualDiskUuid": true, "ShutdownGuest": true,
}

// refused is why vCenter would not do what a client asks; nil where it would.
func (f *front) refused(c *call) types.BaseMethodFault {
	if pretended[c.method] {
		return new(types.NotSupported)
	}
	machine, _ := simulator.Map.Get(c.about).(*simulator.VirtualMachine)
	if machine != nil && c.isTask() {
		if fault := f.outOfReach(machine.Runtime.Host); fault != nil {
			return fault
		}
	}
	method, err := simulator.UnmarshalBody(types.TypeFunc(), c.body)
	if err != nil {
		return nil // which the simulator tells
	}
	switch body := method.Body.(type) {
	case *types.CreateVM_Task:
		if fault := networkless(c.this, body.Config.DeviceChange); fault != nil {
			return fault
		}
		return f.placedAt(body.Host, &body.Pool)
	case *types.ImportVApp:
		return f.placedAt(body.Host, &c.this)
	case *types.ExitMaintenanceMode_Task:
		if host, ok := simulator.Map.Get(c.this).(*simulator.HostSystem); ok && !host.Runtime.InMaintenanceMode {
			return new(types.InvalidState)
		}
	case *types.Destroy_Task:
		return f.indestructible(c.this)
	case *types.MoveIntoFolder_Task:
		return f.crowded(c.this, body.List)
	case *types.RemoveSnapshot_Task:
		if body.RemoveChildren && hasChildren(c.this) {
			return new(types.NotSupported) // the children would be there still
		}
	}
	if machine == nil {
		return nil
	}
	switch body := method.Body.(type) {
	case *types.PowerOnVM_Task:
		if machine.Config.Template {
			return new(types.NotSupported)
		}
		return f.resting(machine.Runtime.Host)
	case *types.ResetVM_Task:
		if fault := in(machine, types.VirtualMachinePowerStatePoweredOn); fault != nil {
			return fault
		}
		return f.resting(machine.Runtime.Host)
	case *types.SuspendVM_Task, *types.ShutdownGuest:
		return in(machine, types.VirtualMachinePowerStatePoweredOn)
	case *types.UpgradeVM_Task:
		return f.upgrade(machine, body.Version)
	case *types.ReconfigVM_Task:
		if fault := networkless(machine.Self, body.Spec.DeviceChange); fault != nil {
			return fault
		}
		return reconfiguration(machine, &body.Spec)
	case *types.RevertToSnapshot_Task:
		return f.suppressed(c.this, body.SuppressPowerOn)
	case *types.RevertToCurrentSnapshot_Task:
		if machine.Snapshot != nil && machine.Snapshot.CurrentSnapshot != nil {
			return f.suppressed(*machine.Snapshot.CurrentSnapshot, body.SuppressPowerOn)
		}
	case *types.CloneVM_Task:
		pool := body.Spec.Location.Pool
		if pool == nil {
			pool = machine.ResourcePool
		}
		return f.placedAt(body.Spec.Location.Host, pool)
	case *types.RelocateVM_Task:
		return f.relocation(machine, &body.Spec)
	case *types.MarkAsVirtualMachine:
		if body.Host == nil && f.placedAt(machine.Runtime.Host, &body.Pool) != nil {
			return new(types.NotSupported) // the simulator chooses no other host
		}
		return f.placedAt(body.Host, &body.Pool)
	}
	return nil
}

// refusal is the answer that says it: of a call that makes a task a task that failed.
func refusal(c *call, fault types.BaseMethodFault) *answer {
	if c.isTask() {
		return taskAnswer(c.method, failedTask(c, fault))
	}
	return faultAnswer(typeName(fault), "The operation is not allowed in the current state.")
}

// in is the fault of a machine that is not in the one power state that a call is for.
func in(machine *simulator.VirtualMachine, state types.VirtualMachinePowerState) types.BaseMethodFault {
	if machine.Runtime.PowerState == state {
		return nil
	}
	return &types.InvalidPowerState{RequestedState: state, ExistingState: machine.Runtime.PowerState}
}

// outOfReach is the fault of a host that vCenter does not reach.
func (f *front) outOfReach(ref *types.ManagedObjectReference) types.BaseMethodFault {
	host, ok := hostAt(ref)
	switch {
	case !ok, host.Runtime.ConnectionState == types.HostSystemConnectionStateConnected:
		return nil
	case host.Runtime.ConnectionState == types.HostSystemConnectionStateDisconnected:
		return new(types.HostNotConnected)
	}
	return new(types.HostNotReachable)
}

// resting is the fault of a host on which nothing begins, because it is in maintenance or on the way there.
func (f *front) resting(ref *types.ManagedObjectReference) types.BaseMethodFault {
	if host, ok := hostAt(ref); ok && (host.Runtime.InMaintenanceMode || f.maintenance.begun(host.Self)) {
		return new(types.InvalidState)
	}
	return nil
}

func hostAt(ref *types.ManagedObjectReference) (*simulator.HostSystem, bool) {
	if ref == nil {
		return nil, false
	}
	host, ok := simulator.Map.Get(*ref).(*simulator.HostSystem)
	return host, ok
}

// takes says whether a host takes machines.
func (f *front) takes(ref types.ManagedObjectReference) bool {
	return f.outOfReach(&ref) == nil && f.resting(&ref) == nil
}

// placedAt is why no machine can be made on a host, or where none is named on any of a pool's.
func (f *front) placedAt(host, pool *types.ManagedObjectReference) types.BaseMethodFault {
	owner := ownerOf(pool)
	if at, ok := hostAt(host); ok {
		if owner != nil && *at.Parent != *owner {
			return &types.InvalidArgument{InvalidProperty: "host"}
		}
		if fault := f.outOfReach(host); fault != nil {
			return fault
		}
		return f.resting(host)
	}
	if owner == nil {
		return nil
	}
	for _, one := range hostsOf(*owner) {
		if f.takes(one.Self) {
			return nil
		}
	}
	return &types.NoActiveHostInCluster{ComputeResource: *owner}
}

// ownerOf is the cluster, or the lone host's compute resource, of a pool or a vApp.
func ownerOf(pool *types.ManagedObjectReference) *types.ManagedObjectReference {
	if pool == nil {
		return nil
	}
	switch one := simulator.Map.Get(*pool).(type) {
	case *simulator.ResourcePool:
		return &one.Owner
	case *simulator.VirtualApp:
		return &one.Owner
	}
	return nil
}

func hostsOf(owner types.ManagedObjectReference) []*simulator.HostSystem {
	var found []*simulator.HostSystem
	for _, entity := range simulator.Map.All("HostSystem") {
		if host := entity.(*simulator.HostSystem); *host.Parent == owner {
			found = append(found, host)
		}
	}
	return found
}

// indestructible is why an object cannot go: a cluster's host that may run something, and a folder with something in
// it, whose content the simulator would leave without a parent.
func (f *front) indestructible(ref types.ManagedObjectReference) types.BaseMethodFault {
	switch one := simulator.Map.Get(ref).(type) {
	case *simulator.HostSystem:
		connected := one.Runtime.ConnectionState == types.HostSystemConnectionStateConnected
		if one.Parent.Type == "ClusterComputeResource" && connected && !one.Runtime.InMaintenanceMode {
			return new(types.InvalidState)
		}
	case *simulator.Folder:
		if len(one.ChildEntity) > 0 {
			return new(types.NotSupported)
		}
	}
	return nil
}

// crowded is the fault of things that a folder has others of the same names of.
func (f *front) crowded(ref types.ManagedObjectReference, list []types.ManagedObjectReference) types.BaseMethodFault {
	folder, ok := simulator.Map.Get(ref).(*simulator.Folder)
	for _, one := range list {
		entity, known := simulator.Map.Get(one).(mo.Entity)
		if !ok || !known || !f.uniqueNames {
			continue
		}
		if other := simulator.Map.FindByName(entity.Entity().Name, folder.ChildEntity); other != nil && other.Reference() != one {
			return &types.DuplicateName{Name: entity.Entity().Name, Object: other.Reference()}
		}
	}
	return nil
}

func hasChildren(ref types.ManagedObjectReference) bool {
	snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
	return ok && len(snapshot.ChildSnapshot) > 0
}

var hardwareVersion = regexp.MustCompile(`^vmx-(\d+)$`)

func versionNumber(version string) int {
	found := hardwareVersion.FindStringSubmatch(version)
	if found == nil {
		return 0
	}
	number, _ := strconv.Atoi(found[1])
	return number
}

func (f *front) upgrade(machine *simulator.VirtualMachine, version string) types.BaseMethodFault {
	if fault := in(machine, types.VirtualMachinePowerStatePoweredOff); fault != nil {
		return fault
	}
	if fault := f.resting(machine.Runtime.Host); fault != nil {
		return fault
	}
	newest, now := versionNumber(esx.HardwareVersion), versionNumber(machine.Config.Version)
	wanted := newest
	if version != "" {
		wanted = versionNumber(version)
	}
	switch {
	case wanted == 0, wanted > newest:
		return new(types.InvalidState)
	case len(disksOf(machine)) == 0:
		return new(types.NoDiskFound)
	case now >= wanted:
		return new(types.AlreadyUpgraded)
	case wanted != newest: // the simulator knows one
		return new(types.NotSupported)
	}
	return nil
}

// reconfiguration is why a machine's configuration cannot be changed so.
func reconfiguration(machine *simulator.VirtualMachine, spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	config := machine.Config
	if spec.ChangeVersion != "" && spec.ChangeVersion != config.ChangeVersion {
		return new(types.ConcurrentAccess)
	}
	for i, one := range spec.DeviceChange {
		if fault := diskChange(machine, one.GetVirtualDeviceConfigSpec(), int32(i)); fault != nil {
			return fault
		}
	}
	if machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
		return nil
	}
	cpu, memory := spec.NumCPUs-config.Hardware.NumCPU, spec.MemoryMB-int64(config.Hardware.MemoryMB)
	if machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
		switch {
		case spec.NumCPUs != 0 && (cpu > 0 && !is(config.CpuHotAddEnabled) || cpu < 0 && !is(config.CpuHotRemoveEnabled)):
			return new(types.CpuHotPlugNotSupported)
		case spec.MemoryMB != 0 && (memory > 0 && !is(config.MemoryHotAddEnabled) || memory < 0):
			return new(types.MemoryHotPlugNotSupported)
		}
	} else if spec.NumCPUs != 0 && cpu != 0 || spec.MemoryMB != 0 && memory != 0 || len(spec.DeviceChange) > 0 {
		return in(machine, types.VirtualMachinePowerStatePoweredOff)
	}
	cores := spec.NumCoresPerSocket != 0 && spec.NumCoresPerSocket != config.Hardware.NumCoresPerSocket
	others := spec.Firmware != "" && spec.Firmware != config.Firmware || spec.GuestId != "" && spec.GuestId != config.GuestId
	hot := differs(spec.CpuHotAddEnabled, config.CpuHotAddEnabled) ||
		differs(spec.CpuHotRemoveEnabled, config.CpuHotRemoveEnabled) ||
		differs(spec.MemoryHotAddEnabled, config.MemoryHotAddEnabled)
	if cores || others || hot {
		return in(machine, types.VirtualMachinePowerStatePoweredOff)
	}
	return nil
}

func is(flag *bool) bool { return flag != nil && *flag }

func differs(wanted, now *bool) bool { return wanted != nil && *wanted != is(now) }

// diskChange is why a disk cannot be changed so: none shrinks, and none grows under a snapshot; nor does anything on an
// IDE controller come, go or grow while the machine runs.
func diskChange(machine *simulator.VirtualMachine, change *types.VirtualDeviceConfigSpec, index int32) types.BaseMethodFault {
	disk, ok := change.Device.(*types.VirtualDisk)
	if !ok {
		return nil
	}
	running := machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff
	for _, device := range machine.Config.Hardware.Device {
		if ide, ok := device.(*types.VirtualIDEController); ok && running && ide.Key == disk.ControllerKey {
			return in(machine, types.VirtualMachinePowerStatePoweredOff)
		}
	}
	now := disksOf(machine)[disk.Key]
	if change.Operation != types.VirtualDeviceConfigSpecOperationEdit || now == nil || disk.CapacityInKB == now.CapacityInKB {
		return nil
	}
	if disk.CapacityInKB < now.CapacityInKB && disk.CapacityInKB != 0 || machine.Snapshot != nil {
		return &types.InvalidDeviceOperation{
			InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: index},
			BadOp:             types.VirtualDeviceConfigSpecOperationEdit,
		}
	}
	return nil
}

// networkless is the fault of a network card for a network that the datacenter does not have.
func networkless(within types.ManagedObjectReference, changes []types.BaseVirtualDeviceConfigSpec) types.BaseMethodFault {
	for i, one := range changes {
		card, ok := one.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		backing, ok := card.GetVirtualEthernetCard().Backing.(*types.VirtualEthernetCardNetworkBackingInfo)
		if ok && simulator.Map.FindByName(backing.DeviceName, networksOf(within)) == nil {
			return &types.InvalidDeviceBacking{InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: int32(i)}}
		}
	}
	return nil
}

// networksOf are those of the datacenter that something is in.
func networksOf(within types.ManagedObjectReference) []types.ManagedObjectReference {
	for {
		switch one := simulator.Map.Get(within).(type) {
		case *simulator.Datacenter:
			return one.Network
		case mo.Entity:
			if one.Entity().Parent == nil {
				return nil
			}
			within = *one.Entity().Parent
		default:
			return nil
		}
	}
}

// suppressed refuses to bring back a machine that ran and to leave it off: the reference does not say in what state it is then.
func (f *front) suppressed(snapshot types.ManagedObjectReference, asked *bool) types.BaseMethodFault {
	f.effects.mutex.Lock()
	defer f.effects.mutex.Unlock()
	if is(asked) && f.effects.withMemory[snapshot] {
		return new(types.NotSupported)
	}
	return nil
}

// relocation is why a machine cannot go there.
func (f *front) relocation(machine *simulator.VirtualMachine, spec *types.VirtualMachineRelocateSpec) types.BaseMethodFault {
	pool := spec.Pool
	if pool == nil {
		pool = machine.ResourcePool
	}
	if spec.Host != nil && *spec.Host != *machine.Runtime.Host {
		if fault := f.placedAt(spec.Host, pool); fault != nil {
			return fault
		}
	}
	host, ok := hostAt(spec.Host)
	if !ok {
		host, _ = hostAt(machine.Runtime.Host)
		if owner := ownerOf(pool); owner != nil && *host.Parent != *owner {
			return &types.InvalidArgument{InvalidProperty: "spec.host"}
		}
	}
	stores := machine.Datastore
	if spec.Datastore != nil {
		stores = []types.ManagedObjectReference{*spec.Datastore}
	}
	for _, ref := range stores {
		store, ok := simulator.Map.Get(ref).(*simulator.Datastore)
		if !ok || !contains(host.Datastore, ref) {
			fault := new(types.InaccessibleDatastore)
			if ok {
				fault.Datastore, fault.Name = &store.Self, store.Name
			}
			return fault
		}
	}
	return nil
}

func contains(refs []types.ManagedObjectReference, one types.ManagedObjectReference) bool {
	for _, ref := range refs {
		if ref == one {
			return true
		}
	}
	return false
}

// renamedTo is the folder in which a call gives something another name, and the name; no folder where it does not.
func renamedTo(c *call) (*simulator.Folder, string) {
	entity, ok := simulator.Map.Get(c.this).(mo.Entity)
	method, err := simulator.UnmarshalBody(types.TypeFunc(), c.body)
	if !ok || err != nil || entity.Entity().Parent == nil {
		return nil, ""
	}
	name := ""
	switch body := method.Body.(type) {
	case *types.ReconfigVM_Task:
		name = body.Spec.Name
	case *types.Rename_Task:
		name = body.NewName
	}
	if name == "" || name == entity.Entity().Name {
		return nil, ""
	}
	folder, _ := simulator.Map.Get(*entity.Entity().Parent).(*simulator.Folder)
	return folder, name
}
