package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// Clones as vCenter documents them (VirtualMachineCloneSpec). The simulator's own take over most devices of the source
// instead of copying them, heed little of spec.config, stay on the source's host, and have empty disks. Here the clone
// gets devices and network addresses of its own, then what spec.config changes, and the content of the disks; where
// the change fails there is no clone. Customisation and linked clones are not there.

var (
	configChange = regexp.MustCompile(`(?s)<config[ >].*</config>`)
	cloneHost    = regexp.MustCompile(`<host[^>]*>([^<]+)</host>`)
	clonePool    = regexp.MustCompile(`<pool[^>]*>([^<]+)</pool>`)
	cloneName    = regexp.MustCompile(`<name[^>]*>([^<]*)</name>`)
	notSimulated = regexp.MustCompile(`<(customization|snapshot|diskMoveType|diskBackingInfo)[ >]`)
	diskLocator  = regexp.MustCompile(`(?s)<disk[ >].*?</disk>`)
)

var powerOnAsked = regexp.MustCompile(`<powerOn[^>]*>(true|1)</powerOn>`)

const powerOn = `<PowerOnVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">%s</_this></PowerOnVM_Task>`

const reconfigure = `<ReconfigVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">%s</_this>%s</ReconfigVM_Task>`

// clone plays CloneVM_Task. Its caller keeps all others away.
func (f *front) clone(c *call, next http.Handler, cookie string) *answer {
	source, ok := simulator.Map.Get(c.this).(*simulator.VirtualMachine)
	config := configChange.Find(c.body)
	plain := configChange.ReplaceAll(c.body, nil)
	if !ok {
		return c.play(next, c.body, cookie)
	}
	if notSimulated.Match(plain) || elsewhere(plain) {
		return faultAnswer("NotSupported", "this simulator clones machines whole, and does not customise them")
	}
	own := source.Config.Hardware.Device
	source.Config.Hardware.Device = copied(own)
	played := c.play(next, plain, cookie)
	source.Config.Hardware.Device = own
	ref, ok := played.task()
	if !ok {
		return played
	}
	task := simulator.Map.Get(ref).(*simulator.Task)
	if task.Info.State != types.TaskInfoStateSuccess {
		return played
	}
	made := simulator.Map.Get(task.Info.Result.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	f.rehost(made, plain)
	if fault := f.change(c, next, cookie, source, made, config); fault != nil {
		c.play(next, soapAnswer(http.StatusOK, fmt.Sprintf(destroyMachine, made.Self.Value)).body.Bytes(), cookie)
		finish(task, nil, fault)
		return played
	}
	copyDisks(source, made)
	if powerOnAsked.Match(plain) {
		c.play(next, soapAnswer(http.StatusOK, fmt.Sprintf(powerOn, made.Self.Value)).body.Bytes(), cookie)
	}
	return played
}

// create plays CreateVM_Task, and brings the machine to a host that takes it where the call leaves the choice.
func (f *front) create(c *call, next http.Handler, cookie string) *answer {
	played := c.play(next, c.body, cookie)
	if ref, ok := played.task(); ok {
		task := simulator.Map.Get(ref).(*simulator.Task)
		if made, ok := task.Info.Result.(types.ManagedObjectReference); ok {
			f.rehost(simulator.Map.Get(made).(*simulator.VirtualMachine), c.body)
		}
	}
	return played
}

// elsewhere says whether a disk is to have a place of its own; one that names the clone's own datastore has none.
func elsewhere(plain []byte) bool {
	home := relocateStore.FindSubmatch(diskLocator.ReplaceAll(plain, nil))
	for _, locator := range diskLocator.FindAll(plain, -1) {
		place := relocateStore.FindSubmatch(locator)
		if home == nil || place == nil || !bytes.Equal(home[1], place[1]) {
			return true
		}
	}
	return false
}

// change makes the changes of the clone's specification, as a reconfiguration of the clone.
func (f *front) change(c *call, next http.Handler, cookie string, source, made *simulator.VirtualMachine, config []byte) types.BaseMethodFault {
	if config == nil {
		return nil
	}
	files := disksOf(made)
	for key, disk := range disksOf(source) {
		// Changes name the source's files, because that is where a client read the disks.
		if files[key] != nil {
			config = bytes.ReplaceAll(config, []byte(escaped(fileName(disk))), []byte(escaped(fileName(files[key]))))
		}
	}
	spec := bytes.Replace(config, []byte("<config"), []byte("<spec"), 1)
	spec = append(bytes.TrimSuffix(spec, []byte("</config>")), "</spec>"...)
	body := soapAnswer(http.StatusOK, fmt.Sprintf(reconfigure, made.Self.Value, spec)).body.Bytes()
	played := c.play(next, body, cookie)
	ref, ok := played.task()
	if !ok {
		return newFault("InvalidRequest", made.Self)
	}
	task := simulator.Map.Get(ref).(*simulator.Task)
	if task.Info.Error != nil {
		return task.Info.Error.Fault
	}
	return nil
}

// copied is the devices once more, by way of their XML; cards whose address vCenter gives get new ones.
func copied(devices []types.BaseVirtualDevice) []types.BaseVirtualDevice {
	var text bytes.Buffer
	if err := xml.NewEncoder(&text).Encode(types.ArrayOfVirtualDevice{VirtualDevice: devices}); err != nil {
		panic(err)
	}
	decoder := xml.NewDecoder(&text)
	decoder.TypeFunc = types.TypeFunc()
	var again types.ArrayOfVirtualDevice
	if err := decoder.Decode(&again); err != nil {
		panic(err)
	}
	for _, device := range again.VirtualDevice {
		if card, ok := device.(types.BaseVirtualEthernetCard); ok {
			if found := card.GetVirtualEthernetCard(); found.AddressType != string(types.VirtualEthernetCardMacTypeManual) {
				found.MacAddress = ""
			}
		}
	}
	return again.VirtualDevice
}

// rehost brings a new machine to the host that the call names, or to one of the pool's that takes it; a clone begins on
// the source's, another on any.
func (f *front) rehost(made *simulator.VirtualMachine, body []byte) {
	host, pool := cloneHost.FindSubmatch(body), clonePool.FindSubmatch(body)
	target := *made.Runtime.Host
	if host != nil {
		target = types.ManagedObjectReference{Type: "HostSystem", Value: string(host[1])}
	} else if owner := ownerOf(made.ResourcePool); pool != nil && owner != nil {
		target = f.hostOf(*owner, target)
	}
	if target == *made.Runtime.Host {
		return
	}
	simulator.Map.WithLock(made, func() {
		simulator.Map.Update(made, []types.PropertyChange{
			{Name: "runtime.host", Val: &target},
			{Name: "summary.runtime.host", Val: &target},
		})
	})
	rehosted(made.Self)
}

// hostOf is the host itself where it belongs to the cluster and takes machines, else the cluster's first that does.
func (f *front) hostOf(owner, host types.ManagedObjectReference) types.ManagedObjectReference {
	first := host
	for _, one := range hostsOf(owner) {
		if !f.takes(one.Self) {
			continue
		}
		if one.Self == host {
			return host
		}
		if first == host {
			first = one.Self
		}
	}
	return first
}

func disksOf(machine *simulator.VirtualMachine) map[int32]*types.VirtualDisk {
	found := map[int32]*types.VirtualDisk{}
	for _, device := range machine.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			found[disk.Key] = disk
		}
	}
	return found
}

