package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Privileges that the one user lacks, for a test. The simulator grants every one and asks for none. Which privilege a
// call needs, and on what, is of the vendor's reference: each method's "Required Privileges", and what it says of those
// that depend on the call.

// denials are the privileges that are taken away: each on an object of a name and all below it, or everywhere.
type denials struct {
	mutex sync.RWMutex
	all   []denial
}

type denial struct {
	privilege string
	on        string
}

// control replaces all denials by a list of privileges, each with an @ and an object's name after it or without.
func (d *denials) control(w http.ResponseWriter, r *http.Request) {
	var asked []string
	err := json.NewDecoder(r.Body).Decode(&asked)
	if err == nil {
		err = d.set(asked)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (d *denials) set(asked []string) error {
	known := map[string]bool{}
	for _, one := range object.AuthorizationRoleList(esx.RoleList).ByName("Admin").Privilege {
		known[one] = true
	}
	var all []denial
	for _, text := range asked {
		one := denial{privilege: text}
		if at := strings.Index(text, "@"); at >= 0 {
			one = denial{privilege: text[:at], on: text[at+1:]}
		}
		if !known[one.privilege] {
			return fmt.Errorf("there is no privilege '%s'", one.privilege)
		}
		all = append(all, one)
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.all = all
	return nil
}

// denied says whether the user lacks a privilege on an object: by its own name, or by one of what it is in.
func (d *denials) denied(privilege string, on types.ManagedObjectReference) bool {
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	for _, one := range d.all {
		if one.privilege == privilege && (one.on == "" || within(on, one.on)) {
			return true
		}
	}
	return false
}

func within(ref types.ManagedObjectReference, name string) bool {
	for {
		entity, ok := simulator.Map.Get(ref).(mo.Entity)
		if !ok {
			return false
		}
		if entity.Entity().Name == name {
			return true
		}
		if entity.Entity().Parent == nil {
			return false
		}
		ref = *entity.Entity().Parent
	}
}

// need is a privilege that a call needs on an object.
type need struct {
	privilege string
	on        types.ManagedObjectReference
}

// always are the privileges of calls that need one and the same each time, on what they are for.
var always = map[string]string{
	"AddCustomFieldDef":            "Global.ManageCustomFields",
	"CreateSnapshot_Task":          "VirtualMachine.State.CreateSnapshot",
	"ExportVm":                     "VApp.Export",
	"PowerOffVM_Task":              "VirtualMachine.Interact.PowerOff",
	"PowerOnVM_Task":               "VirtualMachine.Interact.PowerOn",
	"RelocateVM_Task":              "Resource.ColdMigrate",
	"RemoveSnapshot_Task":          "VirtualMachine.State.RemoveSnapshot",
	"RevertToCurrentSnapshot_Task": "VirtualMachine.State.RevertToSnapshot",
	"RevertToSnapshot_Task":        "VirtualMachine.State.RevertToSnapshot",
	"ShutdownGuest":                "VirtualMachine.Interact.PowerOff",
	"SuspendVM_Task":               "VirtualMachine.Interact.Suspend",
}

// needs are the privileges that a call needs.
func needs(c *call) []need {
	var all []need
	add := func(privilege string, on *types.ManagedObjectReference) {
		if on != nil {
			all = append(all, need{privilege, *on})
		}
	}
	if privilege, ok := always[c.method]; ok {
		add(privilege, &c.about)
	}
	method, err := simulator.UnmarshalBody(types.TypeFunc(), c.body)
	if err != nil {
		return all // which the simulator tells
	}
	machine, _ := simulator.Map.Get(c.about).(*simulator.VirtualMachine)
	switch body := method.Body.(type) {
	case *types.CreateVM_Task:
		add("VirtualMachine.Inventory.Create", &c.this)
		add("Resource.AssignVMToPool", &body.Pool)
		if len(body.Config.ExtraConfig) > 0 {
			add("VirtualMachine.Config.AdvancedConfig", &c.this)
		}
		if body.Config.Files != nil {
			add("Datastore.AllocateSpace", storeOf(body.Config.Files.VmPathName))
		}
		for _, change := range body.Config.DeviceChange {
			ofNewDevice(change.GetVirtualDeviceConfigSpec(), &c.this, body.Config.Files, add)
		}
	case *types.ImportVApp:
		add("VApp.Import", &c.this)
		add("VApp.Import", body.Folder)
		if spec, ok := body.Spec.(*types.VirtualMachineImportSpec); ok && spec.ConfigSpec.Files != nil {
			add("Datastore.AllocateSpace", storeOf(spec.ConfigSpec.Files.VmPathName))
		}
	case *types.CloneVM_Task:
		if machine != nil && machine.Config.Template {
			add("VirtualMachine.Provisioning.DeployTemplate", &c.this)
		} else {
			add("VirtualMachine.Provisioning.Clone", &c.this)
		}
		add("VirtualMachine.Inventory.CreateFromExisting", &body.Folder)
		add("Resource.AssignVMToPool", body.Spec.Location.Pool)
		add("Datastore.AllocateSpace", body.Spec.Location.Datastore)
		if body.Spec.Config != nil {
			for _, change := range body.Spec.Config.DeviceChange {
				ofCard(change.GetVirtualDeviceConfigSpec().Device, add)
			}
		}
	case *types.Destroy_Task:
		if machine != nil {
			add("VirtualMachine.Inventory.Delete", &c.this)
		}
	case *types.RelocateVM_Task:
		if machine != nil && machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			add("Resource.HotMigrate", &c.this)
		}
		add("Datastore.AllocateSpace", body.Spec.Datastore)
		add("Resource.AssignVMToPool", body.Spec.Pool)
	case *types.DeleteVirtualDisk_Task:
		add("Datastore.FileManagement", storeOf(body.Name))
	case *types.DeleteDatastoreFile_Task:
		add("Datastore.FileManagement", storeOf(body.Name))
	case *types.MoveVirtualDisk_Task:
		add("Datastore.FileManagement", storeOf(body.SourceName))
		add("Datastore.FileManagement", storeOf(body.DestName))
	case *types.SetField:
		add("Global.SetCustomField", &body.Entity)
	case *types.ReconfigVM_Task:
		if machine != nil {
			ofReconfiguration(machine, &body.Spec, add)
		}
	}
	return all
}

type adding func(privilege string, on *types.ManagedObjectReference)

// ofNewDevice are the privileges that a device of a machine needs which is made; a disk that names no datastore goes to
// the machine's own files.
func ofNewDevice(
	change *types.VirtualDeviceConfigSpec, on *types.ManagedObjectReference, files *types.VirtualMachineFileInfo, add adding,
) {
	ofCard(change.Device, add)
	if device, ok := change.Device.(*types.VirtualDisk); ok {
		if change.FileOperation == "" {
			add("VirtualMachine.Config.AddExistingDisk", on)
			return
		}
		add("VirtualMachine.Config.AddNewDisk", on)
		var store *types.ManagedObjectReference
		if backing, ok := device.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
			store = storeOf(backing.GetVirtualDeviceFileBackingInfo().FileName)
		}
		if store == nil && files != nil {
			store = storeOf(files.VmPathName)
		}
		add("Datastore.AllocateSpace", store)
	}
}

// ofCard is the privilege that a network card needs which goes to a network.
func ofCard(device types.BaseVirtualDevice, add adding) {
	if card, ok := device.(types.BaseVirtualEthernetCard); ok {
		if backing, ok := card.GetVirtualEthernetCard().Backing.(*types.VirtualEthernetCardNetworkBackingInfo); ok {
			add("Network.Assign", backing.Network)
		}
	}
}

// ofReconfiguration are the privileges that a change of a machine needs, by what it changes.
func ofReconfiguration(machine *simulator.VirtualMachine, spec *types.VirtualMachineConfigSpec, add adding) {
	on := &machine.Self
	for privilege, changed := range map[string]bool{
		"VirtualMachine.Config.CPUCount":       spec.NumCPUs != 0,
		"VirtualMachine.Config.Memory":         spec.MemoryMB != 0,
		"VirtualMachine.Config.Rename":         spec.Name != "",
		"VirtualMachine.Config.Annotation":     spec.Annotation != "",
		"VirtualMachine.Config.AdvancedConfig": len(spec.ExtraConfig) > 0,
	} {
		if changed {
			add(privilege, on)
		}
	}
	for _, one := range spec.DeviceChange {
		change := one.GetVirtualDeviceConfigSpec()
		disk, isDisk := change.Device.(*types.VirtualDisk)
		switch {
		case change.Operation == types.VirtualDeviceConfigSpecOperationAdd:
			if !isDisk {
				add("VirtualMachine.Config.AddRemoveDevice", on)
			}
			ofNewDevice(change, on, &machine.Config.Files, add)
		case change.Operation == types.VirtualDeviceConfigSpecOperationRemove && isDisk:
			add("VirtualMachine.Config.RemoveDisk", on)
		case change.Operation == types.VirtualDeviceConfigSpecOperationRemove:
			add("VirtualMachine.Config.AddRemoveDevice", on)
		case isDisk && grows(machine, disk):
			add("VirtualMachine.Config.DiskExtend", on)
		default:
			add("VirtualMachine.Config.EditDevice", on)
		}
	}
}

func grows(machine *simulator.VirtualMachine, disk *types.VirtualDisk) bool {
	for _, device := range machine.Config.Hardware.Device {
		if now, ok := device.(*types.VirtualDisk); ok && now.Key == disk.Key {
			return disk.CapacityInKB > now.CapacityInKB || disk.CapacityInBytes > now.CapacityInBytes
		}
	}
	return false
}

var pathInStore = regexp.MustCompile(`^\[([^\]]*)\]`)

// storeOf is the datastore of a path in one; nil of a path that names none.
func storeOf(path string) *types.ManagedObjectReference {
	match := pathInStore.FindStringSubmatch(path)
	if match == nil {
		return nil
	}
	for _, entity := range simulator.Map.All("Datastore") {
		if entity.Entity().Name == match[1] {
			ref := entity.Reference()
			return &ref
		}
	}
	return nil
}

// forbidden is the answer to a call for which the user lacks a privilege; nil where it may be made.
func (f *front) forbidden(c *call) *answer {
	f.denials.mutex.RLock()
	none := len(f.denials.all) == 0
	f.denials.mutex.RUnlock()
	if none {
		return nil
	}
	for _, one := range needs(c) {
		if f.denials.denied(one.privilege, one.on) {
			return faultAnswer("NoPermission", "Permission to perform this operation was denied.",
				fmt.Sprintf(`<object type="%s">%s</object><privilegeId>%s</privilegeId>`,
					one.on.Type, escaped(one.on.Value), one.privilege))
		}
	}
	return nil
}

// privileges answers HasPrivilegeOnEntities. A session that is not there has none.
func (f *front) privileges(c *call) *answer {
	probe := c.ask(f.next, currentTime)
	if probe.status != http.StatusOK {
		return probe
	}
	method, err := simulator.UnmarshalBody(types.TypeFunc(), c.body)
	if err != nil {
		return c.play(f.next, c.body, c.request.Header.Get("Cookie"))
	}
	asked := method.Body.(*types.HasPrivilegeOnEntities)
	sessions := c.ask(f.next, fmt.Sprintf(retrieve, "SessionManager", "sessionList", "SessionManager", "SessionManager"))
	known := strings.Contains(sessions.body.String(), "<key>"+escaped(asked.SessionId)+"</key>")
	var told strings.Builder
	for _, entity := range asked.Entity {
		fmt.Fprintf(&told, `<returnval><entity type="%s">%s</entity>`, entity.Type, escaped(entity.Value))
		for _, privilege := range asked.PrivId {
			fmt.Fprintf(&told, `<privAvailability><privId>%s</privId><isGranted>%t</isGranted></privAvailability>`,
				escaped(privilege), known && !f.denials.denied(privilege, entity))
		}
		told.WriteString(`</returnval>`)
	}
	return soapAnswer(http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25">%s</%sResponse>`, c.method, told.String(), c.method))
}
