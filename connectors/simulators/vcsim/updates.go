package main

import (
	"context"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// collectorKind is the type of a property collector's reference, whatever ours is called here.
const collectorKind = "PropertyCollector"

// lookAgain is how often a call that waits looks for news.
const lookAgain = 100 * time.Millisecond

// collector tells updates as vCenter Server does: what changed since the version that is asked with, each object once.
// The simulator's own collects every object of every filter anew for each single change, so that news of one in
// 10,000 machines took minutes, tells only of what is deleted that it left, and breaks off where an object is gone
// by the time it tells of it.
type collector struct {
	simulator.PropertyCollector

	mutex    sync.Mutex
	listener *listener
	cancel   context.CancelFunc
	// telling is held while a call looks what there is to tell.
	telling sync.Mutex
	version int
	// told is what each filter has told; a filter that has told nothing yet is not in it.
	told map[types.ManagedObjectReference]objects
}

// objects is what was told of each object.
type objects map[types.ManagedObjectReference]values

// values is what was told of an object's properties: those that are one word or number as they were, and for others
// nil. What has no value is not in it.
type values map[string]types.AnyType

// plain is a value that two looks can be compared by; nil for others, whose parts may have changed in place.
func plain(value types.AnyType) types.AnyType {
	switch reflect.ValueOf(value).Kind() {
	case reflect.Bool, reflect.String, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return value
	}
	return nil
}

// tell keeps a value, and is whether it is news.
func (v values) tell(name string, value types.AnyType) bool {
	before, had := v[name]
	if value == nil {
		delete(v, name)
		return had
	}
	now := plain(value)
	v[name] = now
	return !had || now == nil || now != before
}

// listener keeps what the registry tells of, by a name of its own: every session has a collector of the same name.
type listener struct {
	self  types.ManagedObjectReference
	mutex sync.Mutex
	news  []types.ObjectUpdate
}

// serveUpdates lets all sessions have such collectors: the simulator makes theirs of the type of this one.
func serveUpdates() {
	root := simulator.Map.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"})
	ref := root.(*simulator.ServiceInstance).Content.PropertyCollector
	one := &collector{}
	one.Self = ref
	simulator.Map.Put(one)
}

// CreatePropertyCollector makes one of the session's own.
func (c *collector) CreatePropertyCollector(ctx *simulator.Context, _ *types.CreatePropertyCollector) soap.HasFault {
	made := &collector{}
	made.Self.Type = collectorKind
	return &methods.CreatePropertyCollectorBody{Res: &types.CreatePropertyCollectorResponse{
		Returnval: ctx.Session.Put(made).Reference(),
	}}
}

// CancelWaitForUpdates ends a call that waits.
func (c *collector) CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
	return &methods.CancelWaitForUpdatesBody{Res: new(types.CancelWaitForUpdatesResponse)}
}

// DestroyPropertyCollector ends a call that waits, and removes the collector with its filters.
func (c *collector) DestroyPropertyCollector(ctx *simulator.Context, r *types.DestroyPropertyCollector) soap.HasFault {
	c.CancelWaitForUpdates(nil)
	if c.listener != nil {
		ctx.Map.RemoveHandler(c.listener)
	}
	return c.PropertyCollector.DestroyPropertyCollector(ctx, r)
}

func (l *listener) Reference() types.ManagedObjectReference { return l.self }

// PutObject, UpdateObject and RemoveObject are how the registry tells of every change.
func (l *listener) PutObject(o mo.Reference) {
	l.hear(types.ObjectUpdate{Obj: o.Reference(), Kind: types.ObjectUpdateKindEnter})
}

func (l *listener) UpdateObject(o mo.Reference, changes []types.PropertyChange) {
	l.hear(types.ObjectUpdate{Obj: o.Reference(), Kind: types.ObjectUpdateKindModify, ChangeSet: changes})
}

func (l *listener) RemoveObject(ref types.ManagedObjectReference) {
	l.hear(types.ObjectUpdate{Obj: ref, Kind: types.ObjectUpdateKindLeave})
}

func (l *listener) hear(one types.ObjectUpdate) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.news = append(l.news, one)
}

// heard is what was heard since it was asked the last time.
func (l *listener) heard() []types.ObjectUpdate {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	found := l.news
	l.news = nil
	return found
}

