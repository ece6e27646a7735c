package main

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"

	pbm "github.com/vmware/govmomi/pbm/simulator"
	pbmtypes "github.com/vmware/govmomi/pbm/types"

	"github.com/vmware/govmomi/pbm/methods"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Storage policies (PBM): the simulator's own lists those that a vCenter comes with, says that every datastore satisfies
// every one, does not know PbmQueryMatchingHub, and forgets what machines were made with. Here policies match the
// datastores that a flag names, the vendor's own the file systems that they are for, and what a machine and its disks
// were made with can be asked for. As on vSAN a disk's policy is its file's, and goes along where the file is moved.

// madeFor are the file systems that the vendor's own policies are for; the others match all.
var madeFor = map[string]string{
	"vSAN Default Storage Policy":            "vsan",
	"VVol No Requirements Policy":            "VVOL",
	"Host-local PMem Default Storage Policy": "PMEM",
}

// policyPath is where vCenter documents the service to be; the simulator's own, and the vendor's Go library, are at /pbm.
const policyPath = "/pbm/sdk"

// policies are the service's answers, and what it remembers.
type policies struct {
	mutex  sync.Mutex
	stores map[string]map[string]bool // by the policy's name
	homes  map[types.ManagedObjectReference]string
	files  map[string]string // by the path of a disk's descriptor
}

// newPolicies makes the policies of a flag: "gold@LocalDS_0,gold@LocalDS_1"; with nothing after the @ no datastore matches.
func newPolicies(flag string) (*policies, error) {
	p := &policies{
		stores: map[string]map[string]bool{},
		homes:  map[types.ManagedObjectReference]string{},
		files:  map[string]string{},
	}
	for _, one := range strings.Split(flag, ",") {
		if one == "" {
			continue
		}
		at := strings.LastIndex(one, "@")
		if at < 0 {
			return nil, fmt.Errorf("storage policy %q names no datastore after an @", one)
		}
		name, store := one[:at], one[at+1:]
		if p.stores[name] == nil {
			p.stores[name] = map[string]bool{}
			makePolicy(name)
		}
		p.stores[name][store] = true
	}
	return p, nil
}

func makePolicy(name string) {
	nobody := &simulator.Context{Session: &simulator.Session{}}
	(&pbm.ProfileManager{}).PbmCreate(nobody, &pbmtypes.PbmCreate{CreateSpec: pbmtypes.PbmCapabilityProfileCreateSpec{
		Name:         name,
		Category:     string(pbmtypes.PbmProfileCategoryEnumREQUIREMENT),
		ResourceType: pbmtypes.PbmProfileResourceType{ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE)},
		Constraints:  &pbmtypes.PbmCapabilityConstraints{},
	}})
}

// registry is the service's objects, ours in the place of the simulator's.
func (p *policies) registry() *simulator.Registry {
	registry := pbm.New()
	registry.Path = policyPath
	manager := types.ManagedObjectReference{Type: "PbmProfileProfileManager", Value: "ProfileManager"}
	solver := types.ManagedObjectReference{Type: "PbmPlacementSolver", Value: "placementSolver"}
	registry.Put(&profileManager{pbm.ProfileManager{ManagedObjectReference: manager}, p})
	registry.Put(&placementSolver{pbm.PlacementSolver{ManagedObjectReference: solver}, p})
	return registry
}

type placementSolver struct {
	pbm.PlacementSolver
	policies *policies
}

// PbmQueryMatchingHub gives the datastores, of those asked about or of all, that satisfy a policy.
func (s *placementSolver) PbmQueryMatchingHub(req *pbmtypes.PbmQueryMatchingHub) soap.HasFault {
	body := &methods.PbmQueryMatchingHubBody{Res: &pbmtypes.PbmQueryMatchingHubResponse{}}
	name, ok := policyName(req.Profile)
	if !ok {
		body.Res, body.Fault_ = nil, simulator.Fault("", &types.InvalidArgument{InvalidProperty: "profile"})
		return body
	}
	for _, entity := range simulator.Map.All("Datastore") {
		store := entity.(*simulator.Datastore)
		hub := pbmtypes.PbmPlacementHub{HubType: "Datastore", HubId: store.Self.Value}
		if asked(req.HubsToSearch, hub) && s.policies.match(name, store) {
			body.Res.Returnval = append(body.Res.Returnval, hub)
		}
	}
	return body
}

func asked(hubs []pbmtypes.PbmPlacementHub, one pbmtypes.PbmPlacementHub) bool {
	for _, hub := range hubs {
		if hub.HubType == one.HubType && hub.HubId == one.HubId {
			return true
		}
	}
	return hubs == nil
}

func policyName(id pbmtypes.PbmProfileId) (string, bool) {
	asked := &pbmtypes.PbmRetrieveContent{ProfileIds: []pbmtypes.PbmProfileId{id}}
	body := (&pbm.ProfileManager{}).PbmRetrieveContent(asked).(*methods.PbmRetrieveContentBody)
	if body.Res == nil {
		return "", false
	}
	return body.Res.Returnval[0].GetPbmProfile().Name, true
}

func (p *policies) match(name string, store *simulator.Datastore) bool {
	if stores, ours := p.stores[name]; ours {
		return stores[store.Name]
	}
	kind, limited := madeFor[name]
	return !limited || kind == store.Summary.Type
}

