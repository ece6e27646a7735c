package main

import (
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Maintenance of hosts as vCenter documents it: a host is in it when no machine runs there any more, and takes none
// meanwhile. The simulator says at once that it is. What DRS moves away by itself is not there.

// lookForMachines is how often a host that is to be in maintenance is looked at.
const lookForMachines = 20 * time.Millisecond

type maintenance struct {
	mutex sync.Mutex
	hosts map[types.ManagedObjectReference]bool
}

// begun says whether a host is on its way into maintenance.
func (m *maintenance) begun(host types.ManagedObjectReference) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.hosts[host]
}

// begin is false where somebody else has begun.
func (m *maintenance) begin(host types.ManagedObjectReference) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.hosts[host] {
		return false
	}
	m.hosts[host] = true
	return true
}

func (m *maintenance) end(host types.ManagedObjectReference) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.hosts, host)
}

// enter answers EnterMaintenanceMode_Task with a task that ends when the host is empty, the call's time is over, or
// somebody cancels it.
func (f *front) enter(c *call) *answer {
	probe := c.ask(f.next, currentTime)
	if probe.status != 200 {
		return probe
	}
	method, err := simulator.UnmarshalBody(types.TypeFunc(), c.body)
	host, ok := simulator.Map.Get(c.this).(*simulator.HostSystem)
	if err != nil || !ok {
		return c.play(f.next, c.body, c.request.Header.Get("Cookie"))
	}
	asked := method.Body.(*types.EnterMaintenanceMode_Task)
	f.whole.RLock()
	fault := f.cannotEmpty(host, asked)
	f.whole.RUnlock()
	if fault == nil && (host.Runtime.InMaintenanceMode || !f.maintenance.begin(host.Self)) {
		fault = new(types.InvalidState)
	}
	if fault != nil {
		return refusal(c, fault)
	}
	task := newTask(c)
	update(task, "info.cancelable", true)
	update(task, "info.state", types.TaskInfoStateRunning)
	go func() {
		defer f.maintenance.end(host.Self)
		time.Sleep(f.taskDelay)
		finish(task, nil, f.emptied(task, host, asked.Timeout))
	}()
	return taskAnswer(c.method, task.Self)
}

// cannotEmpty refuses what DRS, or vCenter, would do with the host's machines and the simulator does not.
func (f *front) cannotEmpty(host *simulator.HostSystem, asked *types.EnterMaintenanceMode_Task) types.BaseMethodFault {
	cluster, ok := simulator.Map.Get(*host.Parent).(*simulator.ClusterComputeResource)
	if !ok {
		return nil
	}
	drs := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig
	automatic := is(drs.Enabled) && drs.DefaultVmBehavior == types.DrsBehaviorFullyAutomated
	if is(asked.EvacuatePoweredOffVms) && len(host.Vm) > 0 || automatic && running(host) {
		return new(types.NotSupported)
	}
	return nil
}

func running(host *simulator.HostSystem) bool {
	for _, ref := range host.Vm {
		machine, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine)
		if ok && machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			return true
		}
	}
	return false
}

// emptied waits until nothing runs on the host, and is in maintenance then.
func (f *front) emptied(task *simulator.Task, host *simulator.HostSystem, timeoutS int32) types.BaseMethodFault {
	var late <-chan time.Time
	if timeoutS > 0 {
		late = time.After(time.Duration(timeoutS) * time.Second)
	}
	for {
		if f.rests(host) {
			return nil
		}
		select {
		case <-f.cancels.of(task.Self):
			return new(types.RequestCanceled)
		case <-late:
			return new(types.Timedout)
		case <-time.After(lookForMachines):
		}
	}
}

// rests lets a host be in maintenance, unless something runs there.
func (f *front) rests(host *simulator.HostSystem) bool {
	f.whole.Lock()
	defer f.whole.Unlock()
	if running(host) {
		return false
	}
	tellMaintenance(host, true)
	return true
}

// tellMaintenance sets it and lets property collectors know; the simulator tells nobody.
func tellMaintenance(host *simulator.HostSystem, is bool) {
	simulator.Map.WithLock(host, func() {
		simulator.Map.Update(host, []types.PropertyChange{
			{Name: "runtime.inMaintenanceMode", Val: is},
			{Name: "summary.runtime.inMaintenanceMode", Val: is},
		})
	})
}
