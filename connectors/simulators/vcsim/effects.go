package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// effects are what the vendor documents for a call and the simulator leaves out.
//
// The simulator's revert changes only the current snapshot. Here it also restores the processors, the memory size
// and the power state; a snapshot without the machine's memory reverts to powered off (CreateSnapshot_Task, memory).
type effects struct {
	mutex      sync.Mutex
	withMemory map[types.ManagedObjectReference]bool
	files      map[types.ManagedObjectReference]string
	policies   *policies
}

// before deletes a snapshot's own file, and lets a machine whose current snapshot has no parent have none then, as vCenter
// does. The simulator deletes other files of the machine, its disk's too, and ends with an error of its own where other
// snapshots stay.
func (e *effects) before(c *call) {
	machine, ok := simulator.Map.Get(c.about).(*simulator.VirtualMachine)
	if !ok || c.method != "RemoveSnapshot_Task" && c.method != "RemoveAllSnapshots_Task" {
		return
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	simulator.Map.WithLock(machine, func() {
		kept := []types.VirtualMachineFileLayoutExSnapshotLayout{}
		for _, layout := range machine.LayoutEx.Snapshot {
			if c.method == "RemoveSnapshot_Task" && layout.Key != c.this {
				kept = append(kept, layout)
				continue
			}
			_ = os.Remove(pathOf(e.files[layout.Key]))
			delete(e.files, layout.Key)
		}
		machine.LayoutEx.Snapshot = kept
		info := machine.Snapshot
		if info == nil || info.CurrentSnapshot == nil || *info.CurrentSnapshot != c.this {
			return
		}
		for _, root := range info.RootSnapshotList {
			if root.Snapshot == c.this {
				simulator.Map.Update(machine, []types.PropertyChange{{Name: "snapshot.currentSnapshot", Val: nil}})
				return
			}
		}
	})
}

var memoryWanted = regexp.MustCompile(`<memory[^>]*>(true|1)</memory>`)

func (e *effects) of(c *call, played *answer) *answer {
	if c.method != "Fetch" { // which reads a property
		defer published(c.about)
	}
	ref, ok := played.task()
	if !ok {
		return played
	}
	task := simulator.Map.Get(ref).(*simulator.Task)
	if task.Info.State != types.TaskInfoStateSuccess {
		return played
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	switch c.method {
	case "CreateSnapshot_Task":
		taken := task.Info.Result.(types.ManagedObjectReference)
		e.withMemory[taken] = memoryWanted.Match(c.body)
		for _, file := range simulator.Map.Get(c.this).(*simulator.VirtualMachine).LayoutEx.File {
			if strings.HasSuffix(file.Name, ".vmsn") {
				e.files[taken] = file.Name // the newest is the last one
			}
		}
	case "RevertToSnapshot_Task":
		e.revert(c.this)
	case "RevertToCurrentSnapshot_Task":
		e.revert(*simulator.Map.Get(c.this).(*simulator.VirtualMachine).Snapshot.CurrentSnapshot)
	case "ReconfigureComputeResource_Task":
		reconfigured(c)
	case "ExitMaintenanceMode_Task":
		tellMaintenance(simulator.Map.Get(c.this).(*simulator.HostSystem), false)
	case "RelocateVM_Task":
		rehosted(c.this)
		restored(c, e.policies.moved)
		machine, _ := simulator.Map.Get(c.this).(*simulator.VirtualMachine)
		e.policies.keep(c, machine)
	case "CopyVirtualDisk_Task":
		renamed(c)
	case "MoveVirtualDisk_Task":
		renamed(c)
		e.policies.moved(pathOf(named(diskSource, c)), pathOf(named(diskPlace, c)))
	case "CreateVM_Task", "CloneVM_Task":
		made, _ := task.Info.Result.(types.ManagedObjectReference)
		machine, _ := simulator.Map.Get(made).(*simulator.VirtualMachine)
		e.policies.keep(c, machine)
	case "ReconfigVM_Task":
		machine, _ := simulator.Map.Get(c.this).(*simulator.VirtualMachine)
		e.policies.keep(c, machine)
	}
	return played
}

// reconfigured switches a cluster's DRS and HA on and off; the simulator does neither, and says that it did.
func reconfigured(c *call) {
	var asked struct {
		DRS *bool `xml:"Body>ReconfigureComputeResource_Task>spec>drsConfig>enabled"`
		HA  *bool `xml:"Body>ReconfigureComputeResource_Task>spec>dasConfig>enabled"`
	}
	cluster, ok := simulator.Map.Get(c.this).(*simulator.ClusterComputeResource)
	if !ok || xml.Unmarshal(c.body, &asked) != nil {
		return
	}
	simulator.Map.WithLock(cluster, func() {
		config := *cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
		if asked.DRS != nil {
			config.DrsConfig.Enabled = asked.DRS
		}
		if asked.HA != nil {
			config.DasConfig.Enabled = asked.HA
		}
		simulator.Map.Update(cluster, []types.PropertyChange{{Name: "configurationEx", Val: &config}})
	})
}

// rehosted lets hosts list a machine where it is; the simulator leaves it in the list of the host it came from.
func rehosted(ref types.ManagedObjectReference) {
	machine := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	for _, entity := range simulator.Map.All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		kept := []types.ManagedObjectReference{}
		for _, one := range host.Vm {
			if one != ref {
				kept = append(kept, one)
			}
		}
		if host.Self == *machine.Runtime.Host {
			kept = append(kept, ref)
		}
		if len(kept) != len(host.Vm) {
			simulator.Map.WithLock(host, func() {
				simulator.Map.Update(host, []types.PropertyChange{{Name: "vm", Val: kept}})
			})
		}
	}
}

var (
	diskTarget = regexp.MustCompile(`<destName[^>]*>\[([^\]]+)\] ([^<]+)</destName>`)
	diskHome   = regexp.MustCompile(`<destDatacenter[^>]*>([^<]+)</destDatacenter>`)
)

var (
	diskSource = regexp.MustCompile(`<sourceName[^>]*>([^<]+)</sourceName>`)
	diskPlace  = regexp.MustCompile(`<destName[^>]*>([^<]+)</destName>`)
)

func named(element *regexp.Regexp, c *call) string {
	if found := element.FindSubmatch(c.body); found != nil {
		return html.UnescapeString(string(found[1]))
	}
	return ""
}

// renamed lets the descriptor of a disk that was moved or copied name its extent; the simulator does so with the files only.
func renamed(c *call) {
	target, home := diskTarget.FindSubmatch(c.body), diskHome.FindSubmatch(c.body)
	if target == nil || home == nil {
		return
	}
	ref := types.ManagedObjectReference{Type: "Datacenter", Value: string(home[1])}
	datacenter, ok := simulator.Map.Get(ref).(*simulator.Datacenter)
	if !ok {
		return
	}
	for _, ref := range datacenter.Datastore {
		store := simulator.Map.Get(ref).(*simulator.Datastore)
		if store.Name != html.UnescapeString(string(target[1])) {
			continue
		}
		disk := diskFile{descriptor: path.Join(store.Info.GetDatastoreInfo().Url, html.UnescapeString(string(target[2])))}
		if text, err := os.ReadFile(disk.descriptor); err == nil && len(text) > 0 {
			named := extentName.ReplaceAll(text, []byte(fmt.Sprintf("VMFS %q", path.Base(disk.extent()))))
			_ = os.WriteFile(disk.descriptor, named, 0o600)
		}
	}
}

var extentName = regexp.MustCompile(`VMFS "[^"]*"`)

// published tells property collectors what a call changed at a machine. The simulator sets most of a machine's
// configuration without telling them.
func published(ref types.ManagedObjectReference) {
	machine, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok || machine.Config == nil {
		return
	}
	simulator.Map.WithLock(machine, func() {
		config := machine.Config
		changes := []types.PropertyChange{
			{Name: "name", Val: machine.Name},
			{Name: "runtime.host", Val: machine.Runtime.Host},
			{Name: "config.modified", Val: config.Modified},
			{Name: "config.template", Val: config.Template},
			{Name: "config.uuid", Val: config.Uuid},
			{Name: "config.instanceUuid", Val: config.InstanceUuid},
			{Name: "config.annotation", Val: config.Annotation},
			{Name: "config.hardware.numCPU", Val: config.Hardware.NumCPU},
			{Name: "config.hardware.memoryMB", Val: config.Hardware.MemoryMB},
		}
		if storage := machine.Summary.Storage; storage != nil {
			changes = append(changes,
				types.PropertyChange{Name: "summary.storage.committed", Val: storage.Committed},
				types.PropertyChange{Name: "summary.storage.uncommitted", Val: storage.Uncommitted})
		}
		simulator.Map.Update(machine, changes)
	})
}

func (e *effects) revert(ref types.ManagedObjectReference) {
	snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return
	}
	machine := simulator.Map.Get(snapshot.Vm).(*simulator.VirtualMachine)
	state := types.VirtualMachinePowerStatePoweredOff
	if e.withMemory[ref] {
		state = powerAt(machine.Snapshot.RootSnapshotList, ref)
	}
	hardware := snapshot.Config.Hardware
	simulator.Map.WithLock(machine, func() {
		simulator.Map.Update(machine, []types.PropertyChange{
			{Name: "config.hardware.numCPU", Val: hardware.NumCPU},
			{Name: "config.hardware.memoryMB", Val: hardware.MemoryMB},
			{Name: "summary.config.numCpu", Val: hardware.NumCPU},
			{Name: "summary.config.memorySizeMB", Val: hardware.MemoryMB},
			{Name: "runtime.powerState", Val: state},
			{Name: "summary.runtime.powerState", Val: state},
		})
	})
}