// WaitForUpdatesEx tells everything where no version is given, and else waits until there is something to tell: at
// most as long as the call says, and not at all where that is 0.
func (c *collector) WaitForUpdatesEx(ctx *simulator.Context, r *types.WaitForUpdatesEx) soap.HasFault {
	body := &methods.WaitForUpdatesExBody{}
	wait, cancel := patience(r.Options)
	defer cancel()
	c.mutex.Lock()
	c.cancel = cancel
	c.mutex.Unlock()
	for {
		found, fault := c.look(ctx, r.Version == "")
		switch {
		case fault != nil:
			body.Fault_ = simulator.Fault("", fault)
			return body
		case found != nil:
			body.Res = &types.WaitForUpdatesExResponse{Returnval: found}
			return body
		}
		select {
		case <-wait.Done():
			if wait.Err() == context.Canceled {
				body.Fault_ = simulator.Fault("", new(types.RequestCanceled))
			} else {
				body.Res = &types.WaitForUpdatesExResponse{}
			}
			return body
		case <-time.After(lookAgain):
		}
	}
}

// WaitForUpdates is the older form of the call, which waits without end.
func (c *collector) WaitForUpdates(ctx *simulator.Context, r *types.WaitForUpdates) soap.HasFault {
	found := c.WaitForUpdatesEx(ctx, &types.WaitForUpdatesEx{This: r.This, Version: r.Version}).(*methods.WaitForUpdatesExBody)
	body := &methods.WaitForUpdatesBody{Fault_: found.Fault_}
	if found.Res != nil {
		body.Res = &types.WaitForUpdatesResponse{Returnval: *found.Res.Returnval}
	}
	return body
}

// look is what there is to tell now: everything to those who begin, and nil where nothing is new.
func (c *collector) look(ctx *simulator.Context, begins bool) (*types.UpdateSet, types.BaseMethodFault) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.listener == nil {
		self := types.ManagedObjectReference{Type: collectorKind, Value: ctx.Session.Key + " " + c.Self.Value}
		c.listener = &listener{self: self}
		ctx.Map.AddHandler(c.listener)
	}
	news := c.listener.heard()
	if begins || c.told == nil {
		news, c.told = nil, map[types.ManagedObjectReference]objects{}
	}
	sets, fault := c.updates(ctx, news)
	if fault != nil || len(sets) == 0 && !begins {
		return nil, fault
	}
	c.version++
	return &types.UpdateSet{Version: strconv.Itoa(c.version), FilterSet: sets}, nil
}

// patience is how long a call waits: without end where it does not say.
func patience(options *types.WaitOptions) (context.Context, context.CancelFunc) {
	if options == nil || options.MaxWaitSeconds == nil {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(*options.MaxWaitSeconds)*time.Second)
}

// updates is what each filter has to tell of the news.
func (c *collector) updates(ctx *simulator.Context, news []types.ObjectUpdate) ([]types.PropertyFilterUpdate, types.BaseMethodFault) {
	var sets []types.PropertyFilterUpdate
	for _, ref := range c.Filter {
		filter := ctx.Session.Get(ref).(*simulator.PropertyFilter)
		told, known := c.told[ref]
		if !known {
			told = objects{}
			c.told[ref] = told
		}
		var set []types.ObjectUpdate
		if !known || selectsAnew(filter.Spec, news) {
			var fault types.BaseMethodFault
			if set, fault = c.selected(ctx, filter.Spec, told); fault != nil {
				return nil, fault
			}
		}
		set = append(set, c.modified(ctx, filter.Spec, news, told, set)...)
		if len(set) > 0 {
			sets = append(sets, types.PropertyFilterUpdate{Filter: ref, ObjectSet: set})
		}
	}
	return sets, nil
}

// selectsAnew is whether the news can change which objects a filter selects: new ones of its kinds, and changes of
// the properties that it goes through.
func selectsAnew(spec types.PropertyFilterSpec, news []types.ObjectUpdate) bool {
	paths, kinds := map[string]bool{}, map[string]bool{}
	for _, one := range spec.PropSet {
		kinds[one.Type] = true
	}
	for _, start := range spec.ObjectSet {
		wayThrough(start.SelectSet, paths)
	}
	for _, one := range news {
		switch one.Kind {
		case types.ObjectUpdateKindEnter:
			if kinds[one.Obj.Type] {
				return true
			}
		case types.ObjectUpdateKindModify:
			for _, change := range one.ChangeSet {
				if paths[change.Name] {
					return true
				}
			}
		}
	}
	return false
}

func wayThrough(set []types.BaseSelectionSpec, paths map[string]bool) {
	for _, one := range set {
		if way, ok := one.(*types.TraversalSpec); ok {
			paths[way.Path] = true
			wayThrough(way.SelectSet, paths)
		}
	}
}

