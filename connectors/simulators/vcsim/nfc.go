package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// HttpNfcLease carries the disks of one machine over HTTP, in or out. The simulator's own leases discard what they are given,
// and it does not know ExportVm.
//
// As at vCenter: it becomes ready a while after the call, the machine can do nothing else meanwhile, it ends in error
// when nobody tells its progress in time, and an import that is not completed leaves no machine.
type HttpNfcLease struct {
	mo.HttpNfcLease
	front     *front
	call      *call
	importing bool
	files     map[string]*diskFile
	alive     *time.Timer
}

// diskFile is a disk's place on the simulator's datastore: a descriptor, and an extent as on VMFS.
type diskFile struct {
	descriptor string
	capacity   int64
}

func (d *diskFile) extent() string { return strings.Replace(d.descriptor, ".vmdk", "-flat.vmdk", 1) }

type leases struct {
	mutex   sync.Mutex
	open    map[string]*HttpNfcLease
	timeout time.Duration
}

func (l *leases) of(id string) *HttpNfcLease {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.open[id]
}

// holds says whether a lease is open on a machine.
func (l *leases) holds(machine types.ManagedObjectReference) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, one := range l.open {
		if one.Info.Entity == machine {
			return true
		}
	}
	return false
}

// close takes a lease out; false where it was out already.
func (l *leases) close(one *HttpNfcLease) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_, there := l.open[one.Self.Value]
	delete(l.open, one.Self.Value)
	one.alive.Stop()
	return there
}

func (f *front) exportVM(c *call) *answer {
	if probe := c.ask(f.next, currentTime); probe.status != http.StatusOK {
		return probe
	}
	machine, ok := simulator.Map.Get(c.this).(*simulator.VirtualMachine)
	switch {
	case !ok:
		return faultAnswer("ManagedObjectNotFound", "The object has already been deleted.")
	case machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff:
		return faultAnswer("InvalidPowerState", "The machine is not powered off.")
	case f.leases.holds(c.this):
		return faultAnswer("TaskInProgress", "Another lease is open on the machine.")
	}
	return leaseAnswer(c, f.newLease(c, machine, false))
}

var nativeLease = regexp.MustCompile(`<returnval[^>]*type="HttpNfcLease"[^>]*>([^<]+)</returnval>`)

const destroyMachine = `<Destroy_Task xmlns="urn:vim25"><_this type="VirtualMachine">%s</_this></Destroy_Task>`

const completeLease = `<HttpNfcLeaseComplete xmlns="urn:vim25"><_this type="HttpNfcLease">%s</_this></HttpNfcLeaseComplete>`

// importVApp lets the simulator make the machine, and gives a lease of ours for its own.
func (f *front) importVApp(c *call) *answer {
	played := c.play(f.next, c.body, c.request.Header.Get("Cookie"))
	native := nativeLease.FindSubmatch(played.body.Bytes())
	if played.status != http.StatusOK || native == nil {
		return played
	}
	c.ask(f.next, fmt.Sprintf(completeLease, native[1]))
	machine := f.named(c)
	if machine == nil {
		return faultAnswer("NotImplemented", "an import without a folder")
	}
	f.effects.policies.keep(c, machine)
	return leaseAnswer(c, f.newLease(c, machine, true))
}

// named is the machine that a call which makes one has made.
func (f *front) named(c *call) *simulator.VirtualMachine {
	f.whole.RLock()
	defer f.whole.RUnlock()
	folder, name := newMachine(c)
	if folder == nil {
		return nil
	}
	machine, _ := simulator.Map.FindByName(name, folder.ChildEntity).(*simulator.VirtualMachine)
	return machine
}

func leaseAnswer(c *call, one *HttpNfcLease) *answer {
	return soapAnswer(http.StatusOK, fmt.Sprintf(
		`<%sResponse xmlns="urn:vim25"><returnval type="HttpNfcLease">%s</returnval></%sResponse>`,
		c.method, one.Self.Value, c.method))
}

func (f *front) newLease(c *call, machine *simulator.VirtualMachine, importing bool) *HttpNfcLease {
	one := &HttpNfcLease{front: f, call: c, importing: importing, files: map[string]*diskFile{}}
	one.State = types.HttpNfcLeaseStateInitializing
	one.Info = &types.HttpNfcLeaseInfo{Entity: machine.Self, LeaseTimeout: int32(f.leases.timeout / time.Second)}
	one.alive = time.AfterFunc(f.leases.timeout, func() { one.end(types.HttpNfcLeaseStateError) })
	simulator.Map.Put(one)
	one.Info.Lease = one.Self
	scheme := "http"
	if c.request.TLS != nil {
		scheme = "https"
	}
	one.offer(machine, fmt.Sprintf("%s://%s/nfc/%s/", scheme, c.request.Host, one.Self.Value))
	f.leases.mutex.Lock()
	f.leases.open[one.Self.Value] = one
	f.leases.mutex.Unlock()
	go func() {
		time.Sleep(f.taskDelay)
		one.set(types.HttpNfcLeaseStateReady)
	}()
	return one
}

