package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

const envelope = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`

// Bodies of the calls that the front makes itself.
const (
	currentTime = `<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>`
	login       = `<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>` +
		`<userName>%s</userName><password>%s</password></Login>`
	retrieve = `<RetrievePropertiesEx xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this><specSet>` +
		`<propSet><type>%s</type><pathSet>%s</pathSet></propSet><objectSet><obj type="%s">%s</obj></objectSet>` +
		`</specSet><options></options></RetrievePropertiesEx>`
	logout = `<Logout xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></Logout>`
)

// call is one SOAP request: its method, the object it is for, and the bytes to play it again.
type call struct {
	method  string
	this    types.ManagedObjectReference
	about   types.ManagedObjectReference // the machine of a snapshot, or else what the call is for
	body    []byte
	request *http.Request
}

func readCall(r *http.Request) (*call, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := &call{body: body, request: r}
	var parsed struct {
		Body struct {
			Call struct {
				XMLName xml.Name
				This    struct {
					Type  string `xml:"type,attr"`
					Value string `xml:",chardata"`
				} `xml:"_this"`
			} `xml:",any"`
		} `xml:"Body"`
	}
	if err := xml.Unmarshal(body, &parsed); err != nil {
		return nil, err
	}
	c.method = parsed.Body.Call.XMLName.Local
	c.this.Type = parsed.Body.Call.This.Type
	c.this.Value = strings.TrimSpace(parsed.Body.Call.This.Value)
	return c, nil
}

func (c *call) isTask() bool { return strings.HasSuffix(c.method, "_Task") }

// ask hands another body to the simulator in the call's session.
func (c *call) ask(next http.Handler, body string) *answer {
	return c.play(next, soapAnswer(http.StatusOK, body).body.Bytes(), c.request.Header.Get("Cookie"))
}

// play hands a body to the simulator in the session of a cookie and keeps the answer. Where the simulator panics, as it does
// on what it does not expect, it cannot do what was asked.
func (c *call) play(next http.Handler, body []byte, cookie string) (kept *answer) {
	defer func() {
		if broken := recover(); broken != nil {
			kept = faultAnswer("NotSupported", fmt.Sprintf("this simulator cannot do that: %v", broken))
		}
	}()
	known := context.WithValue(context.Background(), callKey{}, c)
	known = context.WithValue(known, wholeKey{}, &body[0] == &c.body[0])
	request := c.request.Clone(known)
	request.Header.Del("Cookie")
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.ContentLength = int64(len(body))
	kept = &answer{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(kept, request)
	return kept
}

// answer is a kept HTTP answer.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) sendTo(w http.ResponseWriter) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

var taskReference = regexp.MustCompile(`<returnval[^>]*type="Task"[^>]*>([^<]+)</returnval>`)

// task is the reference of the task that the answer names, if it names one.
func (a *answer) task() (types.ManagedObjectReference, bool) {
	match := taskReference.FindSubmatch(a.body.Bytes())
	if a.status != http.StatusOK || match == nil {
		return types.ManagedObjectReference{}, false
	}
	return types.ManagedObjectReference{Type: "Task", Value: string(match[1])}, true
}

var faultType = regexp.MustCompile(`<(\w+)Fault xmlns="urn:vim25"`)

// fault is the type name of the SOAP fault in the answer, empty where there is none.
func (a *answer) fault() string {
	match := faultType.FindSubmatch(a.body.Bytes())
	if match == nil {
		return ""
	}
	return string(match[1])
}

// faultAnswer is a fault of a type, with what the type holds where a client is to read it.
func faultAnswer(name, message string, holds ...string) *answer {
	body := fmt.Sprintf(`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>`+
		`<detail><%sFault xmlns="urn:vim25" xsi:type="%s">%s</%sFault></detail></soapenv:Fault>`,
		escaped(message), name, name, strings.Join(holds, ""), name)
	return soapAnswer(http.StatusInternalServerError, body)
}

func taskAnswer(method string, task types.ManagedObjectReference) *answer {
	body := fmt.Sprintf(`<%sResponse xmlns="urn:vim25"><returnval type="Task">%s</returnval></%sResponse>`,
		method, task.Value, method)
	return soapAnswer(http.StatusOK, body)
}

func soapAnswer(status int, body string) *answer {
	a := &answer{header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, status: status}
	fmt.Fprintf(&a.body, envelope, body)
	return a
}

func escaped(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}

var (
	arrayValue = regexp.MustCompile(`(?s)<val[^>]* [\w-]+:type="ArrayOf(\w+)"[^>]*>.*?</val>`)
	typed      = regexp.MustCompile(`^<\w+[^>]* [\w-]+:type=`)
)

// forLibvirt writes the type on each element of an array, as vCenter does. The simulator leaves it off, which pyvmomi
// does not mind and libvirt does; looking for them in the answers to everybody would take too long.
func (c *call) forLibvirt(a *answer) *answer {
	if !strings.Contains(c.request.UserAgent(), "libvirt") {
		return a
	}
	body := arrayValue.ReplaceAllFunc(a.body.Bytes(), func(value []byte) []byte {
		name := string(arrayValue.FindSubmatch(value)[1])
		element := regexp.MustCompile(`<` + name + `[ >][^>]*>?`)
		return element.ReplaceAllFunc(value, func(start []byte) []byte {
			if typed.Match(start) {
				return start
			}
			return bytes.Replace(start, []byte("<"+name), []byte("<"+name+` xsi:type="`+name+`"`), 1)
		})
	})
	a.body.Reset()
	a.body.Write(body)
	a.header.Del("Content-Length")
	return a
}
