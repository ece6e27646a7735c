package main

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// front stands before the simulator's own handler.
type front struct {
	next      http.Handler
	user      *url.Userinfo
	taskDelay time.Duration
	// taskProgress is whether moves between datastores tell how far they are.
	taskProgress bool
	// uniqueNames makes the folder refuse a second machine of one name.
	uniqueNames bool
	book        book
	effects     effects
	pager       pager
	leases      leases
	loads       loads
	clones      underWay
	cancels     cancels
	maintenance maintenance
	denials     denials
	// whole keeps readers away while a call makes or removes objects: the simulator shows machines to searches
	// before they have a configuration, and panics on them.
	whole sync.RWMutex
}

func newFront(next http.Handler, user *url.Userinfo, kept *policies, o options) *front {
	f := &front{user: user, taskDelay: o.taskDelay, taskProgress: o.taskProgress, uniqueNames: o.uniqueNames}
	f.next = f.guarded(next)
	f.pager = pager{size: o.pageSize, rest: map[string][][]byte{}, parts: map[string]*answer{}}
	f.leases = leases{open: map[string]*HttpNfcLease{}, timeout: o.leaseTimeout}
	f.loads = loads{steps: map[string][]step{}}
	f.clones = underWay{names: map[string]bool{}}
	f.cancels = cancels{told: map[types.ManagedObjectReference]chan struct{}{}}
	f.maintenance = maintenance{hosts: map[types.ManagedObjectReference]bool{}}
	f.book.calls = map[string]int{}
	f.effects.policies = kept
	f.effects.withMemory = map[types.ManagedObjectReference]bool{}
	f.effects.files = map[types.ManagedObjectReference]string{}
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/nfc/") {
		f.serveNFC(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, restPath) {
		f.serveREST(w, r)
		return
	}
	if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/sdk") && r.URL.Path != policyPath {
		f.next.ServeHTTP(w, r)
		return
	}
	c, err := readCall(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if applies := f.book.take(c.method); applies != nil {
		f.apply(applies, c, w)
		return
	}
	if strangers(c) {
		faultAnswer("NotAuthenticated", "The session is not authenticated.").sendTo(w)
		return
	}
	c.forLibvirt(f.answer(c)).sendTo(w)
}

// findAll answers FindAllByUuid for machines; the simulator knows only FindByUuid, which gives any one of them.
func (f *front) findAll(c *call) *answer {
	probe := c.ask(f.next, currentTime)
	if probe.status != http.StatusOK {
		return probe
	}
	uuid, instance := uuidAsked.FindSubmatch(c.body), instanceAsked.Match(c.body)
	var found strings.Builder
	f.whole.RLock()
	defer f.whole.RUnlock()
	for _, entity := range simulator.Map.All("VirtualMachine") {
		config := entity.(*simulator.VirtualMachine).Config
		has := config.Uuid
		if instance {
			has = config.InstanceUuid
		}
		if uuid != nil && has == string(uuid[1]) {
			fmt.Fprintf(&found, `<returnval type="VirtualMachine">%s</returnval>`, entity.Reference().Value)
		}
	}
	return soapAnswer(http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25">%s</%sResponse>`,
		c.method, found.String(), c.method))
}

var propertyAsked = regexp.MustCompile(`<prop[^>]*>([^<]+)</prop>`)

// unset says whether a call reads a property that has no value; the simulator ends such a connection without an answer.
func (f *front) unset(c *call) bool {
	asked := propertyAsked.FindSubmatch(c.body)
	if asked == nil {
		return false
	}
	kind := escaped(c.this.Type)
	probe := c.ask(f.next, fmt.Sprintf(retrieve, kind, asked[1], kind, escaped(c.this.Value)))
	found := probe.body.Bytes()
	return probe.status == http.StatusOK && !bytes.Contains(found, []byte("<propSet>")) &&
		!bytes.Contains(found, []byte("<missingSet>"))
}

var (
	uuidAsked     = regexp.MustCompile(`<uuid[^>]*>([^<]*)</uuid>`)
	instanceAsked = regexp.MustCompile(`<instanceUuid[^>]*>(true|1)</instanceUuid>`)
)

type callKey struct{}

// wholeKey says whether what is played is the client's own call, not one that the front makes for it.
type wholeKey struct{}

var noWait = regexp.MustCompile(`<maxWaitSeconds[^>]*>0</maxWaitSeconds>`)

var knownVersion = regexp.MustCompile(`<version[^>]*>[^<]+</version>`)