func fileName(disk *types.VirtualDisk) string {
	return disk.Backing.(types.BaseVirtualDeviceFileBackingInfo).GetVirtualDeviceFileBackingInfo().FileName
}

// copyDisks gives the clone's disks the content of the source's; what the clone's have more is zeros.
func copyDisks(source, made *simulator.VirtualMachine) {
	theirs := disksOf(made)
	for key, disk := range disksOf(source) {
		if theirs[key] == nil {
			continue
		}
		from, to := fileOf(disk), fileOf(theirs[key])
		if err := copyDisk(from, to); err != nil && !os.IsNotExist(err) {
			panic(err)
		}
	}
}

func copyDisk(from, to *diskFile) error {
	flat, err := os.Open(from.extent())
	if err != nil {
		return err
	}
	defer flat.Close()
	out, err := os.OpenFile(to.extent(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeStream(w, flat, from.capacity)) }()
	if err := readStream(r, out, from.capacity); err != nil {
		return err
	}
	if err := out.Truncate(to.capacity); err != nil {
		return err
	}
	text := descriptor("vmfs", fmt.Sprintf("RW %d VMFS \"%s\"", to.capacity/sector, path.Base(to.extent())))
	return os.WriteFile(to.descriptor, []byte(text), 0o600)
}

// underWay are the names that clones which still run have taken: vCenter shows such a machine from the beginning.
type underWay struct {
	mutex sync.Mutex
	names map[string]bool
}

// begin takes the name of the clone that a call makes; false where another call has it.
func (u *underWay) begin(c *call) bool {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if key := cloneKey(c); key != "" {
		if u.names[key] {
			return false
		}
		u.names[key] = true
	}
	return true
}

func (u *underWay) end(c *call) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	delete(u.names, cloneKey(c))
}

func cloneKey(c *call) string {
	folder, name := machineFolder.FindSubmatch(c.body), cloneName.FindSubmatch(c.body)
	if c.method != "CloneVM_Task" || folder == nil || name == nil {
		return ""
	}
	return string(folder[1]) + "/" + strings.ToLower(html.UnescapeString(string(name[1])))
}
