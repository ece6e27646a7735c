package main

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// cancels are the tasks that run and can be cancelled, which the simulator's own cannot.
type cancels struct {
	mutex sync.Mutex
	told  map[types.ManagedObjectReference]chan struct{}
}

// of is closed when somebody cancels the task.
func (s *cancels) of(task types.ManagedObjectReference) chan struct{} {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.told[task] == nil {
		s.told[task] = make(chan struct{})
	}
	return s.told[task]
}

// cancel answers CancelTask; a task that is over, or cannot be cancelled, goes on as it is.
func (s *cancels) cancel(c *call) *answer {
	task, ok := simulator.Map.Get(c.this).(*simulator.Task)
	if !ok {
		return faultAnswer("ManagedObjectNotFound", "The object has already been deleted.")
	}
	var info types.TaskInfo
	simulator.Map.WithLock(task, func() { info = task.Info })
	switch {
	case info.State == types.TaskInfoStateSuccess || info.State == types.TaskInfoStateError:
		return faultAnswer("InvalidState", "The task is over.")
	case !info.Cancelable:
		return faultAnswer("NotSupported", "The task cannot be cancelled.")
	}
	told := s.of(c.this)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	select {
	case <-told:
	default:
		close(told)
	}
	return soapAnswer(200, `<CancelTaskResponse xmlns="urn:vim25"></CancelTaskResponse>`)
}