// guarded is the simulator's handler behind the lock. A long poll must not hold up the others; one that does not wait,
// and a first call, which answers at once, are guarded: a change between its look and its subscription would never be told.
func (f *front) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, known := r.Context().Value(callKey{}).(*call)
		switch {
		case known && strings.HasPrefix(c.method, "WaitForUpdates") && knownVersion.Match(c.body) && !noWait.Match(c.body):
		case known && (c.isTask() || checked[c.method]):
			f.whole.Lock()
			defer f.whole.Unlock()
			if f.uniqueNames && nameTaken(c) {
				faultAnswer("DuplicateName", "The name already exists.").sendTo(w)
				return
			}
			whole := r.Context().Value(wholeKey{}) == true
			if fault := f.refused(c); whole && fault != nil {
				refusal(c, fault).sendTo(w)
				return
			}
			switch {
			case whole && c.method == "CloneVM_Task":
				f.clone(c, next, r.Header.Get("Cookie")).sendTo(w)
				return
			case whole && c.method == "CreateVM_Task":
				f.create(c, next, r.Header.Get("Cookie")).sendTo(w)
				return
			case whole:
				f.effects.before(c)
			}
		default:
			f.whole.RLock()
			defer f.whole.RUnlock()
		}
		next.ServeHTTP(w, r)
	})
}

var (
	machineName   = regexp.MustCompile(`<config[^>]*>.*?<name[^>]*>([^<]*)</name>`)
	machineFolder = regexp.MustCompile(`<folder[^>]*>([^<]+)</folder>`)
)

// newMachine is the folder and the name of the machine that a call makes; no folder where it makes none.
func newMachine(c *call) (*simulator.Folder, string) {
	ref := c.this
	switch c.method {
	case "CreateVM_Task":
	case "ImportVApp", "CloneVM_Task":
		if match := machineFolder.FindSubmatch(c.body); match != nil {
			ref = types.ManagedObjectReference{Type: "Folder", Value: string(match[1])}
		}
	default:
		return nil, ""
	}
	folder, _ := simulator.Map.Get(ref).(*simulator.Folder)
	named := machineName
	if c.method == "CloneVM_Task" {
		named = cloneName
	}
	match := named.FindSubmatch(bytes.ReplaceAll(c.body, []byte("\n"), []byte(" ")))
	if folder == nil || match == nil {
		return nil, ""
	}
	return folder, html.UnescapeString(string(match[1]))
}

// nameTaken says whether the call gives something a name that the folder has; vCenter refuses that, the simulator does
// not.
func nameTaken(c *call) bool {
	folder, name := newMachine(c)
	if folder == nil {
		folder, name = renamedTo(c)
	}
	return folder != nil && simulator.Map.FindByName(name, folder.ChildEntity) != nil
}

// answer lets the simulator answer: at once, or for a task with the reference of one that is still to run.
func (f *front) answer(c *call) *answer {
	c.about = c.this
	if entity := entityOf(c.this); entity != nil {
		c.about = entity.Reference()
	}
	if refused := f.forbidden(c); refused != nil {
		return refused
	}
	switch c.method {
	case "ContinueRetrievePropertiesEx":
		return f.pager.next(c)
	case "FindAllByUuid":
		return f.findAll(c)
	case "HasPrivilegeOnEntities":
		return f.privileges(c)
	case "QueryPerf":
		return f.queryPerf(c)
	case "ExportVm":
		return f.exportVM(c)
	case "ImportVApp":
		return f.importVApp(c)
	case "HttpNfcLeaseComplete", "HttpNfcLeaseAbort":
		return f.endLease(c)
	case "CancelTask":
		return f.cancels.cancel(c)
	case "EnterMaintenanceMode_Task":
		return f.enter(c)
	case "Fetch":
		if f.unset(c) {
			return soapAnswer(http.StatusOK, `<FetchResponse xmlns="urn:vim25"></FetchResponse>`)
		}
	}
	if c.method == "RelocateVM_Task" && scattered(c) {
		return faultAnswer("NotSupported", "this simulator moves all of a machine's files together")
	}
	if part := f.pager.part(c); part != nil {
		return part
	}
	if c.isTask() && f.leases.holds(c.this) {
		return faultAnswer("TaskInProgress", "A lease is open on the machine.")
	}
	if !c.isTask() || f.taskDelay == 0 || simulator.Map.Get(c.this) == nil {
		played := c.play(f.next, c.body, c.request.Header.Get("Cookie"))
		if ref, ok := played.task(); ok && c.about != c.this {
			update(simulator.Map.Get(ref).(*simulator.Task), "info.entity", c.about)
		}
		return f.pager.of(c, f.effects.of(c, played))
	}
	// A task must not be given to somebody whose session has ended: any call tells.
	probe := c.ask(f.next, currentTime)
	if probe.status != http.StatusOK {
		return probe
	}
	if !f.clones.begin(c) {
		return faultAnswer("DuplicateName", "The name already exists.")
	}
	task := newTask(c)
	go f.runLater(task, c)
	return taskAnswer(c.method, task.Self)
}