// selected brings up to date what a filter selects: objects enter with all their properties, and leave.
func (c *collector) selected(ctx *simulator.Context, spec types.PropertyFilterSpec, told objects) ([]types.ObjectUpdate, types.BaseMethodFault) {
	found, fault := c.content(ctx, spec)
	if fault != nil {
		return nil, fault
	}
	var updates []types.ObjectUpdate
	now := map[types.ManagedObjectReference]bool{}
	for _, one := range found {
		now[one.Obj] = true
		if told[one.Obj] != nil {
			continue
		}
		told[one.Obj] = values{}
		update := types.ObjectUpdate{Obj: one.Obj, Kind: types.ObjectUpdateKindEnter, MissingSet: one.MissingSet}
		for _, p := range one.PropSet {
			told[one.Obj].tell(p.Name, p.Val)
			update.ChangeSet = append(update.ChangeSet, assigned(p.Name, p.Val))
		}
		updates = append(updates, update)
	}
	for ref := range told {
		if !now[ref] {
			delete(told, ref)
			updates = append(updates, types.ObjectUpdate{Obj: ref, Kind: types.ObjectUpdateKindLeave})
		}
	}
	return updates, nil
}

// modified is what is new of objects that were told of before; each stands in it once, as it is now.
func (c *collector) modified(ctx *simulator.Context, spec types.PropertyFilterSpec, news []types.ObjectUpdate,
	told objects, entered []types.ObjectUpdate) []types.ObjectUpdate {
	done := map[types.ManagedObjectReference]bool{}
	for _, one := range entered {
		done[one.Obj] = true
	}
	var order []types.ManagedObjectReference
	changed := map[types.ManagedObjectReference][]string{}
	for _, one := range news {
		if told[one.Obj] == nil || done[one.Obj] {
			continue
		}
		if _, seen := changed[one.Obj]; !seen {
			order = append(order, one.Obj)
			changed[one.Obj] = nil
		}
		for _, change := range one.ChangeSet {
			changed[one.Obj] = append(changed[one.Obj], change.Name)
		}
	}
	var updates []types.ObjectUpdate
	for _, ref := range order {
		found, fault := c.content(ctx, types.PropertyFilterSpec{
			PropSet: spec.PropSet, ObjectSet: []types.ObjectSpec{{Obj: ref}},
		})
		if fault != nil || len(found) == 0 { // gone by now
			delete(told, ref)
			updates = append(updates, types.ObjectUpdate{Obj: ref, Kind: types.ObjectUpdateKindLeave})
			continue
		}
		update := types.ObjectUpdate{Obj: ref, Kind: types.ObjectUpdateKindModify}
		now := map[string]types.AnyType{}
		for _, p := range found[0].PropSet {
			now[p.Name] = p.Val
		}
		for _, name := range wanted(spec, ref, now) {
			if touched(name, changed[ref]) && told[ref].tell(name, now[name]) {
				update.ChangeSet = append(update.ChangeSet, assigned(name, now[name]))
			}
		}
		if len(update.ChangeSet) > 0 {
			updates = append(updates, update)
		}
	}
	return updates
}

// wanted is the properties that a filter has of an object, those without a value among them.
func wanted(spec types.PropertyFilterSpec, ref types.ManagedObjectReference, now map[string]types.AnyType) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, one := range spec.PropSet {
		applies := one.Type == ref.Type
		for _, name := range one.PathSet { // it may be of a kind that the object's is one of
			_, has := now[name]
			applies = applies || has
		}
		for _, name := range one.PathSet {
			if applies {
				add(name)
			}
		}
	}
	for name := range now {
		add(name)
	}
	return names
}

// touched is whether one of the changes is of this property, of a part of it, or of what it is a part of.
func touched(name string, changes []string) bool {
	for _, change := range changes {
		if change == name || strings.HasPrefix(change, name+".") || strings.HasPrefix(name, change+".") {
			return true
		}
	}
	return false
}

func assigned(name string, value types.AnyType) types.PropertyChange {
	return types.PropertyChange{Op: types.PropertyChangeOpAssign, Name: name, Val: value}
}

// content is the properties of all objects that a filter selects.
func (c *collector) content(ctx *simulator.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, types.BaseMethodFault) {
	call := &types.RetrievePropertiesEx{This: c.Self, SpecSet: []types.PropertyFilterSpec{spec}}
	body := c.RetrievePropertiesEx(ctx, call).(*methods.RetrievePropertiesExBody)
	if body.Fault_ != nil {
		if fault, ok := body.Fault_.VimFault().(types.BaseMethodFault); ok {
			return nil, fault
		}
		return nil, new(types.RuntimeFault)
	}
	return body.Res.Returnval.Objects, nil
}
