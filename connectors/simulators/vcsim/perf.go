package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator's own performance series are canned. Here they follow a load that was stated: what a counter shows
// for an interval is the load's mean in it, or its sum where the counter is a summation. A machine of which no load
// is stated idles; one that does not run has no samples. As at vCenter there is an hour of samples of 20 s; unlike
// there, they are there at once, also for the time before the machine was made.

const (
	sampleS  = 20
	samplesH = 3600 / sampleS
)

// step is the load from a time on, by the name of the counter and, after an @, of its instance:
// "virtualDisk.read.average@scsi0:0". Summations are stated by the second.
type step struct {
	At    float64            `json:"at"`
	Rates map[string]float64 `json:"rates"`
}

type loads struct {
	mutex sync.Mutex
	steps map[string][]step
}

func (l *loads) set(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Value string `json:"value"`
		Steps []step `json:"steps"`
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sort.SliceStable(asked.Steps, func(i, j int) bool { return asked.Steps[i].At < asked.Steps[j].At })
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.steps[asked.Value] = asked.Steps
	w.WriteHeader(http.StatusNoContent)
}

// sum is a counter's load times seconds, between two times.
func (l *loads) sum(machine, counter string, from, to float64) float64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	total, steps := 0.0, l.steps[machine]
	for i, one := range steps {
		end := to
		if i+1 < len(steps) {
			end = math.Min(to, steps[i+1].At)
		}
		if start := math.Max(from, one.At); start < end {
			total += one.Rates[counter] * (end - start)
		}
	}
	return total
}

// instances are those that the loads of a machine name for a counter; the aggregate one where they name none.
func (l *loads) instances(machine, counter string) []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	named := map[string]bool{}
	for _, one := range l.steps[machine] {
		for name := range one.Rates {
			if instance := strings.TrimPrefix(name, counter+"@"); instance != name {
				named[instance] = true
			}
		}
	}
	found := []string{}
	for instance := range named {
		found = append(found, instance)
	}
	sort.Strings(found)
	if len(found) == 0 {
		return []string{""}
	}
	return found
}

type perfQuery struct {
	Specs []struct {
		Entity struct {
			Type  string `xml:"type,attr"`
			Value string `xml:",chardata"`
		} `xml:"entity"`
		Start   string `xml:"startTime"`
		End     string `xml:"endTime"`
		Most    int    `xml:"maxSample"`
		Metrics []struct {
			Counter  int32  `xml:"counterId"`
			Instance string `xml:"instance"`
		} `xml:"metricId"`
		Interval int    `xml:"intervalId"`
		Format   string `xml:"format"`
	} `xml:"Body>QueryPerf>querySpec"`
}

// queryPerf answers QueryPerf for machines, in samples of 20 s.
func (f *front) queryPerf(c *call) *answer {
	if probe := c.ask(f.next, currentTime); probe.status != http.StatusOK {
		return probe
	}
	var query perfQuery
	if err := xml.Unmarshal(c.body, &query); err != nil {
		return faultAnswer("InvalidArgument", err.Error())
	}
	names := counterNames()
	var out strings.Builder
	for _, spec := range query.Specs {
		ref := types.ManagedObjectReference{Type: spec.Entity.Type, Value: strings.TrimSpace(spec.Entity.Value)}
		machine, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine)
		if !ok {
			return faultAnswer("ManagedObjectNotFound", "The object has already been deleted.")
		}
		if spec.Interval != sampleS || spec.Format == "csv" {
			return faultAnswer("NotImplemented", "only samples of 20 s, and not as csv")
		}
		times := sampleTimes(spec.Start, spec.End, spec.Most)
		if machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			times = nil
		}
		fmt.Fprintf(&out, `<returnval xsi:type="PerfEntityMetric"><entity type="VirtualMachine">%s</entity>`, ref.Value)
		for _, at := range times {
			fmt.Fprintf(&out, `<sampleInfo><timestamp>%s</timestamp><interval>%d</interval></sampleInfo>`,
				time.Unix(at, 0).UTC().Format(time.RFC3339), sampleS)
		}
		for _, metric := range spec.Metrics {
			name, known := names[metric.Counter]
			if !known {
				return faultAnswer("InvalidArgument", "querySpec.metricId")
			}
			instances := []string{metric.Instance}
			if metric.Instance == "*" {
				instances = f.loads.instances(ref.Value, name)
			}
			for _, instance := range instances {
				f.series(&out, ref.Value, metric.Counter, name, instance, times)
			}
		}
		out.WriteString(`</returnval>`)
	}
	return soapAnswer(http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25">%s</%sResponse>`, c.method, out.String(), c.method))
}

func (f *front) series(out *strings.Builder, machine string, counter int32, name, instance string, times []int64) {
	fmt.Fprintf(out, `<value xsi:type="PerfMetricIntSeries"><id><counterId>%d</counterId><instance>%s</instance></id>`,
		counter, escaped(instance))
	load := name
	if instance != "" {
		load += "@" + instance
	}
	for _, at := range times {
		value := f.loads.sum(machine, load, float64(at-sampleS), float64(at))
		if !strings.HasSuffix(name, ".summation") {
			value /= sampleS
		}
		fmt.Fprintf(out, `<value>%d</value>`, int64(math.Round(value)))
	}
	out.WriteString(`</value>`)
}

func counterNames() map[int32]string {
	names := map[int32]string{}
	for _, one := range simulator.Map.Get(*simulator.Map.Get(types.ManagedObjectReference{
		Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content.PerfManager,
	).(*simulator.PerformanceManager).PerfCounter {
		names[one.Key] = fmt.Sprintf("%s.%s.%s", one.GroupInfo.GetElementDescription().Key,
			one.NameInfo.GetElementDescription().Key, one.RollupType)
	}
	return names
}

// sampleTimes are the ends of the intervals asked for, oldest first; the newest where there are more than `most`.
func sampleTimes(start, end string, most int) []int64 {
	now := time.Now().Unix()
	first, last := now-3600, now
	if at, err := time.Parse(time.RFC3339, start); err == nil && at.Unix() > first {
		first = at.Unix()
	}
	if at, err := time.Parse(time.RFC3339, end); err == nil && at.Unix() < last {
		last = at.Unix()
	}
	var times []int64
	for at := last / sampleS * sampleS; at > first && len(times) < samplesH; at -= sampleS {
		times = append(times, at)
	}
	if most > 0 && len(times) > most {
		times = times[:most]
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return times
}