// offer names the disks as vCenter does: by the controller's type and number, and the unit.
func (l *HttpNfcLease) offer(machine *simulator.VirtualMachine, base string) {
	devices := object.VirtualDeviceList(machine.Config.Hardware.Device)
	for _, device := range devices {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		controller := devices.FindByKey(disk.ControllerKey).(types.BaseVirtualController)
		place := fmt.Sprintf("%s%d:%d", reflect.TypeOf(controller).Elem().Name(),
			controller.GetVirtualController().BusNumber, *disk.UnitNumber)
		name := fmt.Sprintf("disk-%d.vmdk", len(l.files))
		l.files[name] = fileOf(disk)
		l.Info.DeviceUrl = append(l.Info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
			Key:       fmt.Sprintf("/%s/%s", machine.Self.Value, place),
			ImportKey: fmt.Sprintf("/%s/%s", machine.Name, place),
			Url:       base + name,
			Disk:      types.NewBool(true),
			TargetId:  name,
		})
	}
}

func fileOf(disk *types.VirtualDisk) *diskFile {
	backing := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo).GetVirtualDeviceFileBackingInfo()
	var place object.DatastorePath
	place.FromString(backing.FileName)
	store := simulator.Map.Get(*backing.Datastore).(*simulator.Datastore)
	capacity := disk.CapacityInBytes
	if capacity == 0 {
		capacity = disk.CapacityInKB << 10
	}
	return &diskFile{descriptor: path.Join(store.Info.GetDatastoreInfo().Url, place.Path), capacity: capacity}
}

func (l *HttpNfcLease) set(state types.HttpNfcLeaseState) {
	simulator.Map.WithLock(l, func() {
		if l.State != types.HttpNfcLeaseStateInitializing && state == types.HttpNfcLeaseStateReady {
			return
		}
		simulator.Map.Update(l, []types.PropertyChange{{Name: "state", Val: state}})
	})
}

// end closes the lease; an import that was not completed loses its machine.
func (l *HttpNfcLease) end(state types.HttpNfcLeaseState) {
	if !l.front.leases.close(l) {
		return
	}
	if l.importing && state != types.HttpNfcLeaseStateDone {
		destroy := &call{method: "Destroy_Task", this: l.Info.Entity, request: l.call.request}
		destroy.body = soapAnswer(http.StatusOK, fmt.Sprintf(destroyMachine, l.Info.Entity.Value)).body.Bytes()
		l.front.playAsSystem(destroy)
	}
	l.set(state)
}

// HttpNfcLeaseProgress is the vendor's call of that name: it keeps the lease alive.
func (l *HttpNfcLease) HttpNfcLeaseProgress(_ *simulator.Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	l.alive.Reset(l.front.leases.timeout)
	l.TransferProgress = req.Percent
	return &methods.HttpNfcLeaseProgressBody{Res: new(types.HttpNfcLeaseProgressResponse)}
}

// endLease answers HttpNfcLeaseComplete and HttpNfcLeaseAbort.
func (f *front) endLease(c *call) *answer {
	if probe := c.ask(f.next, currentTime); probe.status != http.StatusOK {
		return probe
	}
	one := f.leases.of(c.this.Value)
	if one == nil {
		return faultAnswer("ManagedObjectNotFound", "The lease has ended.")
	}
	state := types.HttpNfcLeaseStateError
	if c.method == "HttpNfcLeaseComplete" {
		state = types.HttpNfcLeaseStateDone
	}
	one.end(state)
	return soapAnswer(http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25"></%sResponse>`, c.method, c.method))
}

// serveNFC gives and takes the disks of leases. The address is the permission, as at ESXi.
func (f *front) serveNFC(w http.ResponseWriter, r *http.Request) {
	applies := f.book.take(r.Method + " /nfc")
	if applies != nil && !applies.After {
		f.applyBare(applies, w)
		if applies.Action != "delay" {
			return
		}
	}
	id, name := path.Split(strings.TrimPrefix(r.URL.Path, "/nfc/"))
	one := f.leases.of(strings.Trim(id, "/"))
	if one == nil || one.files[name] == nil || one.State != types.HttpNfcLeaseStateReady {
		http.NotFound(w, r)
		return
	}
	switch {
	case r.Method == http.MethodGet && !one.importing:
		one.give(w, one.files[name], func() { f.applyBare(applies, w) })
	case r.Method == http.MethodPost && one.importing:
		one.take(w, r, one.files[name])
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (f *front) applyBare(r *rule, w http.ResponseWriter) {
	if r == nil {
		return
	}
	time.Sleep(time.Duration(r.DelayMS) * time.Millisecond)
	switch r.Action {
	case "http":
		w.WriteHeader(r.Status)
	case "reset":
		reset(w)
	}
}

// midway lets something happen after the first bytes of an answer.
type midway struct {
	http.ResponseWriter
	then func()
}

func (m *midway) Write(p []byte) (int, error) {
	written, err := m.ResponseWriter.Write(p)
	if then := m.then; then != nil {
		m.then = nil
		m.ResponseWriter.(http.Flusher).Flush()
		then()
	}
	return written, err
}

func (l *HttpNfcLease) give(w http.ResponseWriter, disk *diskFile, then func()) {
	flat, err := os.OpenFile(disk.extent(), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer flat.Close()
	w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	_ = writeStream(&midway{w, then}, flat, disk.capacity)
}

func (l *HttpNfcLease) take(w http.ResponseWriter, r *http.Request, disk *diskFile) {
	flat, err := os.OpenFile(disk.extent(), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		defer flat.Close()
		err = readStream(r.Body, flat, disk.capacity)
	}
	if err == nil {
		text := descriptor("vmfs", fmt.Sprintf("RW %d VMFS \"%s\"", disk.capacity/sector, path.Base(disk.extent())))
		err = os.WriteFile(disk.descriptor, []byte(text), 0o600)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		_, _ = io.Copy(io.Discard, r.Body)
	}
}