// runLater plays the call after the delay and copies the outcome of the simulator's own, finished task. It does so
// in a session of its own: a task goes on when the client that asked for it has logged out.
func (f *front) runLater(task *simulator.Task, c *call) {
	defer f.clones.end(c)
	defer func() {
		if recover() != nil {
			finish(task, nil, new(types.NotSupported))
		}
	}()
	update(task, "info.state", types.TaskInfoStateRunning)
	if !f.waited(task, c) {
		finish(task, nil, newFault("RequestCanceled", c.this))
		return
	}
	played := f.effects.of(c, f.playAsSystem(c))
	f.whole.Lock()
	defer f.whole.Unlock()
	inner, ok := played.task()
	if !ok {
		finish(task, nil, newFault(played.fault(), c.this))
		return
	}
	done := simulator.Map.Get(inner).(*simulator.Task)
	if done.Info.Error != nil {
		finish(task, nil, done.Info.Error.Fault)
		return
	}
	finish(task, done.Info.Result, nil)
}

func (f *front) playAsSystem(c *call) *answer {
	password, _ := f.user.Password()
	body := soapAnswer(http.StatusOK, fmt.Sprintf(login, escaped(f.user.Username()), escaped(password)))
	session := c.play(f.next, body.body.Bytes(), "").header.Get("Set-Cookie")
	played := c.play(f.next, c.body, session)
	c.play(f.next, soapAnswer(http.StatusOK, logout).body.Bytes(), session)
	return played
}

func newTask(c *call) *simulator.Task {
	object := entityOf(c.this)
	name := strings.Replace(c.method, "_Task", "Task", 1)
	if c.method == "CloneVM_Task" {
		name = "cloneTask" // the tasks of this one call are told apart by their description, which is vCenter's own
	}
	task := simulator.CreateTask(object, name, nil)
	task.Info.Name = c.method
	return task
}

// entityOf is what a task of an object is told to be about: of a snapshot its machine, for a snapshot is no entity, and
// pyvmomi reads no task that says so.
func entityOf(ref types.ManagedObjectReference) mo.Reference {
	object := simulator.Map.Get(ref)
	if snapshot, ok := object.(*simulator.VirtualMachineSnapshot); ok {
		return simulator.Map.Get(snapshot.Vm)
	}
	return object
}

func failedTask(c *call, fault types.BaseMethodFault) types.ManagedObjectReference {
	task := newTask(c)
	finish(task, nil, fault)
	return task.Self
}

func finish(task *simulator.Task, result types.AnyType, fault types.BaseMethodFault) {
	state := types.TaskInfoStateSuccess
	changes := []types.PropertyChange{{Name: "info.completeTime", Val: time.Now()}}
	if fault != nil {
		state = types.TaskInfoStateError
		failure := types.LocalizedMethodFault{Fault: fault, LocalizedMessage: typeName(fault)}
		changes = append(changes, types.PropertyChange{Name: "info.error", Val: failure})
	}
	if result != nil {
		changes = append(changes, types.PropertyChange{Name: "info.result", Val: result})
	}
	// The state comes last: whoever sees it finished must also see how.
	changes = append(changes, types.PropertyChange{Name: "info.state", Val: state})
	simulator.Map.WithLock(task, func() { simulator.Map.Update(task, changes) })
}

func update(task *simulator.Task, name string, value types.AnyType) {
	simulator.Map.WithLock(task, func() {
		simulator.Map.Update(task, []types.PropertyChange{{Name: name, Val: value}})
	})
}

// newFault is a fault of a type named as the vendor's reference names it, about an object; nil where there is no such
// type. A fault's references and states must not be empty: clients cannot read those.
func newFault(name string, about types.ManagedObjectReference) types.BaseMethodFault {
	kind, ok := types.TypeFunc()(name)
	if !ok {
		return nil
	}
	value := reflect.New(kind)
	fault, ok := value.Interface().(types.BaseMethodFault)
	if !ok {
		return nil
	}
	fillReferences(value.Elem(), about)
	return fault
}

func fillReferences(value reflect.Value, about types.ManagedObjectReference) {
	for i := 0; i < value.NumField(); i++ {
		field, name := value.Field(i), value.Type().Field(i)
		switch {
		case name.Name == "Task":
			field.Set(reflect.ValueOf(types.ManagedObjectReference{Type: "Task", Value: "task-0"}))
		case field.Type() == reflect.TypeOf(about):
			field.Set(reflect.ValueOf(about))
		case field.Type() == reflect.TypeOf(types.VirtualMachinePowerStatePoweredOff):
			field.Set(reflect.ValueOf(types.VirtualMachinePowerStatePoweredOff))
		case field.Kind() == reflect.Struct && name.Anonymous:
			fillReferences(field, about)
		}
	}
}

func typeName(fault types.BaseMethodFault) string {
	return reflect.TypeOf(fault).Elem().Name()
}