func powerAt(tree []types.VirtualMachineSnapshotTree, ref types.ManagedObjectReference) types.VirtualMachinePowerState {
	for _, node := range tree {
		if node.Snapshot == ref {
			return node.State
		}
		if state := powerAt(node.ChildSnapshotList, ref); state != "" {
			return state
		}
	}
	return ""
}

// change sets what a client cannot: a question that a machine waits with, and whether a host answers.
type change struct {
	Type            string   `json:"type"`
	Value           string   `json:"value"`
	Question        string   `json:"question"`
	Choices         []string `json:"choices"`
	ConnectionState string   `json:"connection_state"`
}

func setState(w http.ResponseWriter, r *http.Request) {
	var asked change
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	object := simulator.Map.Get(types.ManagedObjectReference{Type: asked.Type, Value: asked.Value})
	if object == nil {
		http.NotFound(w, r)
		return
	}
	var changes []types.PropertyChange
	if asked.Question != "" {
		question := &types.VirtualMachineQuestionInfo{Id: "1", Text: asked.Question}
		for i, label := range asked.Choices {
			choice := &types.ElementDescription{Description: types.Description{Label: label, Summary: label}, Key: fmt.Sprint(i)}
			question.Choice.ChoiceInfo = append(question.Choice.ChoiceInfo, choice)
		}
		changes = append(changes, types.PropertyChange{Name: "runtime.question", Val: question})
	}
	if asked.ConnectionState != "" {
		state := types.HostSystemConnectionState(asked.ConnectionState)
		changes = append(changes, types.PropertyChange{Name: "runtime.connectionState", Val: state})
	}
	simulator.Map.WithLock(object, func() { simulator.Map.Update(object, changes) })
	w.WriteHeader(http.StatusNoContent)
}
