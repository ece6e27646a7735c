package main

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Storage vMotion as vCenter documents it (RelocateVM_Task): the simulator's own names the new datastore in one property
// and leaves files, disks and the datastores' lists as they were. Here all of a machine's files go along, the task tells
// how far it is, and can be cancelled; disks with other places than the machine's (spec.disk) are not there.

const progressSteps = 10

var relocateStore = regexp.MustCompile(`<datastore[^>]*>([^<]+)</datastore>`)

// scattered says whether a call names several datastores.
func scattered(c *call) bool {
	found := relocateStore.FindAllSubmatch(c.body, -1)
	for _, store := range found {
		if string(store[1]) != string(found[0][1]) {
			return true
		}
	}
	return false
}

// waited lets the time of a task pass; false where it was cancelled meanwhile.
func (f *front) waited(task *simulator.Task, c *call) bool {
	if c.method != "RelocateVM_Task" || !relocateStore.Match(c.body) {
		time.Sleep(f.taskDelay)
		return true
	}
	update(task, "info.cancelable", true)
	for step := 1; step <= progressSteps; step++ {
		select {
		case <-f.cancels.of(task.Self):
			return false
		case <-time.After(f.taskDelay / progressSteps):
			if f.taskProgress {
				update(task, "info.progress", int32(100*step/progressSteps))
			}
		}
	}
	return true
}

// restored brings a machine's files to the datastore that a call named.
func restored(c *call, moved func(from, to string)) {
	found := relocateStore.FindSubmatch(c.body)
	if found == nil {
		return
	}
	ref := types.ManagedObjectReference{Type: "Datastore", Value: string(found[1])}
	store := simulator.Map.Get(ref).(*simulator.Datastore)
	machine := simulator.Map.Get(c.this).(*simulator.VirtualMachine)
	for _, disk := range disksOf(machine) {
		backing := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo).GetVirtualDeviceFileBackingInfo()
		file := fileOf(disk)
		backing.FileName = renewed(backing.FileName, store.Name)
		backing.Datastore = &ref
		fresh := fileOf(disk)
		moved(file.descriptor, fresh.descriptor)
		carried(file.descriptor, fresh.descriptor)
		carried(file.extent(), fresh.extent())
	}
	old := machine.Config.Files.VmPathName
	home, now := renewed(old, store.Name), time.Now()
	for _, file := range inFolderOf(pathOf(old)) {
		carried(file, path.Join(path.Dir(pathOf(home)), path.Base(file)))
	}
	simulator.Map.WithLock(machine, func() {
		files := &machine.Config.Files
		for _, place := range []*string{&files.LogDirectory, &files.SnapshotDirectory, &files.SuspendDirectory} {
			if *place != "" {
				*place = renewed(*place, store.Name)
			}
		}
		files.VmPathName, machine.Summary.Config.VmPathName = home, home
		simulator.Map.Update(machine, []types.PropertyChange{
			{Name: "config.files.vmPathName", Val: home},
			{Name: "summary.config.vmPathName", Val: home},
			{Name: "config.modified", Val: now},
		})
	})
	for _, entity := range simulator.Map.All("Datastore") {
		listed(entity.(*simulator.Datastore), machine.Self, entity.Reference() == ref)
	}
}

func inFolderOf(file string) []string {
	found, err := os.ReadDir(path.Dir(file))
	if file == "" || err != nil {
		return nil
	}
	files := []string{}
	for _, one := range found {
		files = append(files, path.Join(path.Dir(file), one.Name()))
	}
	return files
}

// renewed is a file's name on another datastore.
func renewed(name, store string) string {
	_, rest, _ := cut(name, "] ")
	return fmt.Sprintf("[%s] %s", store, rest)
}

// pathOf is where a file of a datastore is on this machine; empty where there is no such datastore.
func pathOf(name string) string {
	store, rest, _ := cut(strings.TrimPrefix(name, "["), "] ")
	for _, entity := range simulator.Map.All("Datastore") {
		if one := entity.(*simulator.Datastore); one.Name == store {
			return path.Join(one.Info.GetDatastoreInfo().Url, rest)
		}
	}
	return ""
}

func cut(text, separator string) (string, string, bool) {
	if at := strings.Index(text, separator); at >= 0 {
		return text[:at], text[at+len(separator):], true
	}
	return text, "", false
}

func carried(from, to string) {
	if from == "" || to == "" || from == to {
		return
	}
	if err := os.MkdirAll(path.Dir(to), 0o700); err != nil {
		panic(err)
	}
	if err := os.Rename(from, to); err != nil && !os.IsNotExist(err) {
		panic(err)
	}
	_ = os.Remove(path.Dir(from)) // where nothing is left in it
}

func listed(store *simulator.Datastore, machine types.ManagedObjectReference, there bool) {
	kept := []types.ManagedObjectReference{}
	for _, one := range store.Vm {
		if one != machine {
			kept = append(kept, one)
		}
	}
	if there {
		kept = append(kept, machine)
	}
	simulator.Map.WithLock(store, func() {
		simulator.Map.Update(store, []types.PropertyChange{{Name: "vm", Val: kept}})
	})
}
