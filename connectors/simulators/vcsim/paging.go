package main

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"sync"
)

// pager answers RetrievePropertiesEx in pages, and WaitForUpdatesEx in truncated parts, as vCenter Server does; the
// simulator answers all at once and does not know ContinueRetrievePropertiesEx.
type pager struct {
	size  int
	mutex sync.Mutex
	last  int
	rest  map[string][][]byte
	parts map[string]*answer
}

var (
	objectElement = regexp.MustCompile(`(?s)<objects>.*?</objects>`)
	tokenElement  = regexp.MustCompile(`<token[^>]*>([^<]*)</token>`)
)

// of cuts a complete answer: the first page, and a token for the rest where there is one.
func (p *pager) of(c *call, whole *answer) *answer {
	if p.size == 0 || whole.status != http.StatusOK {
		return whole
	}
	if c.method == "WaitForUpdatesEx" {
		return p.truncated(whole)
	}
	if c.method != "RetrievePropertiesEx" {
		return whole
	}
	objects := objectElement.FindAll(whole.body.Bytes(), -1)
	if len(objects) <= p.size {
		return whole
	}
	return p.page(c.method, objects)
}

// next is the following page of the token in the call.
func (p *pager) next(c *call) *answer {
	match := tokenElement.FindSubmatch(c.body)
	if match == nil {
		return faultAnswer("InvalidArgument", "no token")
	}
	p.mutex.Lock()
	objects, ok := p.rest[string(match[1])]
	delete(p.rest, string(match[1]))
	p.mutex.Unlock()
	if !ok {
		return faultAnswer("InvalidArgument", "unknown token")
	}
	return p.page(c.method, objects)
}

func (p *pager) page(method string, objects [][]byte) *answer {
	token := ""
	if len(objects) > p.size {
		p.mutex.Lock()
		p.last++
		name := fmt.Sprintf("page-%d", p.last)
		p.rest[name] = objects[p.size:]
		p.mutex.Unlock()
		token, objects = "<token>"+name+"</token>", objects[:p.size]
	}
	return soapAnswer(http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25"><returnval>%s%s</returnval></%sResponse>`,
		method, token, bytes.Join(objects, nil), method))
}

var (
	updateElement  = regexp.MustCompile(`(?s)<objectSet>.*?</objectSet>`)
	filterElement  = regexp.MustCompile(`(?s)<filterSet>(<filter [^>]*>[^<]*</filter>)(.*?)</filterSet>`)
	versionElement = regexp.MustCompile(`<version[^>]*>([^<]*)</version>`)
)

// truncated cuts the updates: the first part, and the others for those who ask with its version.
func (p *pager) truncated(whole *answer) *answer {
	body := whole.body.Bytes()
	spans := filterElement.FindAllIndex(body, -1)
	parts := p.parted(body)
	if len(parts) < 2 || len(parts) == len(spans) {
		return whole
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	first, version := (*answer)(nil), ""
	for i, part := range parts {
		cut := bytes.Join([][]byte{body[:spans[0][0]], part, body[spans[len(spans)-1][1]:]}, nil)
		last := i == len(parts)-1
		next := fmt.Sprintf("part-%d", p.last+1)
		if !last {
			p.last++
			cut = versionElement.ReplaceAll(cut, []byte("<version>"+next+"</version>"))
			cut = bytes.Replace(cut, []byte("</returnval>"), []byte("<truncated>true</truncated></returnval>"), 1)
		}
		one := soapAnswer(whole.status, "")
		one.body.Reset()
		one.body.Write(cut)
		if i == 0 {
			first = one
		} else {
			p.parts[version] = one
		}
		version = next
	}
	return first
}

// parted is the updates of each filter, in filter sets of at most a page's size.
func (p *pager) parted(body []byte) [][]byte {
	var parts [][]byte
	for _, set := range filterElement.FindAllSubmatch(body, -1) {
		updates := updateElement.FindAll(set[2], -1)
		for len(updates) > 0 {
			size := p.size
			if size > len(updates) {
				size = len(updates)
			}
			part := append([]byte("<filterSet>"), set[1]...)
			part = append(part, bytes.Join(updates[:size], nil)...)
			parts, updates = append(parts, append(part, "</filterSet>"...)), updates[size:]
		}
	}
	return parts
}

// part is the part of truncated updates that a call asks for; nil where it asks for none.
func (p *pager) part(c *call) *answer {
	match := versionElement.FindSubmatch(c.body)
	if c.method != "WaitForUpdatesEx" || match == nil {
		return nil
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	found := p.parts[string(match[1])]
	delete(p.parts, string(match[1]))
	return found
}