type profileManager struct {
	pbm.ProfileManager
	policies *policies
}

// PbmQueryAssociatedProfile gives the policy of a machine's own folder (vm-42), or of one of its disks (vm-42:2000).
func (m *profileManager) PbmQueryAssociatedProfile(req *pbmtypes.PbmQueryAssociatedProfile) soap.HasFault {
	body := &methods.PbmQueryAssociatedProfileBody{Res: &pbmtypes.PbmQueryAssociatedProfileResponse{}}
	if id := m.policies.of(req.Entity); id != "" {
		body.Res.Returnval = []pbmtypes.PbmProfileId{{UniqueId: id}}
	}
	return body
}

func (p *policies) of(entity pbmtypes.PbmServerObjectRef) string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	id, key, _ := cut(entity.Key, ":")
	ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: id}
	machine, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	switch {
	case !ok:
		return ""
	case entity.ObjectType == string(pbmtypes.PbmObjectTypeVirtualMachine):
		return p.homes[ref]
	}
	for number, disk := range disksOf(machine) {
		if fmt.Sprint(number) == key {
			return p.files[fileOf(disk).descriptor]
		}
	}
	return ""
}

// keep remembers what a machine, made or changed by a call, has got.
func (p *policies) keep(c *call, machine *simulator.VirtualMachine) {
	method, err := simulator.UnmarshalBody(types.TypeFunc(), c.body)
	if err != nil || machine == nil {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch body := method.Body.(type) {
	case *types.CreateVM_Task:
		p.made(machine, &body.Config)
	case *types.ImportVApp:
		if spec, ok := body.Spec.(*types.VirtualMachineImportSpec); ok {
			p.made(machine, &spec.ConfigSpec)
		}
	case *types.CloneVM_Task:
		p.placed(machine, &body.Spec.Location)
	case *types.RelocateVM_Task:
		if body.Spec.Datastore != nil {
			p.placed(machine, &body.Spec)
		}
	case *types.ReconfigVM_Task:
		p.changed(machine, &body.Spec)
	}
}

func (p *policies) made(machine *simulator.VirtualMachine, config *types.VirtualMachineConfigSpec) {
	p.homes[machine.Self] = policyOf(config.VmProfile)
	disks := []*types.VirtualDisk{}
	for _, disk := range disksOf(machine) {
		disks = append(disks, disk)
	}
	sort.Slice(disks, func(i, j int) bool { return disks[i].Key < disks[j].Key })
	for _, change := range diskChanges(config) {
		p.files[fileOf(disks[0]).descriptor] = policyOf(change.Profile)
		disks = disks[1:]
	}
}

// placed remembers what a clone, or a machine that was moved to another datastore, was told; of all else it has none. That
// is the stricter reading: VMware does not write what a move that names no policy does with those that are there.
func (p *policies) placed(machine *simulator.VirtualMachine, location *types.VirtualMachineRelocateSpec) {
	p.homes[machine.Self] = policyOf(location.Profile)
	disks := disksOf(machine)
	for _, disk := range disks {
		p.files[fileOf(disk).descriptor] = ""
	}
	for _, locator := range location.Disk {
		if disk := disks[locator.DiskId]; disk != nil {
			p.files[fileOf(disk).descriptor] = policyOf(locator.Profile)
		}
	}
}

func (p *policies) changed(machine *simulator.VirtualMachine, config *types.VirtualMachineConfigSpec) {
	if config.VmProfile != nil {
		p.homes[machine.Self] = policyOf(config.VmProfile)
	}
	for _, change := range diskChanges(config) {
		wanted := change.Device.GetVirtualDevice()
		for _, disk := range disksOf(machine) {
			same := wanted.UnitNumber != nil && disk.UnitNumber != nil && *disk.UnitNumber == *wanted.UnitNumber
			if same && disk.ControllerKey == wanted.ControllerKey {
				added := change.Operation == types.VirtualDeviceConfigSpecOperationAdd
				if added || change.Profile != nil {
					p.files[fileOf(disk).descriptor] = policyOf(change.Profile)
				}
			}
		}
	}
}

// moved lets a file's policy go along with it.
func (p *policies) moved(from, to string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if policy, ok := p.files[from]; ok {
		delete(p.files, from)
		p.files[to] = policy
	}
}

func diskChanges(config *types.VirtualMachineConfigSpec) []*types.VirtualDeviceConfigSpec {
	found := []*types.VirtualDeviceConfigSpec{}
	for _, one := range config.DeviceChange {
		change := one.GetVirtualDeviceConfigSpec()
		if _, ok := change.Device.(*types.VirtualDisk); ok {
			found = append(found, change)
		}
	}
	return found
}

func policyOf(profiles []types.BaseVirtualMachineProfileSpec) string {
	for _, one := range profiles {
		if defined, ok := one.(*types.VirtualMachineDefinedProfileSpec); ok {
			return defined.ProfileId
		}
	}
	return ""
}

var sessionHeader = regexp.MustCompile(`<(\w+:)?vcSessionCookie[ >]`)

// strangers get no answer: vCenter's policy service knows a session by the SOAP header vcSessionCookie, the simulator's by
// the HTTP cookie alone.
func strangers(c *call) bool {
	return c.request.URL.Path == policyPath && !sessionHeader.Match(c.body)
}
