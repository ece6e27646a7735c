package main

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"sync"
)

// pager answers RetrievePropertiesEx in pages, as vCenter Server does; the simulator answers all at once and does
// not know ContinueRetrievePropertiesEx.
type pager struct {
	size  int
	mutex sync.Mutex
	last  int
	rest  map[string][][]byte
}

var (
	objectElement = regexp.MustCompile(`(?s)<objects>.*?</objects>`)
	tokenElement  = regexp.MustCompile(`<token[^>]*>([^<]*)</token>`)
)

// of cuts a complete answer: the first page, and a token for the rest where there is one.
func (p *pager) of(c *call, whole *answer) *answer {
	if p.size == 0 || c.method != "RetrievePropertiesEx" || whole.status != http.StatusOK {
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
