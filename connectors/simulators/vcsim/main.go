// Command vcsim serves VMware's own vSphere simulator (govmomi/simulator) for tierwise's tests, demo and notebooks.
//
// It adds what the library lacks: sizes and facts settable from flags, faults on demand (rules.go), tasks that
// really run after the call returned (tasks.go), effects that the vendor documents (effects.go), disks over leases
// (nfc.go, vmdk.go), clones (clone.go), storage policies (policies.go), performance series that follow a stated load (perf.go), news of what changed alone
// (updates.go), answers in parts (paging.go), hosts in maintenance (maintenance.go), refusals of what vCenter refuses
// (refusals.go), privileges that the user lacks (privileges.go), and tags over REST (rest.go).
// When ready it prints one line of JSON on stdout. It ends on SIGTERM, and when its stdin is closed, so it never
// outlives the process that started it.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
)

// passwordVariable names the environment variable with the password: flags are visible to everybody.
const passwordVariable = "VCSIM_PASSWORD"

type options struct {
	listen      string
	user        string
	tlsCert     string
	tlsKey      string
	sessionIdle time.Duration
	taskDelay   time.Duration
	// leaseTimeout is how long a lease lives without its progress being told.
	leaseTimeout time.Duration
	pageSize     int
	uniqueNames  bool
	taskProgress bool
	verbose      bool
	estate       estate
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address and port; port 0 takes a free one")
	flag.StringVar(&o.user, "user", "operator", "the one user that can log in, with the password in "+passwordVariable)
	flag.StringVar(&o.tlsCert, "tls-cert", "", "PEM certificate; plain HTTP where empty")
	flag.StringVar(&o.tlsKey, "tls-key", "", "PEM key of the certificate")
	flag.DurationVar(&o.sessionIdle, "session-idle", 0, "sessions end after this much idleness; 0 is never")
	flag.DurationVar(&o.taskDelay, "task-delay", 0, "tasks run this long after the call returned; 0 is within the call")
	flag.DurationVar(&o.leaseTimeout, "lease-timeout", 5*time.Minute, "leases of disks end this long after the last progress told")
	flag.IntVar(&o.pageSize, "page-size", 0, "objects a page of RetrievePropertiesEx; 0 is all")
	flag.BoolVar(&o.taskProgress, "task-progress", true, "moves between datastores tell how far they are")
	flag.BoolVar(&o.uniqueNames, "unique-names", true, "a folder refuses a second machine of one name, as vCenter does")
	flag.BoolVar(&o.verbose, "verbose", false, "the simulator's log on stderr")
	o.estate.flags()
	flag.Parse()
	return o
}

func main() {
	o := parseOptions()
	if !o.verbose {
		log.SetOutput(io.Discard)
	}
	model, err := o.estate.build()
	if err != nil {
		fatal("cannot build the estate", err)
	}
	kept, err := newPolicies(o.estate.storePolicies)
	if err != nil {
		model.Remove()
		fatal("cannot make the storage policies", err)
	}
	model.Service.RegisterSDK(kept.registry())
	serveUpdates()
	server, err := serve(o, model)
	if err != nil {
		model.Remove()
		fatal("cannot serve", err)
	}
	front := newFront(server.Config.Handler, server.URL.User, kept, o)
	if o.estate.noPrivileges != "" {
		if err := front.denials.set(strings.Split(o.estate.noPrivileges, ",")); err != nil {
			model.Remove()
			fatal("cannot take the user's privileges", err)
		}
	}
	server.Config.Handler = front
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		model.Remove()
		fatal("cannot open the control door", err)
	}
	go func() { _ = http.Serve(door, http.HandlerFunc(front.control)) }()
	announce(server, door.Addr().String(), model)
	waitForEnd()
	_ = server.Config.Close()
	model.Remove()
}

func serve(o options, model *simulator.Model) (*simulator.Server, error) {
	simulator.SessionIdleTimeout = o.sessionIdle
	model.Service.RegisterEndpoints = true // the REST API (rest.go)
	model.Service.Listen = &url.URL{Host: o.listen, User: url.UserPassword(o.user, os.Getenv(passwordVariable))}
	if o.tlsCert != "" {
		pair, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
		if err != nil {
			return nil, err
		}
		model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	return model.Service.NewServer(), nil
}

func announce(server *simulator.Server, control string, model *simulator.Model) {
	count := model.Count()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"scheme":  server.URL.Scheme,
		"address": server.URL.Host,
		"control": control,
		"hosts":   count.Host,
		"vms":     count.Machine,
	})
}

func waitForEnd() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		end <- syscall.SIGTERM
	}()
	<-end
}

func fatal(what string, err error) {
	fmt.Fprintf(os.Stderr, "vcsim: %s: %s\n", what, err)
	os.Exit(1)
}
