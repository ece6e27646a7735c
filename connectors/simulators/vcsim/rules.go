package main

import (
	"encoding/json"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// rule is one misbehaviour that a test asked for.
//
// Action is one of: fault (a SOAP fault of type Fault), http (an HTTP answer of Status and nothing else), reset
// (the TCP connection is reset), delay (the real answer, late), task_error (a *_Task call answers with a task that
// ends in Fault). With After the call takes effect first, and only its answer is lost or changed. Each waits DelayMS.
type rule struct {
	Method  string `json:"method"`
	Action  string `json:"action"`
	Fault   string `json:"fault"`
	Message string `json:"message"`
	Status  int    `json:"status"`
	DelayMS int    `json:"delay_ms"`
	After   bool   `json:"after"`
	Times   int    `json:"times"` // how often it applies; 0 is always
	Skip    int    `json:"skip"`  // how many matching calls pass first
}

// book keeps the rules and counts the calls.
type book struct {
	mutex sync.Mutex
	rules []*rule
	calls map[string]int
}

// take counts a call and gives the rule that applies to it, if one does.
func (b *book) take(method string) *rule {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.calls[method]++
	for i, r := range b.rules {
		if r.Method != method && r.Method != "*" {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		if r.Times == 1 {
			b.rules = append(b.rules[:i:i], b.rules[i+1:]...)
		} else if r.Times > 1 {
			r.Times--
		}
		return r
	}
	return nil
}

// control is the tests' own door: rules, counters, and facts that the API cannot set. It listens by itself, on
// loopback, so that neither TLS nor a rule stands in its way.
func (f *front) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /_sim/rules":
		f.setRules(w, r)
	case "GET /_sim/calls":
		f.book.mutex.Lock()
		defer f.book.mutex.Unlock()
		_ = json.NewEncoder(w).Encode(f.book.calls)
	case "POST /_sim/denials":
		f.denials.control(w, r)
	case "POST /_sim/methods":
		f.sortMethods(w, r)
	case "GET /_sim/leases":
		f.leases.mutex.Lock()
		defer f.leases.mutex.Unlock()
		_ = json.NewEncoder(w).Encode(len(f.leases.open))
	case "POST /_sim/load":
		f.loads.set(w, r)
	case "POST /_sim/state":
		setState(w, r)
	default:
		http.NotFound(w, r)
	}
}

// setRules replaces all rules, and starts the counters anew.
func (f *front) setRules(w http.ResponseWriter, r *http.Request) {
	var rules []*rule
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, asked := range rules {
		if problem := asked.problem(); problem != "" {
			http.Error(w, problem, http.StatusBadRequest)
			return
		}
	}
	f.book.mutex.Lock()
	defer f.book.mutex.Unlock()
	f.book.rules, f.book.calls = rules, map[string]int{}
	w.WriteHeader(http.StatusNoContent)
}

// sortMethods tells which of some names are no methods of the vendor's, and what the simulator has.
func (f *front) sortMethods(w http.ResponseWriter, r *http.Request) {
	var names []string
	if err := json.NewDecoder(r.Body).Decode(&names); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var sorted struct {
		Unknown []string `json:"unknown"`
		Known   []string `json:"known"`
	}
	sorted.Known = append(f.methods(), transfers...)
	for _, name := range names {
		if name != "*" && !isMethod(name) && !among(transfers, name) {
			sorted.Unknown = append(sorted.Unknown, name)
		}
	}
	_ = json.NewEncoder(w).Encode(sorted)
}

// isMethod says whether the vendor has such a method: each has a type of its parameters.
func isMethod(name string) bool {
	for _, service := range []string{"", "pbm:"} {
		_, call := types.TypeFunc()(service + name)
		_, parameters := types.TypeFunc()(service + strings.TrimSuffix(name, "_Task") + "RequestType")
		if call && parameters {
			return true
		}
	}
	return false
}

// methods are those that the simulator's objects have; of objects that are still to be made its own list knows none.
func (f *front) methods() []string {
	listed := &answer{header: http.Header{}, status: http.StatusOK}
	request, _ := http.NewRequest(http.MethodGet, "/about", nil)
	f.next.ServeHTTP(listed, request)
	var about struct{ Methods []string }
	_ = json.Unmarshal(listed.body.Bytes(), &about)
	later := []interface{}{
		&simulator.VirtualMachine{}, &simulator.VirtualMachineSnapshot{}, &simulator.ContainerView{}, &collector{},
		&profileManager{}, &placementSolver{},
	}
	for _, object := range later {
		kind := reflect.TypeOf(object)
		for i := 0; i < kind.NumMethod(); i++ {
			if name := strings.Replace(kind.Method(i).Name, "Task", "_Task", 1); isMethod(name) {
				about.Methods = append(about.Methods, name)
			}
		}
	}
	return about.Methods
}

// transfers are what rules name the requests for disks, and those of the REST API.
var transfers = []string{"GET /nfc", "POST /nfc", "GET /rest", "POST /rest", "DELETE /rest"}

func among(names []string, name string) bool {
	for _, one := range names {
		if name == one {
			return true
		}
	}
	return false
}

func (r *rule) problem() string {
	switch r.Action {
	case "delay", "reset", "http":
		return ""
	case "fault", "task_error":
		if newFault(r.Fault, types.ManagedObjectReference{}) == nil {
			return "no such fault: " + r.Fault
		}
		return ""
	}
	return "no such action: " + r.Action
}

// apply answers a call that a rule is for.
func (f *front) apply(r *rule, c *call, w http.ResponseWriter) {
	if !r.After {
		time.Sleep(time.Duration(r.DelayMS) * time.Millisecond)
	}
	var real *answer
	if r.After || r.Action == "delay" {
		real = f.answer(c)
	}
	if r.After {
		time.Sleep(time.Duration(r.DelayMS) * time.Millisecond)
	}
	switch r.Action {
	case "delay":
		real.sendTo(w)
	case "fault":
		faultAnswer(r.Fault, r.Message).sendTo(w)
	case "task_error":
		taskAnswer(c.method, failedTask(c, newFault(r.Fault, c.this))).sendTo(w)
	case "http":
		w.WriteHeader(r.Status)
	case "reset":
		reset(w)
	}
}

// reset ends the TCP connection with RST, as a rebooting host or a firewall does.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = inner.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
